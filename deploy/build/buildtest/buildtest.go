// Package buildtest makes built filters for tests: small modules with the records of a build.
package buildtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Release is a release of a version. It is the same at each call.
func Release(text string, filters ...build.Built) build.Release {
	return build.Release{
		Version:     version.MustParse(text),
		Filters:     filters,
		Revision:    "0123456789abcdef0123456789abcdef01234567",
		Source:      "https://github.com/acme/filters",
		Created:     time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC),
		EnvoyTested: "1.36.4",
	}
}

// Played is the report of two scenarios of each filter, in two Envoys.
func Played(filters ...build.Built) *scenario.Report {
	report := scenario.Report{Modules: map[string]string{}, EnvoyVersions: []string{"1.36.4", "1.40.0"}}
	for _, f := range filters {
		report.Modules[f.Module.Name] = f.Module.WasmSHA256
		for _, name := range []string{"sets a header", "removes a header"} {
			for _, version := range report.EnvoyVersions {
				report.Results = append(report.Results, scenario.Result{Scenario: name, Filter: f.Module.Name, EnvoyVersion: version, Outcome: scenario.Passed, Steps: 1, Duration: time.Second})
			}
		}
	}
	return &report
}

// Filter writes a module that Envoy loads, and returns it like one that was built.
// Different content makes a different module.
func Filter(t testing.TB, name, content string) build.Built {
	t.Helper()
	options := wasmtest.Filter()
	options.Custom = content
	return Module(t, name, wasmtest.Encode(options))
}

// Module writes a module, and returns it like one that was built.
func Module(t testing.TB, name string, wasm []byte) build.Built {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return At(path, name, wasm)
}

// At returns the module in a file like one that was built. The report of a module that Envoy
// does not load is empty.
func At(path, name string, wasm []byte) build.Built {
	report, err := inspect.Module(context.Background(), wasm)
	if err != nil {
		report = &inspect.Report{}
	}
	return build.Built{
		Module: build.Module{Path: path, Record: build.Record{
			RecordVersion: build.RecordVersion,
			Name:          name,
			WasmSHA256:    checksum.Bytes(wasm),
			Size:          int64(len(wasm)),
			Compiler:      build.Toolchain{Name: "tinygo", Version: "0.41.1", GoVersion: "go1.22.12", Flags: []string{"-no-debug"}},
			Modules: []build.GoModule{
				{Path: "github.com/acme/filters"},
				{Path: "github.com/tetratelabs/proxy-wasm-go-sdk", Version: "v0.24.0"},
			},
			Report: *report,
		}},
		Filter: catalog.Filter{Name: name, Metadata: catalog.Metadata{Title: "The " + name + " filter", Description: "It does what a test needs, with <angle> brackets & more.", License: "Apache-2.0"}},
	}
}
