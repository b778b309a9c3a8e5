package inspect

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// withProducers appends a producers section with one field and its values.
func withProducers(wasm []byte, field string, values ...[2]string) []byte {
	name := func(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }
	content := append(name("producers"), 1)
	content = append(content, name(field)...)
	content = append(content, byte(len(values)))
	for _, v := range values {
		content = slices.Concat(content, name(v[0]), name(v[1]))
	}
	return appendSection(slices.Clone(wasm), 0, content)
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	options := wasmtest.Filter()
	options.Custom = "ten bytes."
	options.Imports = []wasmtest.Func{
		{Module: "env", Name: "proxy_log", Signature: "iii:i"},
		{Module: "wasi_snapshot_preview1", Name: "sched_yield", Signature: ":i"},
	}
	wasm := withProducers(wasmtest.Encode(options), "processed-by", [2]string{"clang", "16"}, [2]string{"TinyGo", "0.41.1"})
	d, err := Describe(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	if d.Size != int64(len(wasm)) || d.WasmSHA256 == "" || d.ABI != "0.2.0" || d.Compiler != "TinyGo 0.41.1" {
		t.Errorf("described as %+v", d)
	}
	var names []string
	var total int64
	for _, section := range d.Sections {
		names = append(names, section.Name)
		total += section.Size
	}
	if want := []string{"type", "import", "function", "memory", "export", "code", "custom test", "custom producers"}; !slices.Equal(names, want) {
		t.Errorf("sections are %q, want %q", names, want)
	}
	// A section has its id and its size before its content, and the file a header.
	if most := int64(len(wasm)); total >= most || total < most-8-5*int64(len(d.Sections)) {
		t.Errorf("sections have %d of %d bytes", total, most)
	}
	want := []Envoys{
		{From: "1.26", To: "1.32", Reasons: []string{"missing import: wasi_snapshot_preview1.sched_yield: Envoy offers it from 1.33 on"}},
		{From: "1.33", Loads: true},
	}
	if diff := cmp.Diff(want, d.Envoys); diff != "" {
		t.Errorf("Envoys (-want +got):\n%s", diff)
	}
	if got := d.Envoys[0].Versions() + ", " + d.Envoys[1].Versions(); got != "1.26 to 1.32, 1.33 and later" {
		t.Errorf("versions are %q", got)
	}

	options.Imports[0].Name = "no_such_function"
	if d, err = Describe(t.Context(), wasmtest.Encode(options)); err != nil {
		t.Fatal(err)
	}
	for _, e := range d.Envoys {
		if e.Loads || !strings.Contains(e.Reasons[0], "missing import: env.no_such_function") {
			t.Errorf("an import that no Envoy has: %+v", e)
		}
	}
	if _, err := Describe(t.Context(), []byte("not wasm")); err == nil {
		t.Error("a text is described")
	}
}

// Describe and Check agree, whatever the module.
func TestDescribeAgreesWithCheck(t *testing.T) {
	t.Parallel()
	all := wasmtest.Filter()
	for _, f := range Offered("1.40", "0.2.0") {
		types := strings.NewReplacer("(", "", ")", "", ", ", "", " ", "", "i32", "i", "i64", "I", "->", ":")
		all.Imports = append(all.Imports, wasmtest.Func{Module: f.Module, Name: f.Name, Signature: types.Replace(f.Signature)})
	}
	for name, options := range map[string]wasmtest.Options{"least": wasmtest.Filter(), "all imports": all, "none": {}} {
		wasm := wasmtest.Encode(options)
		d, err := Describe(t.Context(), wasm)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		report, checkErr := Check(context.Background(), wasm, StartOptions{})
		if last := d.Envoys[len(d.Envoys)-1]; (last.Loads && len(d.Defects) == 0) != (checkErr == nil) {
			t.Errorf("%s: %+v, defects %q, Check says %v", name, last, d.Defects, checkErr)
		}
		first := d.Envoys[slices.IndexFunc(append(d.Envoys, Envoys{Loads: true}), func(e Envoys) bool { return e.Loads })%len(d.Envoys)]
		if checkErr == nil && first.From != report.EnvoyMin {
			t.Errorf("%s: loads from %s, Check says %s", name, first.From, report.EnvoyMin)
		}
	}
}

// Envoy loads modules that lack these exports; AssemblyScript's modules start by themselves.
func TestDefects(t *testing.T) {
	t.Parallel()
	options := wasmtest.Filter()
	options.Exports = options.Exports[1:] // without _initialize
	wasm := wasmtest.Encode(options)
	d, err := Describe(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Envoys) != 1 || !d.Envoys[0].Loads || !slices.Equal(d.Defects, []string{"no export _initialize or _start: the host would not initialize the module"}) {
		t.Errorf("Envoys %+v, defects %q", d.Envoys, d.Defects)
	}
	// The start section, which names the function without parameters, goes between the exports
	// and the code.
	code := bytes.LastIndex(wasm, []byte("proxy_on_context_create"))
	code += bytes.IndexByte(wasm[code:], sectionCode)
	started := slices.Concat(wasm[:code], []byte{sectionStart, 1, 0}, wasm[code:])
	if d, err = Describe(t.Context(), started); err != nil {
		t.Fatal(err)
	}
	if len(d.Defects) > 0 {
		t.Errorf("with a start function: defects %q", d.Defects)
	}
}

// Imports and exports that are not functions, vectors, and features after WebAssembly 2.0.
// TestStrangers of test/e2e loads the same modules into Envoy.
func TestOthers(t *testing.T) {
	t.Parallel()
	const ends = "Envoy ends when it meets"
	for name, c := range map[string]struct {
		change func(*wasmtest.Options)
		from   string // the first Envoy that loads it; empty if none does
		why    string
	}{
		"table": {func(o *wasmtest.Options) {
			o.Others = []wasmtest.Other{{Module: "env", Name: "t", Kind: wasmtest.Table}}
		}, "1.26", ""},
		"memory": {func(o *wasmtest.Options) {
			o.NoMemory, o.Others = true, []wasmtest.Other{{Module: "env", Name: "m", Kind: wasmtest.Memory}}
		}, "1.26", ""},
		"global": {func(o *wasmtest.Options) {
			o.Others = []wasmtest.Other{{Module: "env", Name: "g", Kind: wasmtest.Global}}
		}, "", "missing import: env.g: it is a global"},
		"imported tag":    {func(o *wasmtest.Options) { o.Others = []wasmtest.Other{{Module: "env", Name: "t", Kind: wasmtest.Tag}} }, "", ends},
		"tag":             {func(o *wasmtest.Options) { o.Tag = true }, "1.36", "it uses exception-handling"},
		"exported vector": {func(o *wasmtest.Options) { o.Exports = append(o.Exports, wasmtest.Func{Name: "x", Signature: "v:v"}) }, "", ends},
		"imported vector": {func(o *wasmtest.Options) {
			o.Imports = []wasmtest.Func{{Module: "env", Name: "proxy_log", Signature: "v:i"}}
		}, "", ends},
		"vector global": {func(o *wasmtest.Options) { o.VectorGlobal = true }, "", ends},
	} {
		options := wasmtest.Filter()
		c.change(&options)
		wasm := wasmtest.Encode(options)
		d, err := Describe(t.Context(), wasm)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		from, why := "", ""
		for _, e := range d.Envoys {
			if why += strings.Join(e.Reasons, "\n"); e.Loads {
				from = e.From
			}
		}
		if from != c.from || !strings.Contains(why, c.why) || (c.why == "") != (why == "") {
			t.Errorf("%s: loads from Envoy %q on, want %q; reasons %q, want %q", name, from, c.from, why, c.why)
		}
		// The record of a build has the same lowest version.
		if d.EnvoyMin != c.from && c.from != "" {
			t.Errorf("%s: the lowest Envoy is %q, want %q", name, d.EnvoyMin, c.from)
		}
		// A section that is cut off does no harm.
		list, contents, err := sections(wasm)
		if err != nil {
			t.Fatal(err)
		}
		for i, content := range contents {
			for n := range content {
				contents[i] = content[:n]
				if _, err := shapeOf(list, contents); err != nil && !strings.HasPrefix(err.Error(), "section "+list[i].Name+": ") {
					t.Errorf("%s: %s cut off after %d bytes: %v", name, list[i].Name, n, err)
				}
			}
			contents[i] = content
		}
	}
}

// Envoy takes the first form of exceptions, too.
func TestLegacyExceptions(t *testing.T) {
	t.Parallel()
	options := wasmtest.Filter()
	options.Tag = true
	wasm := wasmtest.Encode(options)
	// The first body, of 2 bytes, becomes one of 6: try, throw 0, end.
	body := bytes.LastIndex(wasm, []byte{2, 0, 0x0b, 2, 0, 0x0b})
	size := bytes.LastIndexByte(wasm[:body], sectionCode) + 1
	wasm = slices.Concat(wasm[:body], []byte{7, 0, 0x06, 0x40, 0x08, 0, 0x0b, 0x0b}, wasm[body+3:])
	wasm[size] += 5
	d, err := Describe(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	if d.EnvoyMin != "1.36" || len(d.Exports) != len(options.Exports) {
		t.Errorf("%+v", d)
	}
}

func TestCompiler(t *testing.T) {
	t.Parallel()
	plain := wasmtest.Encode(wasmtest.Filter())
	for want, wasm := range map[string][]byte{
		"":                        plain,
		"Go 1.26.8":               withProducers(plain, "processed-by", [2]string{"Go cmd/compile", "go1.26.8"}),
		"rustc 1.95.0 (abc 2026)": withProducers(plain, "processed-by", [2]string{"clang", "x"}, [2]string{"rustc", "1.95.0 (abc 2026)"}),
		"clang 16, wasm-ld 16":    withProducers(plain, "processed-by", [2]string{"clang", "16"}, [2]string{"wasm-ld", "16"}),
		"wasm-opt ?":              withProducers(plain, "processed-by", [2]string{"wasm-opt", "\xff"}),
	} {
		d, err := Describe(t.Context(), wasm)
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if d.Compiler != want {
			t.Errorf("compiler is %q, want %q", d.Compiler, want)
		}
	}
	// A section that is cut off yields what is there, and does no harm.
	long := withProducers(plain, "processed-by", [2]string{"TinyGo", "0.41.1"})
	content := long[len(plain)+2:]
	for n := len("producers") + 2; n < len(content); n++ {
		if _, err := Describe(t.Context(), appendSection(slices.Clone(plain), 0, content[:n])); err != nil {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
}
