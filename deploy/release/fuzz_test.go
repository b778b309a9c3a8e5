package release

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// FuzzWorkFolder: whatever release.json and state.json contain, they are refused, or
// read the same after they are written again.
func FuzzWorkFolder(f *testing.F) {
	r := &run{Options: Options{Dist: f.TempDir(), Compiler: "tinygo"}, sources: []catalog.Filter{{Name: "headers"}}}
	if err := os.MkdirAll(r.work(""), 0o755); err != nil {
		f.Fatal(err)
	}
	r.state = &state{Asked: r.asked(), Modules: map[string]string{"headers": "00"}, Tested: true, Played: &scenario.Report{}}
	if err := r.saveState(); err != nil {
		f.Fatal(err)
	}
	old, err := os.ReadFile(r.work(stateFile))
	if err != nil {
		f.Fatal(err)
	}
	record, err := Record{RecordVersion: RecordVersion, Version: "1.4.0", Filters: []FilterRecord{{Name: "headers", Manifests: []ManifestRecord{{Tag: "1.4.0"}}}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record, old)
	f.Add([]byte(`{"recordVersion": 1}`), []byte(`{}`))
	f.Add(record, bytes.Replace(old, []byte(`"headers": "00"`), nil, 1))
	f.Add(record, bytes.Replace(old, []byte(`"played": {`), []byte(`"played": {"Modules": {}, "EnvoyVersions": []`), 1))
	f.Add([]byte(`{"recordVersion": 2} {}`), []byte(`null`))
	f.Add([]byte(`{"recordVersion": 2}}`), []byte(``))
	f.Fuzz(func(t *testing.T, record, old []byte) {
		if parsed, err := parseRecord(record); err == nil {
			written, err := parsed.encode()
			if err != nil {
				t.Fatalf("%q was read, and is not written: %v", record, err)
			}
			again, err := parseRecord(written)
			if err != nil || !reflect.DeepEqual(again, parsed) {
				t.Errorf("%q became %q: %v", record, written, err)
			}
		}
		if err := os.WriteFile(r.work(stateFile), old, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.loadState(); err != nil || !reflect.DeepEqual(r.state.Asked, r.asked()) {
			t.Errorf("%q is the state of %+v: %v", old, r.state.Asked, err)
		}
		// What is believed says which modules were tested, and in which Envoys.
		if s := r.state; (s.Tested || s.Rebuilt || s.Played != nil) && s.Modules["headers"] == "" || s.Played != nil && len(s.Played.EnvoyVersions) == 0 {
			t.Errorf("%q is believed: %+v", old, s)
		}
	})
}
