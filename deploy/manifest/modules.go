package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/slipway-wasm/slipway/deploy/internal/regular"
)

// Named is a module as a manifest names it.
type Named struct {
	// File is the manifest's file.
	File string
	// Reference is the module in a registry, without "oci://", for example
	// "ghcr.io/acme/filters/headers:1.4.0@sha256:…". Empty if the module is named by a URL.
	Reference string
	// URL is the address of the raw module, and WasmSHA256 the wasm sha256 beside it, 64 hex
	// digits; empty if there is none.
	URL, WasmSHA256 string
}

// maxManifest is the size in bytes that a manifest file may have. etcd takes no object of more
// than 1.5 MiB: https://etcd.io/docs/v3.6/dev-guide/limit/
const maxManifest = 4 << 20

// Modules reads the manifests below a folder, and returns the modules that they name, in the
// order of the files. It knows WasmPlugin, TrafficExtension, EnvoyFilter, EnvoyExtensionPolicy
// and Envoy's own configuration, whoever wrote them. Other objects name no modules. The error
// is for a file that cannot be read, and for a folder without any module.
func Modules(dir string) ([]Named, error) {
	var all []Named
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return err
		}
		data, err := regular.ReadFile(path, maxManifest)
		if err != nil {
			return err
		}
		for documents := yaml.NewDecoder(bytes.NewReader(data)); ; {
			var document any
			if err := documents.Decode(&document); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			kind := ""
			if object, ok := document.(map[string]any); ok {
				kind, _ = object["kind"].(string)
			}
			name(document, kind == "WasmPlugin" || kind == "TrafficExtension", func(named Named) {
				named.File = path
				all = append(all, named)
			})
		}
	})
	if err == nil && len(all) == 0 {
		err = errors.New("no manifest in it names a module")
	}
	if err != nil {
		return nil, fmt.Errorf("read the manifests in %s: %w", dir, err)
	}
	return all, nil
}

// name calls found with each module that a value names. istio says that an address without
// scheme is one in a registry, as in Istio's objects:
// https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/#WasmPlugin
func name(value any, istio bool, found func(Named)) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			name(element, istio, found)
		}
	case map[string]any:
		sum, hasSum := value["sha256"].(string)
		address, _ := value["url"].(string)
		scheme, rest, hasScheme := strings.Cut(address, "://")
		uri, _ := value["http_uri"].(map[string]any)
		if uri == nil {
			uri, _ = value["httpUri"].(map[string]any)
		}
		switch raw, _ := uri["uri"].(string); {
		case raw != "" && hasSum: // keys of JWTs are fetched from one, too, and have no sum
			found(Named{URL: raw, WasmSHA256: sum})
		case scheme == "oci" && hasScheme:
			found(Named{Reference: rest})
		case scheme == "http" || scheme == "https":
			if istio || hasSum {
				found(Named{URL: address, WasmSHA256: sum})
			}
		case address != "" && !hasScheme && (istio || hasSum):
			found(Named{Reference: address})
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			name(value[key], istio, found)
		}
	}
}
