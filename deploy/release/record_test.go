package release_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// schema is the record's schema, as a validator that also checks formats.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(release.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(release.SchemaURL, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(release.SchemaURL)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, record string) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(record))
	if err != nil {
		t.Fatal(err)
	}
	return schema(t).Validate(value)
}

// TestSchema: records of releases satisfy the schema, and records that a tool could not
// use do not.
func TestSchema(t *testing.T) {
	t.Parallel()
	p, there := newProject(t), newPlaces(t)
	job{Dir: p.dir, Version: "1.4.0"}.must(t)
	record := p.read(t, "dist/release.json")
	if err := validate(t, record); err != nil {
		t.Errorf("a rehearsal: %v", err)
	}
	for _, tag := range []string{"v1.4.0", "headers/v1.5.0-rc.1"} {
		p.git(t, "tag", tag)
		there.job(p, tag).must(t)
		if err := validate(t, p.read(t, "dist/release.json")); err != nil {
			t.Errorf("release %s: %v", tag, err)
		}
	}
	for name, change := range map[string][2]string{
		"other form":          {`"recordVersion": 2`, `"recordVersion": 1`},
		"version with v":      {`"version": "1.4.0"`, `"version": "v1.4.0"`},
		"tag without v":       {`"tag": "v1.4.0"`, `"tag": "1.4.0"`},
		"dirty commit":        {`"commit": "`, `"commit": "dirty-`},
		"no time":             {`"committed": "2026-03-29T01:30:00Z"`, `"committed": "2026-03-29"`},
		"local time":          {`"committed": "2026-03-29T01:30:00Z"`, `"committed": "2026-03-29T01:30:00+01:00"`},
		"unknown field":       {`"rehearsal": true`, `"rehearsal": true, "practice": true`},
		"digest as sum":       {`"wasmSha256": "`, `"wasmSha256": "sha256:`},
		"sum as digest":       {`"manifestDigest": "sha256:`, `"manifestDigest": "`},
		"unknown shape":       {`"shape": "compat"`, `"shape": "solo"`},
		"relative URL":        {`"url": "http://127.0.0.1:5001`, `"url": "`},
		"no Envoy":            {`"envoyVersions": [`, `"envoyVersions": [], "x": [`},
		"negative size":       {`"wasmSize": `, `"wasmSize": -`},
		"commit misspelt":     {`"commit"`, `"comit"`},
		"filter's bad name":   {`"name": "headers"`, `"name": "../headers"`},
		"compiler unknown":    {`"name": "tinygo"`, `"name": "rust"`},
		"schema of another":   {`/v2.json"`, `/v1.json"`},
		"failed scenario":     {`"outcome": "passed"`, `"outcome": "failed"`},
		"scenario of a kind":  {`"scenario": "answers`, `"kind": "answers`},
		"Envoy's bad version": {`"envoyVersion": "1.`, `"envoyVersion": "v1.`},
		"empty tool version":  {`"name": "go",`, `"name": "",`},
	} {
		if !strings.Contains(record, change[0]) {
			t.Fatalf("%s: no %s in the record", name, change[0])
		}
		if err := validate(t, strings.Replace(record, change[0], change[1], 1)); err == nil {
			t.Errorf("%s: it keeps to the schema", name)
		}
	}
}

func TestReadRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "release.json")
	for content, want := range map[string]string{
		`{"recordVersion": 2, "version": "1.4.0"}`: "",
		`{"recordVersion": 9}`:                     "its record version is 9, and this Slipway knows 2",
		`{"recordVersion": 2, "extra": true}`:      "unknown field",
		`{"recordVersion": 2} {}`:                  "something follows it",
		`{"recordVersion": 2`:                      "unexpected EOF",
		``:                                         "EOF",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		record, err := release.ReadRecord(path)
		switch {
		case want == "" && (err != nil || record.Version != "1.4.0"):
			t.Errorf("%s: %+v, %v", content, record, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path)):
			t.Errorf("%s: error %v, want %q and the path", content, err, want)
		}
	}
	if _, err := release.ReadRecord(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	record := release.Record{
		Version:       "1.4.0",
		Commit:        strings.Repeat("a", 40),
		Compiler:      build.Toolchain{Name: "go", Version: "1.26.8", GoVersion: "go1.26.8"},
		EnvoyVersions: []string{"1.36.4", "1.40.0"},
		Filters: []release.FilterRecord{
			{Name: "authtoken", WasmSHA256: strings.Repeat("b", 64), WasmSize: 900, URL: "https://f.example/a.wasm"},
			{Name: "headers", WasmSHA256: strings.Repeat("c", 64), WasmSize: 1000, URL: "https://f.example/h.wasm"},
			{Name: "requestlog", WasmSHA256: strings.Repeat("d", 64), WasmSize: 1000, URL: "https://f.example/r.wasm"},
		},
	}
	record.Filters[0].Scenarios = attest.Tests{{Scenario: "a | b", EnvoyVersion: "1.36.4", Outcome: scenario.Passed}, {Scenario: "a | b", EnvoyVersion: "1.40.0", Outcome: scenario.LeftOut}}
	record.Filters[1].Scenarios = attest.Tests{{Scenario: "c", EnvoyVersion: "1.40.0", Outcome: scenario.Passed}}
	record.Filters[0].Manifests = []release.ManifestRecord{{Shape: oci.Artifact, Repository: "ghcr.io/acme/authtoken", Tag: "1.4.0", ManifestDigest: "sha256:" + strings.Repeat("e", 64)}}
	notes := record.Notes(map[string]release.Previous{"authtoken": {Version: "1.3.0", WasmSize: 1000}, "headers": {Version: "1.2.0", WasmSize: 1000}})
	for _, want := range []string{
		"with go1.26.8, twice", "Tested in Envoy 1.36.4, 1.40.0.",
		"\n| filter | scenario | Envoy 1.36.4 | Envoy 1.40.0 |\n|---|---|---|---|\n| authtoken | a \\| b | passed | left out |\n| headers | c |  | passed |\n\n",
		"| authtoken | 900 | -100 (-10.0 %) since 1.3.0 |", "| headers | 1000 | same as 1.2.0 |", "| requestlog | 1000 | new |",
		"oci://ghcr.io/acme/authtoken:1.4.0@sha256:" + strings.Repeat("e", 64),
		"| headers | <https://f.example/h.wasm> | `" + strings.Repeat("c", 64) + "` |",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in:\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "rehearsal") {
		t.Errorf("it is no rehearsal:\n%s", notes)
	}
}
