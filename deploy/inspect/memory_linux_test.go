package inspect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// TestMain makes a test binary of this package a process that looks at one module, and then prints the most
// memory that it had at once, in KiB.
func TestMain(m *testing.M) {
	if os.Getenv("SLIPWAY_TEST_LOOK") == "" {
		os.Exit(m.Run())
	}
	wasm, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	d, err := inspect.Describe(context.Background(), wasm)
	status, _ := os.ReadFile("/proc/self/status")
	// VmHWM is the peak of the memory in use. Getrusage tells that of the parent as well.
	fmt.Printf("%s\n%v\n", regexp.MustCompile(`VmHWM:\s+(\d+)`).FindSubmatch(status)[1], err)
	if d != nil && d.Started != nil {
		fmt.Println(d.Started.Skipped)
	}
}

// look looks at a module in a process of its own, and returns the peak of memory in bytes and what
// was said.
func look(t *testing.T, program string, wasm []byte) (int, string) {
	t.Helper()
	process := exec.CommandContext(t.Context(), program)
	process.Env = append(os.Environ(), "SLIPWAY_TEST_LOOK=1")
	process.Stdin = bytes.NewReader(wasm)
	out, err := process.CombinedOutput()
	first, rest, _ := strings.Cut(string(out), "\n")
	kib, err2 := strconv.Atoi(first)
	if err != nil || err2 != nil {
		t.Fatalf("%v, %v: %.2000s", err, err2, out)
	}
	return kib << 10, rest
}

// TestMemory: looking at a module takes 64 MiB and four times its size at most, beside 160 bytes
// for each byte of code.
func TestMemory(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "inspect.test")
	// The race detector takes several times the memory.
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-c", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	section := func(id byte, content []byte) []byte {
		return append(binary.AppendUvarint([]byte{id}, uint64(len(content))), content...)
	}
	many := func(n int, item ...byte) []byte {
		return append(binary.AppendUvarint(nil, uint64(n)), bytes.Repeat(item, n)...)
	}
	module := func(sections ...[]byte) []byte {
		return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
	}
	code := func(instructions []byte) []byte {
		body := append(append([]byte{0}, instructions...), 0x0b)
		return section(10, append([]byte{1}, append(binary.AppendUvarint(nil, uint64(len(body))), body...)...))
	}
	const size = 1 << 20
	aType, aFunction := section(1, []byte{1, 0x60, 0, 0}), section(3, []byte{1, 0})
	grows := wasmtest.Filter()
	for i := range grows.Exports {
		if grows.Exports[i].Name == "_initialize" {
			// Grow by a page, and write to all of it, until that fails; then trap.
			grows.Exports[i].Code = []byte{
				0x03, 0x40, // loop
				0x41, 0x01, 0x40, 0x00, // memory.grow 1
				0x41, 0x7f, 0x46, 0x04, 0x40, 0x00, 0x0b, // if it is -1: unreachable
				0x3f, 0x00, 0x41, 0x01, 0x6b, 0x41, 0x10, 0x74, // the address of the last page
				0x41, 0x01, 0x41, 0x80, 0x80, 0x04, // 1 into 65536 bytes
				0xfc, 0x0b, 0x00, // memory.fill
				0x0c, 0x00, 0x0b, // again
			}
		}
	}
	huge := wasmtest.Filter()
	huge.Pages = 16384
	for name, test := range map[string]struct {
		wasm []byte
		code int // bytes
		want string
	}{
		"types":          {wasm: module(section(1, many(size/3, 0x60, 0, 0))), want: "would take"},
		"fewer types":    {wasm: module(section(1, many(60000, 0x60, 0, 0)))},
		"functions":      {wasm: module(aType, section(3, many(size/4, 0)), section(10, many(size/4, 2, 0, 0x0b))), want: "would take"},
		"globals":        {wasm: module(section(6, many(size/5, 0x7f, 0, 0x41, 0, 0x0b))), want: "would take"},
		"elements":       {wasm: module(aType, aFunction, section(4, []byte{1, 0x70, 0, 1}), section(9, append([]byte{1, 1, 0}, many(size, 0)...)), code(nil)), want: "would take"},
		"data":           {wasm: module(section(5, []byte{1, 0, 1}), section(11, many(size/2, 1, 0))), want: "would take"},
		"constants":      {wasm: module(aType, aFunction, code(bytes.Repeat([]byte{0x41, 0, 0x1a}, size/3))), code: size},
		"much code":      {wasm: module(aType, section(3, many(18, 0)), section(10, many(18, append(append([]byte{0x80, 0x80, 0x40, 0}, bytes.Repeat([]byte{1}, size-2)...), 0x0b)...)))},
		"a large body":   {wasm: module(aType, aFunction, code(bytes.Repeat([]byte{1}, 8<<20))), want: "bytes of code, and Envoy's V8 takes no more than 7654321"},
		"memory":         {wasm: wasmtest.Encode(huge), want: "it wants more memory than the 24 MiB that it is given here"},
		"growing memory": {wasm: wasmtest.Encode(grows), want: "it wants more memory than the 24 MiB that it is given here"},
	} {
		t.Run(name, func(t *testing.T) { inside(t, program, test.wasm, test.code, test.want) })
	}
	for file, wasm := range shortCounts(t) {
		t.Run(filepath.Base(file), func(t *testing.T) { inside(t, program, wasm, 0, "it is too short") })
	}
}

// inside fails the test if looking at a module takes more memory than TestMemory promises, or if
// what is said about it lacks want.
func inside(t *testing.T, program string, wasm []byte, code int, want string) {
	t.Helper()
	none, _ := look(t, program, []byte("\x00asm\x01\x00\x00\x00")) // what the process itself takes
	peak, said := look(t, program, wasm)
	if most := 64<<20 + 4*len(wasm) + 160*code; peak-none > most {
		t.Errorf("%d KiB were taken for %d bytes with %d of code, and %d KiB are promised: %s", (peak-none)>>10, len(wasm), code, most>>10, said)
	}
	t.Logf("%d KiB: %.200s", (peak-none)>>10, said)
	if !strings.Contains(said, want) {
		t.Errorf("it is said %q, want %q", said, want)
	}
}
