package inspect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

// Description says what a module is, and which Envoy versions load it.
type Description struct {
	// Size is the module's size in bytes.
	Size int64 `json:"size"`
	// WasmSHA256 is the sha256 of the module, in lowercase hex.
	WasmSHA256 string `json:"wasmSha256"`
	// Compiler names what made the module, as its producers section says; empty if it has no
	// such section.
	Compiler string `json:"compiler,omitempty"`
	Report
	// Sections are the parts of the file, in the file's order.
	Sections []Section `json:"sections"`
	// Envoys says for each range of Envoy versions whether they load the module.
	Envoys []Envoys `json:"envoys"`
	// Defects are the reasons why the module cannot work, although Envoy would load it.
	Defects []string `json:"defects,omitempty"`
	// Started is the result of starting the module, beyond what Reasons and Defects say; nil
	// if Envoy would not load it.
	Started *Started `json:"started,omitempty"`
}

// Envoys is a range of Envoy versions that treat a module alike.
type Envoys struct {
	// From and To are the first and the last version, as major.minor. If To is empty, the
	// range has no end.
	From string `json:"from"`
	To   string `json:"to,omitempty"`
	// Loads says whether they load it.
	Loads bool `json:"loads"`
	// Reasons say why they do not load it, one line each.
	Reasons []string `json:"reasons,omitempty"`
}

// Versions is the range as a person reads it: "1.26 to 1.32".
func (e Envoys) Versions() string {
	switch e.To {
	case "":
		return e.From + " and later"
	case e.From:
		return e.From
	}
	return e.From + " to " + e.To
}

// Describe describes any WebAssembly module, and starts it with an empty configuration. It
// describes a module that Envoy would not load as well. It returns the errors of Module.
func Describe(ctx context.Context, wasm []byte) (*Description, error) {
	report, err := checked(ctx, wasm, StartOptions{})
	if err != nil {
		return nil, err
	}
	list, contents, err := sections(wasm)
	if err != nil {
		return nil, fmt.Errorf("inspect module: %w", err)
	}
	d := &Description{
		Size:       int64(len(wasm)),
		WasmSHA256: checksum.Bytes(wasm),
		Compiler:   compiler(producers(list, contents)["processed-by"]),
		Report:     *report,
		Sections:   list,
		Envoys:     report.envoys(),
		Defects:    slices.Clone(report.defects),
		Started:    report.started,
	}
	return d, nil
}

// envoys checks one version per range between two changes of the tables, and joins
// neighbouring ranges with the same answer.
func (r *Report) envoys() []Envoys {
	var runs []Envoys
	for _, from := range []string{envoyBaseline, envoyGoWASI, envoyAfterV2, envoyGrowth, envoyFullWASI} {
		reasons := slices.Concat(r.problems, r.lacks(from))
		if last := len(runs) - 1; last >= 0 {
			if slices.Equal(runs[last].Reasons, reasons) {
				continue
			}
			runs[last].To = before(from)
		}
		runs = append(runs, Envoys{From: from, Loads: len(reasons) == 0, Reasons: reasons})
	}
	return runs
}

// lacks lists what the module needs and the given Envoy does not offer, though a later one
// does: imports, a WebAssembly feature, and calls at start.
func (r *Report) lacks(envoy string) []string {
	var lacks []string
	if r.newer != "" && versionLess(envoy, envoyAfterV2) {
		lacks = append(lacks, fmt.Sprintf("it uses %s, which came after WebAssembly 2.0: seen to load from Envoy %s on", r.newer, envoyAfterV2))
	}
	for _, f := range r.Imports {
		table := proxyFunctions
		if f.Module != "env" {
			table = wasiFunctions
		}
		if offered, ok := table[f.Name]; ok && versionLess(envoy, offered.since) {
			lacks = append(lacks, fmt.Sprintf("missing import: %s.%s: Envoy offers it from %s on", f.Module, f.Name, offered.since))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.calls)) {
		if since := r.calls[name]; versionLess(envoy, since) {
			lacks = append(lacks, fmt.Sprintf("it calls %s at start, which Envoy forbids there before %s", name, since))
		}
	}
	return lacks
}

// before returns the version before a major.minor version from the tables.
func before(version string) string {
	major, minor, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(minor)
	return major + "." + strconv.Itoa(n-1)
}

// compiler says what made a module. It gets the values of the module's producers section.
func compiler(by []string) string {
	for _, compiler := range []string{"TinyGo", "Go cmd/compile", "rustc"} { // before clang, which many modules list as well
		if i := slices.IndexFunc(by, func(made string) bool { return strings.HasPrefix(made, compiler) }); i >= 0 {
			return strings.Replace(by[i], "Go cmd/compile go", "Go ", 1)
		}
	}
	return strings.Join(by, ", ")
}
