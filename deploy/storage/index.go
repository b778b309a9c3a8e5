package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// IndexVersion is the version of index.json's format. It changes when a reader of the old
// format could misread the new one.
const IndexVersion = 1

// Index is the content of <filter>/index.json, from which people and tools learn which
// versions there are.
type Index struct {
	// IndexVersion is IndexVersion.
	IndexVersion int `json:"indexVersion"`
	// Name is the filter's name.
	Name string `json:"name"`
	// Versions are the filter's versions, the newest first (semver order).
	Versions []IndexEntry `json:"versions"`
}

// IndexEntry is one version of a filter.
type IndexEntry struct {
	// Version is the version, for example "1.4.0".
	Version string `json:"version"`
	// Path is the path of the module, relative to index.json.
	Path string `json:"path"`
	// WasmSHA256 is the sha256 of the module, in hex.
	WasmSHA256 string `json:"wasmSha256"`
	// Size is the module's size in bytes.
	Size int64 `json:"size"`
	// OCIReference is the reference of the same module in a registry, pinned by its manifest
	// digest ("ghcr.io/acme/filters/headers@sha256:…"); empty while it is not known.
	OCIReference string `json:"ociReference,omitempty"`
}

// ParseIndex reads an index.json. It refuses a later format, and any text that it would not
// write in the same way.
func ParseIndex(data []byte, filter string) (*Index, error) {
	// The format comes first: a later one may have fields that this one does not know.
	var form struct {
		IndexVersion int `json:"indexVersion"`
	}
	if json.Unmarshal(data, &form) == nil && form.IndexVersion > IndexVersion {
		return nil, fmt.Errorf("it has form %d, and this Slipway knows %d; use a newer one", form.IndexVersion, IndexVersion)
	}
	index := new(Index)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(index); err != nil {
		return nil, finding.Mismatch(fmt.Errorf("it is not an index of Slipway: %w; move it away to have a new one written", err))
	}
	if index.IndexVersion != IndexVersion || index.Name != filter {
		return nil, finding.Mismatch(fmt.Errorf("it is the index of %q in form %d, not of %q in form %d; move it away to have a new one written", shorten(index.Name), index.IndexVersion, filter, IndexVersion))
	}
	var before version.Version
	for _, entry := range index.Versions {
		v, err := version.Parse(entry.Version)
		if err != nil {
			return nil, finding.Mismatch(err)
		}
		if !before.IsZero() && v.Compare(before) >= 0 {
			return nil, finding.Mismatch(fmt.Errorf("version %s stands after %s, and the newest should come first", v, before))
		}
		if err := entry.check(filter); err != nil {
			return nil, finding.Mismatch(fmt.Errorf("version %s %w", v, err))
		}
		before = v
	}
	return index, nil
}

// aDigest matches a reference that is pinned by its digest.
var aDigest = regexp.MustCompile(`^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$`)

// check compares what an entry says with what it can only be.
func (e IndexEntry) check(filter string) error {
	switch {
	case !isSHA256(e.WasmSHA256):
		return fmt.Errorf("has the wasm sha256 %q", shorten(e.WasmSHA256))
	case e.Path != modulePath(filter, e.Version):
		return fmt.Errorf("has the path %q, and should have %s", shorten(e.Path), modulePath(filter, e.Version))
	case e.Size <= 0:
		return fmt.Errorf("has %d bytes", e.Size)
	case e.OCIReference != "" && !aDigest.MatchString(e.OCIReference):
		return fmt.Errorf("has the OCI reference %q, which names no manifest by its digest", shorten(e.OCIReference))
	}
	return nil
}

// modulePath is the path of a module, relative to index.json.
func modulePath(filter, version string) string {
	return strings.TrimPrefix(ModuleKey(filter, version), filter+"/")
}

// Find returns the entry of a version, or nil.
func (i *Index) Find(version string) *IndexEntry {
	for n := range i.Versions {
		if i.Versions[n].Version == version {
			return &i.Versions[n]
		}
	}
	return nil
}

// addEntry adds a version to an index. If the version is there without a reference, it adds
// the reference. Nothing else about a version ever changes. name is the index's address, for
// messages.
func addEntry(old []byte, filter string, entry IndexEntry, name string) ([]byte, error) {
	index := &Index{IndexVersion: IndexVersion, Name: filter}
	if len(old) > 0 {
		var err error
		if index, err = ParseIndex(old, filter); err != nil {
			return nil, err
		}
	}
	conflict := func(kind, published, ours string) error {
		return &immutable.Conflict{Name: name + ": version " + entry.Version, Kind: kind, Published: published, Ours: ours}
	}
	known := index.Find(entry.Version)
	switch {
	case known == nil:
		index.Versions = append(index.Versions, entry)
	case known.WasmSHA256 != entry.WasmSHA256:
		return nil, conflict("wasm sha256", known.WasmSHA256, entry.WasmSHA256)
	case known.Size != entry.Size:
		return nil, conflict("size", fmt.Sprint(known.Size), fmt.Sprint(entry.Size))
	case entry.OCIReference == "" || known.OCIReference == entry.OCIReference:
		return old, nil
	case known.OCIReference != "":
		return nil, conflict("OCI reference", known.OCIReference, entry.OCIReference)
	default:
		known.OCIReference = entry.OCIReference
	}
	slices.SortFunc(index.Versions, func(a, b IndexEntry) int {
		return semver.MustParse(b.Version).Compare(semver.MustParse(a.Version)) // both were checked
	})
	data, err := json.MarshalIndent(index, "", "  ")
	return append(data, '\n'), err
}
