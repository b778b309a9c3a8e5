package release

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/oci"
)

// RecordVersion is the version of the record's form. It changes when a reader of
// the old form could misread the new one.
const RecordVersion = 2

// Schema is the JSON schema of the record.
//
// Reference: https://json-schema.org/draft/2020-12
//
//go:embed schema/v2.json
var Schema []byte

// SchemaURL is where everybody can read the schema: its $id.
const SchemaURL = "https://raw.githubusercontent.com/slipway-wasm/slipway/main/deploy/release/schema/v2.json"

// Record is the content of release.json: everything that was released. It depends on
// the commit, the compilers, the Envoys and the stores, and on nothing else. So a release that
// was interrupted leaves the same bytes, and they can be signed before the release is done.
type Record struct {
	// Schema is SchemaURL.
	Schema string `json:"$schema"`
	// RecordVersion is RecordVersion.
	RecordVersion int `json:"recordVersion"`
	// Version is the version of all filters, for example "1.4.0".
	Version string `json:"version"`
	// Tag is the git tag of the release: "v1.4.0", or "headers/v1.4.0" for one
	// filter. A rehearsal does not need it to exist.
	Tag string `json:"tag"`
	// Rehearsal says that it was published in the embedded registry and storage,
	// where nobody else can read it.
	Rehearsal bool `json:"rehearsal"`
	// Commit is the full hash of the commit.
	Commit string `json:"commit"`
	// Committed is when the commit was made, in UTC.
	Committed time.Time `json:"committed"`
	// Source is the URL of the sources; empty if they have none.
	Source string `json:"source,omitempty"`
	// Compiler is what built all filters.
	Compiler build.Toolchain `json:"compiler"`
	// EnvoyVersions are the versions of Envoy that the filters ran in, the lowest
	// first.
	EnvoyVersions []string `json:"envoyVersions"`
	// Tools are the programs and libraries that made the release, by name.
	Tools []Tool `json:"tools"`
	// Filters are the filters that were released, by name.
	Filters []FilterRecord `json:"filters"`
}

// FilterRecord is one filter of a release.
type FilterRecord struct {
	// Name is the filter's name.
	Name string `json:"name"`
	// WasmSHA256 is the sha256 of the module, in hex. It is not a manifest digest.
	WasmSHA256 string `json:"wasmSha256"`
	// WasmSize is the module's size in bytes.
	WasmSize int64 `json:"wasmSize"`
	// URL is where readers fetch the module; empty if it is in no storage.
	URL string `json:"url,omitempty"`
	// Manifests are the manifests in the registry, one for each shape; none if it
	// is in no registry.
	Manifests []ManifestRecord `json:"manifests,omitempty"`
	// Scenarios are the scenarios of the filter that the module passed or that were left
	// out, in each version of Envoy. What is signed says the same.
	Scenarios attest.Tests `json:"scenarios,omitempty"`
}

// ManifestRecord is a filter's manifest in one shape.
type ManifestRecord struct {
	// Shape is the manifest's form.
	Shape oci.Shape `json:"shape"`
	// Repository is the repository's full name, and Tag the version's tag in it.
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	// ManifestDigest is the manifest digest, "sha256:…".
	ManifestDigest string `json:"manifestDigest"`
}

// Previous is a version that was published before. No record has it, because it depends on
// when a release looks.
type Previous struct {
	// Version is its version.
	Version string
	// WasmSize is its module's size in bytes.
	WasmSize int64
}

// Tool is a program or library with its version.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// ReadRecord reads a record. It refuses one with another RecordVersion, and one with
// fields that it does not know.
func ReadRecord(path string) (*Record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the release's record: %w", err)
	}
	return ParseRecord(path, data)
}

// ParseRecord does the same with what was read from the path.
func ParseRecord(path string, data []byte) (*Record, error) {
	record, err := parseRecord(data)
	if err != nil {
		return nil, fmt.Errorf("read the release's record %s: %w", path, err)
	}
	return record, nil
}

func parseRecord(data []byte) (*Record, error) {
	// The form's version is checked first, because another form may have fields that
	// are unknown here.
	var form struct {
		RecordVersion int `json:"recordVersion"`
	}
	if json.Unmarshal(data, &form) == nil && form.RecordVersion != RecordVersion {
		return nil, fmt.Errorf("its record version is %d, and this Slipway knows %d", form.RecordVersion, RecordVersion)
	}
	record := new(Record)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(record)
	if err == nil {
		if _, end := decoder.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		return nil, finding.Mismatch(err)
	}
	return record, nil
}

func (r Record) encode() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	return append(data, '\n'), err
}
