package inspect_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

const wasi = "wasi_snapshot_preview1"

func TestModuleThatLoads(t *testing.T) {
	t.Parallel()
	o := wasmtest.Filter()
	o.Imports = []wasmtest.Func{
		{Module: "env", Name: "proxy_log", Signature: "iii:i"},
		{Module: "env", Name: "proxy_increment_metric", Signature: "iI:i"},
		{Module: wasi, Name: "fd_write", Signature: "iiii:i"},
		{Module: wasi, Name: "fd_write", Signature: "iiii:i"}, // Go imports it twice
	}
	report, err := inspect.Check(t.Context(), wasmtest.Encode(o), inspect.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.ABI != "0.2.0" || report.EnvoyMin != "1.26" {
		t.Errorf("ABI %q, lowest Envoy %q; want 0.2.0 and 1.26", report.ABI, report.EnvoyMin)
	}
	want := []inspect.Function{
		{Module: "env", Name: "proxy_increment_metric", Signature: "(i32, i64) -> (i32)"},
		{Module: "env", Name: "proxy_log", Signature: "(i32, i32, i32) -> (i32)"},
		{Module: wasi, Name: "fd_write", Signature: "(i32, i32, i32, i32) -> (i32)"},
	}
	if !slices.Equal(report.Imports, want) {
		t.Errorf("imports are %v, want %v", report.Imports, want)
	}
	if !report.Exported("_initialize") || report.Exported("memory") {
		t.Errorf("exported functions are %v", report.Exports)
	}
}

func TestLowestEnvoy(t *testing.T) {
	t.Parallel()
	for imported, want := range map[string]string{
		"poll_oneoff iiii:i":        "1.33",
		"path_filestat_get iiiii:i": "1.39",
	} {
		name, signature, _ := strings.Cut(imported, " ")
		o := wasmtest.Filter()
		o.Imports = []wasmtest.Func{
			{Module: wasi, Name: "sched_yield", Signature: ":i"},
			{Module: wasi, Name: name, Signature: signature},
			{Module: "env", Name: "proxy_log", Signature: "iii:i"},
		}
		report, err := inspect.Check(t.Context(), wasmtest.Encode(o), inspect.StartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if report.EnvoyMin != want {
			t.Errorf("%s: lowest Envoy is %s, want %s", name, report.EnvoyMin, want)
		}
	}
}

func TestModuleThatWouldNotLoad(t *testing.T) {
	t.Parallel()
	imported := func(module, name, signature string) func(*wasmtest.Options) {
		return func(o *wasmtest.Options) {
			o.Imports = append(o.Imports, wasmtest.Func{Module: module, Name: name, Signature: signature})
		}
	}
	exported := func(name, signature string) func(*wasmtest.Options) {
		return func(o *wasmtest.Options) {
			o.Exports = append(o.Exports, wasmtest.Func{Name: name, Signature: signature})
		}
	}
	without := func(name string) func(*wasmtest.Options) {
		return func(o *wasmtest.Options) {
			o.Exports = slices.DeleteFunc(o.Exports, func(f wasmtest.Func) bool { return f.Name == name })
		}
	}
	for name, test := range map[string]struct {
		change func(*wasmtest.Options)
		want   string
	}{
		"unknown WASI function":   {imported(wasi, "fd_fly", ":i"), "missing import: wasi_snapshot_preview1.fd_fly: no Envoy offers it"},
		"unknown module":          {imported("gojs", "proxy_log", "iii:i"), "missing import: gojs.proxy_log: no Envoy offers it"},
		"import of another ABI":   {imported("env", "proxy_get_log_level", "i:i"), "missing import: env.proxy_get_log_level: Envoy offers it to ABI 0.2.1 only, and the module's is 0.2.0"},
		"import's type":           {imported("env", "proxy_log", "iiI:i"), "import env.proxy_log has type (i32, i32, i64) -> (i32), Envoy's is (i32, i32, i32) -> (i32)"},
		"import's type, a float":  {imported("env", "proxy_log", "iif:i"), "import env.proxy_log has type (i32, i32, f32) -> (i32)"},
		"callback's type":         {exported("proxy_on_tick", "i:i"), "export proxy_on_tick has type (i32) -> (i32), Envoy calls it as (i32) -> ()"},
		"callback of the old ABI": {exported("proxy_on_request_headers", "ii:i"), "export proxy_on_request_headers has type (i32, i32) -> (i32), Envoy calls it as (i32, i32, i32) -> (i32)"},
		"no ABI":                  {without("proxy_abi_version_0_2_0"), "no export proxy_abi_version_0_2_0"},
		"two ABIs":                {exported("proxy_abi_version_0_2_1", ":"), "exports proxy_abi_version of both 0.2.0 and 0.2.1"},
		"no entry":                {without("_initialize"), "no export _initialize or _start"},
		"no allocator":            {without("proxy_on_memory_allocate"), "no export proxy_on_memory_allocate or malloc"},
		"no contexts":             {without("proxy_on_context_create"), "no export proxy_on_context_create"},
		"no memory":               {func(o *wasmtest.Options) { o.NoMemory = true }, `no export "memory"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := wasmtest.Filter()
			test.change(&o)
			report, err := inspect.Check(t.Context(), wasmtest.Encode(o), inspect.StartOptions{})
			if !errors.Is(err, inspect.ErrWouldNotLoad) {
				t.Fatalf("error is %v, want ErrWouldNotLoad", err)
			}
			if len(report.Problems()) != 1 || !strings.HasPrefix(report.Problems()[0], test.want) {
				t.Errorf("problems are %q, want one that starts with %q", report.Problems(), test.want)
			}
		})
	}
}

func TestOldABI(t *testing.T) {
	t.Parallel()
	o := wasmtest.Filter()
	o.Exports[1].Name = "proxy_abi_version_0_1_0"
	o.Exports = append(o.Exports, wasmtest.Func{Name: "proxy_on_request_headers", Signature: "ii:i"})
	o.Imports = []wasmtest.Func{{Module: "env", Name: "proxy_clear_route_cache", Signature: ":i"}}
	report, err := inspect.Check(t.Context(), wasmtest.Encode(o), inspect.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.ABI != "0.1.0" {
		t.Errorf("ABI is %q", report.ABI)
	}
}

func TestNotWasm(t *testing.T) {
	t.Parallel()
	whole := wasmtest.Encode(wasmtest.Filter())
	archive := make([]byte, 1024)
	copy(archive, "plugin.wasm")
	copy(archive[257:], "ustar")
	for name, test := range map[string]struct{ bytes, want string }{
		"empty":              {"", "it is empty"},
		"HTML":               {"<!DOCTYPE html><title>not found</title>", "it is a page of HTML"},
		"truncated":          {string(whole[:len(whole)-5]), fmt.Sprintf("it is truncated at byte %d: the section that begins at byte ", len(whole)-5)},
		"truncated header":   {"\x00asm\x01", "it is truncated at byte 5, within its header"},
		"another version":    {"\x00asm\x02\x00\x00\x00", "its version is 02000000"},
		"component":          {"\x00asm\x0d\x00\x01\x00", "it is a WebAssembly component, which no proxy takes; build a core module"},
		"Git LFS pointer":    {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "it is a pointer of Git LFS and not the file itself"},
		"gzip":               {"\x1f\x8b\x08\x00", "it is compressed with gzip; unpack it"},
		"zstd":               {"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it"},
		"zip":                {"PK\x03\x04", "it is a zip archive"},
		"tar":                {string(archive), "it is a tar archive"},
		"WebAssembly text":   {"\n  (module\n)", "it is WebAssembly text"},
		"WebAssembly text 2": {";; a comment\n(module)", "it is WebAssembly text"},
		"an ELF program":     {"\x7fELF\x02\x01", `it begins with "\x7fELF\x02\x01", and a WebAssembly module with "\x00asm\x01\x00\x00\x00"`},
	} {
		_, err := inspect.Check(t.Context(), []byte(test.bytes), inspect.StartOptions{})
		if err == nil || !strings.Contains(err.Error(), "not a valid WebAssembly module: "+test.want) {
			t.Errorf("%s: error is %v, want %q", name, err, test.want)
		}
		file := filepath.Join(t.TempDir(), "module.wasm")
		if err := os.WriteFile(file, []byte(test.bytes), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := inspect.File(t.Context(), file, inspect.StartOptions{}); err == nil || name != "truncated" && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s as a file: error is %v, want %q", name, err, test.want)
		}
	}
}

// TestEmptyCustomSections: a custom section may be as small as its name, wherever it stands.
func TestEmptyCustomSections(t *testing.T) {
	t.Parallel()
	whole := string(wasmtest.Encode(wasmtest.Filter()))
	for name, wasm := range map[string]string{
		"last":        whole + "\x00\x01\x00",
		"last, named": whole + "\x00\x02\x01a",
		"first":       whole[:8] + "\x00\x01\x00" + whole[8:],
	} {
		if _, err := inspect.Check(t.Context(), []byte(wasm), inspect.StartOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := inspect.Describe(t.Context(), []byte(wasm)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shortCounts are modules of a few bytes that announce a large count, by their files.
func shortCounts(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/count-*.wasm")
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, error %v", files, err)
	}
	modules := map[string][]byte{}
	for _, file := range files {
		if modules[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return modules
}

// TestShortCounts: a few bytes that announce a large count are refused before anything
// allocates memory for it.
func TestShortCounts(t *testing.T) {
	t.Parallel()
	for file, wasm := range shortCounts(t) {
		if _, err := inspect.Describe(t.Context(), wasm); err == nil || !strings.Contains(err.Error(), "it is too short: it announces 4294967295 entries, and has 0 bytes for them") {
			t.Errorf("%s: error is %v", file, err)
		}
	}
	least := wasmtest.Encode(wasmtest.Filter())
	for name, test := range map[string]struct{ section, want string }{
		"name of an import":   {"\x02\x07\x01\xff\xff\xff\xff\x0f\x00", "its sections cannot be read"},
		"parameters":          {"\x01\x07\x01\x60\xff\xff\xff\xff\x0f", "it announces 4294967295 entries"},
		"elements":            {"\x09\x07\x01\x01\x00\xff\xff\xff\x0f", "it announces"},
		"bytes of data":       {"\x0b\x07\x01\x01\xff\xff\xff\xff\x0f", "it announces 4294967295 bytes"},
		"locals":              {"\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b", "a function with 4294967295 locals"},
		"entries of a table":  {"\x04\x08\x01\x70\x00\x80\x80\x80\x40\x00", "entries in tables"},
		"types in a group":    {"\x01\x07\x01\x4e\xff\xff\xff\xff\x0f", "it announces 4294967295 entries"},
		"bytes of a function": {"\x0a\x06\x01\xff\xff\xff\xff\x0f", "it announces 4294967295 bytes"},
	} {
		_, err := inspect.Describe(t.Context(), []byte(string(least[:8])+test.section))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, test.want)
		}
	}
	// Running a module does not need the names of functions, so they are not read.
	names := string(least) + "\x00\x0c\x04name\x01\x05\xff\xff\xff\xff\x0f"
	if _, err := inspect.Describe(t.Context(), []byte(names)); err != nil {
		t.Errorf("names: %v", err)
	}
}

// FuzzModule: no input makes the inspection panic, exhaust the memory or run for long.
func FuzzModule(f *testing.F) {
	f.Add([]byte{})
	for _, module := range wasmtest.Starts() {
		if module.Pages == 0 && len(module.Data) == 0 { // small ones are changed more often
			f.Add(wasmtest.Encode(module.Options))
		}
	}
	files, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(files) == 0 {
		f.Fatalf("files %v, error %v", files, err)
	}
	for _, file := range files {
		wasm, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wasm)
	}
	// What made wazero itself fail once.
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		f.Fatal(err)
	}
	corpus, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "internal/integration_test/fuzzcases/testdata/*.wasm"))
	if err != nil || len(corpus) < 50 {
		f.Fatalf("%d files in wazero's corpus, error %v", len(corpus), err)
	}
	for _, file := range corpus {
		wasm, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wasm)
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		report, err := inspect.Check(t.Context(), wasm, inspect.StartOptions{CallTimeout: 50 * time.Millisecond})
		runtime.ReadMemStats(&after)
		if (err == nil) != (report != nil && len(report.Problems()) == 0) {
			t.Errorf("error %v with report %+v", err, report)
		}
		// Tables may take 80 MB, and all that was ever allocated is counted here. How much there is
		// at once, TestMemory measures.
		if most := uint64(512<<20 + 1000*len(wasm)); after.TotalAlloc-before.TotalAlloc > most {
			t.Errorf("%d bytes were allocated for %d", after.TotalAlloc-before.TotalAlloc, len(wasm))
		}
	})
}
