package vmtest

import (
	"bytes"
	"strings"
	"testing"
)

// module is the smallest module with one function, `unreachable`, exported under
// the names. Running that function is visible as a trap.
func module(exports ...string) []byte {
	section := []byte{byte(len(exports))}
	for _, name := range exports {
		section = append(section, byte(len(name)))
		section = append(section, name...)
		section = append(section, 0, 0) // kind: function, index: 0
	}
	m := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // type section: func() ()
		"\x03\x02\x01\x00" + // function section: function 0 has type 0
		"\x07")
	m = append(m, byte(len(section)))
	m = append(m, section...)
	return append(m, "\x0a\x05\x01\x03\x00\x00\x0b"...) // code section: unreachable, end
}

func TestStartable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		in, want []byte
	}{
		{"reactor", module("proxy_on_log", "_initialize", "x"), module("proxy_on_log", "_start", "x")},
		{"command", module("_start", "x"), module("_start", "x")},
		{"both", module("_initialize", "_start"), module("_initialize", "_start")},
		{"neither", module("x"), module("x")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := bytes.Clone(tc.in)
			got, err := startable(in)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if !bytes.Equal(in, tc.in) {
				t.Errorf("the input was changed: %q", in)
			}
		})
	}
}

func TestStartableRefusesWhatIsNoModule(t *testing.T) {
	t.Parallel()
	m := module("_initialize")
	for n := range m {
		// A cut after the whole export section goes unnoticed here; wazero sees it.
		if n >= bytes.Index(m, []byte("_initialize"))+len("_initialize")+2 {
			break
		}
		if _, err := startable(m[:n]); err == nil {
			t.Errorf("accepted the first %d of %d bytes", n, len(m))
		}
	}
	if _, err := startable([]byte("#!/bin/sh\nexit 1\n")); err == nil {
		t.Error("accepted a shell script")
	}
}

// The start function of a reactor has to run, which a trap in it proves.
func TestNewVMRunsTheStartFunction(t *testing.T) {
	for _, name := range []string{"_initialize", "_start"} {
		if _, err := newVM(module(name)); err == nil || !strings.Contains(err.Error(), "unreachable") {
			t.Errorf("%s did not run: error %v", name, err)
		}
	}
	vm, err := newVM(module("other"))
	if err != nil {
		t.Fatal(err)
	}
	if err := vm.Close(); err != nil {
		t.Error(err)
	}
}
