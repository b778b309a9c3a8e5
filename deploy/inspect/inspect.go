// Package inspect tells whether Envoy would load a wasm module, and why not.
//
// A module that a proxy refuses takes down the traffic behind it, and only the proxy's log
// shows the refusal. The module itself says whether Envoy takes it: by its imports, its
// exports and their types. So it is checked before it leaves the machine that built it.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Function is a function that a module imports or exports.
type Function struct {
	// Module is the name of the module that an import comes from; empty for an
	// export.
	Module string `json:"module,omitempty"`
	// Name is the function's name.
	Name string `json:"name"`
	// Signature is the function's type as WebAssembly's text format writes value
	// types, for example "(i32, i64) -> (i32)".
	Signature string `json:"signature"`
}

// Report is what a module declares about itself.
type Report struct {
	// ABI is the proxy-wasm ABI version, for example "0.2.0"; empty if the module exports no
	// proxy_abi_version_x_y_z function that Envoy knows.
	ABI string `json:"abi"`
	// EnvoyMin is the lowest Envoy version, as major.minor, that offers every
	// imported function; empty if none does.
	EnvoyMin string `json:"envoyMin,omitempty"`
	// Imports and Exports are the functions, sorted by module and name.
	Imports []Function `json:"imports"`
	Exports []Function `json:"exports"`

	// newer names the feature after WebAssembly 2.0 that the module uses; empty if it uses
	// none.
	newer    string
	calls    map[string]string // the host functions that it calls at start, with the first Envoy that allows each
	started  *Started          // nil if it was not started, because Envoy would not load it
	trapped  string            // the function that trapped then
	problems []string          // why Envoy would not load it
	defects  []string          // why it cannot work, although Envoy would load it
}

// Exported reports whether the module exports a function with the given name.
func (r *Report) Exported(name string) bool {
	return slices.ContainsFunc(r.Exports, func(f Function) bool { return f.Name == name })
}

// Problems lists why Envoy would not load the module, or could not use it, one line each. It
// is empty for a module that loads and can work.
func (r *Report) Problems() []string { return slices.Concat(r.problems, r.defects) }

// Trapped is the function that trapped when the module was started; empty if none did.
func (r *Report) Trapped() string { return r.trapped }

// ErrWouldNotLoad is in the chain of every error that Check returns for a valid module that
// Envoy would refuse or could not use.
var ErrWouldNotLoad = errors.New("envoy would not load the module")

// Check inspects a module and starts it as Envoy does. If Envoy would not load it, or could
// not use it, the error names every import or export at fault, or the call that failed.
func Check(ctx context.Context, wasm []byte, opts StartOptions) (*Report, error) {
	report, err := checked(ctx, wasm, opts)
	if err != nil {
		return nil, err
	}
	if problems := report.Problems(); len(problems) > 0 {
		return report, fmt.Errorf("%w: %s", ErrWouldNotLoad, strings.Join(problems, "; "))
	}
	return report, nil
}

// checked returns the report of a module after starting it.
func checked(ctx context.Context, wasm []byte, opts StartOptions) (*Report, error) {
	m, err := read(ctx, wasm)
	if err != nil {
		return nil, err
	}
	defer m.close()
	if err := m.start(ctx, opts); err != nil {
		return nil, fmt.Errorf("inspect module: start it: %w", err)
	}
	return m.report, nil
}

// Module reads a module's imports and exports, and does not start it. It fails if the bytes
// are not a valid module of WebAssembly 2.0, or of the later features that Envoy takes.
func Module(ctx context.Context, wasm []byte) (*Report, error) {
	m, err := read(ctx, wasm)
	if err != nil {
		return nil, err
	}
	m.close()
	return m.report, nil
}

// module is a module that was read and can be started.
type module struct {
	report   *Report
	shape    *shape
	wasm     []byte // bounded, see shape
	features api.CoreFeatures
	size     uint64 // of the module as it was given
	outlined bool   // its functions' bodies were not read
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

func (m *module) close() { _ = m.runtime.Close(context.Background()) }

func read(ctx context.Context, wasm []byte) (*module, error) {
	invalid := func(err error) (*module, error) {
		return nil, fmt.Errorf("inspect module: not a valid WebAssembly module: %w", err)
	}
	list, contents, err := sections(wasm)
	if err != nil {
		return invalid(err)
	}
	shape, err := shapeOf(list, contents)
	if err != nil {
		return invalid(err)
	}
	m := &module{shape: shape, features: api.CoreFeaturesV2, size: uint64(len(wasm)), outlined: shape.code > maxCode}
	if m.outlined {
		m.wasm = outline(wasm[:8], list, contents)
	} else {
		m.wasm = shape.bounded(wasm[:8], list, contents)
	}
	err = m.compile(ctx, interpreter)
	newer := disabled(err)
	if newer != "" {
		m.features |= afterV2
		err = m.compile(ctx, interpreter)
	}
	if err != nil && strings.Contains(err.Error(), "legacy exception handling") {
		// Envoy takes these instructions, but wazero reads none of them. So the bodies of
		// functions stay unread.
		newer, m.outlined = "exception-handling", true
		m.wasm = outline(wasm[:8], list, contents)
		err = m.compile(ctx, interpreter)
	}
	if err != nil {
		return invalid(err)
	}

	r := &Report{newer: newer}
	imports, exports := functionsOf(m.compiled)
	r.Imports, r.Exports = listed(imports), listed(exports)
	r.checkABI()
	r.problems = append(r.problems, shape.problems...)
	r.checkImports(imports)
	starts := slices.ContainsFunc(list, func(s Section) bool { return s.Name == sectionNames[sectionStart] })
	r.checkExports(exports, starts)
	if _, ok := m.compiled.ExportedMemories()["memory"]; !ok {
		r.defects = append(r.defects, `no export "memory": the host cannot reach the module's memory`)
	}
	if shape.pages > maxPages {
		r.problem("it wants %d MiB of memory at first, and Envoy gives %d at most", shape.pages/16, maxPages/16)
	}
	m.report = r
	return m, nil
}

// afterV2 are features that came after WebAssembly 2.0 and that Envoy takes.
const afterV2 = experimental.CoreFeaturesThreads | experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesExceptionHandling

// The two ways in which wazero can run a module. For a module of 2.5 MB from the ordinary Go
// compiler, reading and starting take 0.2 seconds with the interpreter and 1.2 with the
// compiler: little code runs at start, and compiling the rest takes long.
var (
	interpreter = wazero.NewRuntimeConfigInterpreter
	machineCode = wazero.NewRuntimeConfig // where the platform has one
)

// compile validates the module, and prepares it to be started.
func (m *module) compile(ctx context.Context, config func() wazero.RuntimeConfig) (err error) {
	pages := uint32(maxPages)
	if m.shape.pages > maxPages {
		pages = 1 << 16 // WebAssembly allows that; it is not started
	}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, config().WithCoreFeatures(m.features).
		WithMemoryLimitPages(pages).
		WithCloseOnContextDone(true)) // ends an endless loop
	if m.compiled, err = m.runtime.CompileModule(ctx, m.wasm); err != nil {
		m.close()
	}
	return err
}

var disabledFeature = regexp.MustCompile(`feature "([^"]+)" is disabled`)

// disabled names the feature whose absence made wazero refuse a module; empty if the reason
// was another.
func disabled(err error) string {
	if err == nil {
		return ""
	}
	if match := disabledFeature.FindStringSubmatch(err.Error()); match != nil {
		return match[1]
	}
	return ""
}

// function is a Function with its types as the tables write them.
type function struct {
	module, name    string
	params, results []api.ValueType
}

func functionsOf(compiled wazero.CompiledModule) (imports, exports []function) {
	for _, def := range compiled.ImportedFunctions() {
		from, name, _ := def.Import()
		imports = append(imports, function{from, name, def.ParamTypes(), def.ResultTypes()})
	}
	for name, def := range compiled.ExportedFunctions() {
		exports = append(exports, function{"", name, def.ParamTypes(), def.ResultTypes()})
	}
	byName := func(a, b function) int {
		return strings.Compare(a.module+"\x00"+a.name, b.module+"\x00"+b.name)
	}
	slices.SortFunc(imports, byName)
	slices.SortFunc(exports, byName)
	return slices.CompactFunc(imports, func(a, b function) bool {
		return a.module == b.module && a.name == b.name && a.signature() == b.signature()
	}), exports
}

func listed(functions []function) []Function {
	list := make([]Function, 0, len(functions))
	for _, f := range functions {
		list = append(list, Function{Module: f.module, Name: f.name, Signature: f.text()})
	}
	return list
}

// signature is the type in the tables' notation.
func (f function) signature() string {
	letters := func(types []api.ValueType) string {
		var b strings.Builder
		for _, t := range types {
			switch t {
			case api.ValueTypeI32:
				b.WriteByte('i')
			case api.ValueTypeI64:
				b.WriteByte('I')
			default:
				b.WriteByte('?') // no function of the host takes or returns another type
			}
		}
		return b.String()
	}
	return letters(f.params) + ":" + letters(f.results)
}

// text is the type in the text format's notation.
func (f function) text() string {
	names := func(types []api.ValueType) string {
		list := make([]string, len(types))
		for i, t := range types {
			if list[i] = api.ValueTypeName(t); t == typeV128 {
				list[i] = "v128"
			}
		}
		return "(" + strings.Join(list, ", ") + ")"
	}
	return names(f.params) + " -> " + names(f.results)
}

// textOf turns the tables' notation into the text format's.
func textOf(signature string) string {
	params, results, _ := strings.Cut(signature, ":")
	names := strings.NewReplacer("i", "i32, ", "I", "i64, ")
	side := func(s string) string { return "(" + strings.TrimSuffix(names.Replace(s), ", ") + ")" }
	return side(params) + " -> " + side(results)
}

func (r *Report) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *Report) checkABI() {
	for _, version := range []string{"0.1.0", "0.2.0", "0.2.1"} {
		if !r.Exported("proxy_abi_version_" + strings.ReplaceAll(version, ".", "_")) {
			continue
		}
		if r.ABI != "" {
			r.problem("exports proxy_abi_version of both %s and %s; keep one", r.ABI, version)
		}
		r.ABI = version
	}
	if r.ABI == "" {
		r.problem("no export proxy_abi_version_0_2_0: it is not a proxy-wasm module, or main imports no proxy-wasm SDK (with the ordinary Go compiler: filter/gohost)")
	}
}

func (r *Report) checkImports(imports []function) {
	r.EnvoyMin = envoyBaseline
	if r.newer != "" {
		r.EnvoyMin = envoyAfterV2
	}
	for _, f := range imports {
		if f.hasV128() {
			r.problem("import %s.%s has type %s: Envoy ends when it meets a v128 there", f.module, f.name, f.text())
			continue
		}
		var table map[string]hostFunction
		switch f.module {
		case "env":
			table = proxyFunctions
		case "wasi_snapshot_preview1", "wasi_unstable":
			table = wasiFunctions
		}
		offered, ok := table[f.name]
		switch {
		case !ok:
			r.problem("missing import: %s.%s: no Envoy offers it", f.module, f.name)
		case r.ABI != "" && !offered.offeredTo(r.ABI):
			r.problem("missing import: %s.%s: Envoy offers it to ABI %s only, and the module's is %s", f.module, f.name, strings.ReplaceAll(offered.abi, " ", " and "), r.ABI)
		case offered.signature != f.signature():
			r.problem("import %s.%s has type %s, Envoy's is %s", f.module, f.name, f.text(), textOf(offered.signature))
		case versionLess(r.EnvoyMin, offered.since):
			r.EnvoyMin = offered.since
		}
	}
	if len(r.problems) > 0 {
		r.EnvoyMin = ""
	}
}

// checkExports looks for the exports that Envoy calls. starts says that the module has a start
// function, which runs by itself.
func (r *Report) checkExports(exports []function, starts bool) {
	for _, f := range exports {
		if f.hasV128() {
			r.problem("export %s has type %s: Envoy ends when it meets a v128 there", f.name, f.text())
			continue
		}
		want, known := callbacks[f.name]
		if f.name == "main" || f.name == "__main_void" {
			known = r.Exported("_initialize") // else Envoy does not look for them
		}
		if other, ok := callbacksABI01[f.name]; ok && r.ABI == "0.1.0" {
			want = other
		}
		if known && f.signature() != want {
			r.problem("export %s has type %s, Envoy calls it as %s", f.name, f.text(), textOf(want))
		}
	}
	if !r.Exported("proxy_on_memory_allocate") && !r.Exported("malloc") {
		r.problem("no export proxy_on_memory_allocate or malloc: the host cannot hand data to the module")
	}
	if !r.Exported("_initialize") && !r.Exported("_start") && !starts {
		r.defects = append(r.defects, "no export _initialize or _start: the host would not initialize the module")
	}
	if !r.Exported("proxy_on_context_create") {
		r.defects = append(r.defects, "no export proxy_on_context_create: the host could create no context")
	}
}

// versionLess compares two major.minor versions from the tables.
func versionLess(a, b string) bool {
	minor := func(v string) int {
		_, m, _ := strings.Cut(v, ".")
		n, _ := strconv.Atoi(m)
		return n
	}
	return minor(a) < minor(b) // every version in the tables has major version 1
}
