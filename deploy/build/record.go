package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// RecordVersion is the version of the record's format. It changes when a reader of the old
// format could misread the new one.
const RecordVersion = 2

// Record is the content of dist/<filter>.json. It depends only on the sources and the
// compiler, not on the time or the place of the build.
type Record struct {
	// RecordVersion is RecordVersion.
	RecordVersion int `json:"recordVersion"`
	// Name is the filter's name.
	Name string `json:"name"`
	// WasmSHA256 is the sha256 of the wasm file, in lowercase hex. Proxies compare it with a
	// module from an http(s) source; an OCI manifest has its own digest.
	WasmSHA256 string `json:"wasmSha256"`
	// Size is the wasm file's size in bytes.
	Size int64 `json:"size"`
	// Compiler describes the compiler that built the module.
	Compiler Toolchain `json:"compiler"`
	// Modules are the Go modules whose packages were compiled, sorted by path.
	Modules []GoModule `json:"modules"`
	// Inputs are the files that decided the module's bytes, besides the compiler, its flags
	// and Go's standard library. They map a name to the sha256 in lowercase hex. The name is
	// the one that "go build -trimpath" writes: the Go module's path, with @ and its version
	// if it has one, and the file's path in the module: "example.com/filters/headers/main.go".
	Inputs map[string]string `json:"inputs"`
	inspect.Report
}

// GoModule is a Go module whose packages were compiled.
type GoModule struct {
	// Path is the module's path.
	Path string `json:"path"`
	// Version is the module's version. It is empty for the filter's own module, and for a
	// module that is replaced by a folder.
	Version string `json:"version,omitempty"`
}

// Errors that Load returns, possibly wrapped.
var (
	// ErrNotBuilt says that the module or its record is missing.
	ErrNotBuilt = errors.New("not built")
	// ErrChanged says that the module is not the one that its record describes.
	ErrChanged = errors.New("changed after it was built")
)

// DifferentInputs returns the names of the files that differ between the two records, or are
// in one of them only, sorted.
func (r Record) DifferentInputs(other Record) []string {
	return differentInputs(r.Inputs, other.Inputs)
}

// SDKVersion is the version of proxy-wasm-go-sdk in the module; empty if the
// filter was written without it.
func (r Record) SDKVersion() string {
	for _, m := range r.Modules {
		if m.Path == "github.com/tetratelabs/proxy-wasm-go-sdk" {
			return m.Version
		}
	}
	return ""
}

// Load reads modules back from dist, in the order of the names, and compares each with its
// record. dist is a folder; empty means "dist". The errors are ErrNotBuilt, ErrChanged, and
// those of reading a file.
func Load(dist string, names []string) ([]Module, error) {
	dist, err := distFolder(dist)
	if err != nil {
		return nil, err
	}
	modules := make([]Module, len(names))
	if err := concurrent.Each(runtime.GOMAXPROCS(0), names, func(i int, name string) (err error) {
		modules[i], err = loadOne(dist, name)
		return err
	}); err != nil {
		return nil, err
	}
	return modules, nil
}

func loadOne(dist, name string) (Module, error) {
	fail := func(err error) (Module, error) {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrNotBuilt, err)
		}
		return Module{}, fmt.Errorf("module %s: %w", name, err)
	}
	module := Module{Path: filepath.Join(dist, name+".wasm")}
	data, err := os.ReadFile(recordPath(dist, name))
	if err != nil {
		return fail(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&module.Record); err != nil {
		return fail(fmt.Errorf("%w: read its record: %w", ErrChanged, err))
	}
	if module.RecordVersion != RecordVersion || module.Name != name {
		return fail(fmt.Errorf("%w: its record is for %q, version %d", ErrChanged, module.Name, module.RecordVersion))
	}
	sum, err := checksum.File(os.Open, module.Path)
	if err != nil {
		return fail(err)
	}
	if sum != module.WasmSHA256 {
		return fail(fmt.Errorf("%w: wasm sha256 is %s, its record says %s", ErrChanged, sum, module.WasmSHA256))
	}
	return module, nil
}

// Check inspects the module in its file, and starts it with the example of the filter's
// metadata, as Build did. It repeats that because another version of Slipway may have built
// the module. The error is the one of inspect.Check.
func (m Module) Check(ctx context.Context, metadata catalog.Metadata) (*inspect.Report, error) {
	example, err := metadata.ExampleConfiguration()
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", m.Path, err)
	}
	report, err := inspect.File(ctx, m.Path, inspect.StartOptions{Configuration: &example, Memory: inspect.EnvoyMemory})
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", m.Path, err)
	}
	return report, nil
}

func recordPath(dist, name string) string { return filepath.Join(dist, name+".json") }

func newRecord(name string, wasm []byte, toolchain Toolchain, sources []Package, inputs map[string]string, report *inspect.Report) Record {
	return Record{
		RecordVersion: RecordVersion,
		Name:          name,
		WasmSHA256:    checksum.Bytes(wasm),
		Size:          int64(len(wasm)),
		Compiler:      toolchain,
		Modules:       goModules(sources),
		Inputs:        inputs,
		Report:        *report,
	}
}

// place puts the module and its record into dist. The module goes first: if the record does
// not follow, the old one does not match the module, and Load says so.
func place(dist, built string, record Record) (Module, error) {
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return Module{}, err
	}
	path := filepath.Join(dist, record.Name+".wasm")
	// The permissions of the compiler's file depend on the umask.
	if err := os.Chmod(built, 0o644); err != nil {
		return Module{}, err
	}
	if err := os.Rename(built, path); err != nil {
		return Module{}, err
	}
	if err := scratch.WriteFile(recordPath(dist, record.Name), append(data, '\n'), 0o644); err != nil {
		return Module{}, err
	}
	// What Load returns is compared with it, and knows only what is written.
	var written Record
	if err := json.Unmarshal(data, &written); err != nil {
		return Module{}, err
	}
	return Module{Path: path, Record: written}, nil
}
