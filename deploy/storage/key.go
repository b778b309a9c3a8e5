package storage

import (
	"errors"
	"mime"
	"path"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// ModuleKey is where a module is, as seen from the storage's address.
func ModuleKey(filter, version string) string {
	return filter + "/" + version + "/" + filter + ".wasm"
}

// SumKey is where a module's checksum is. It exists only beside a complete module.
func SumKey(filter, version string) string { return ModuleKey(filter, version) + ".sha256" }

// BundleKey is where the signed statement about a module is: a sigstore bundle.
func BundleKey(filter, version string) string { return ModuleKey(filter, version) + ".sigstore.json" }

// RecordKey is where the signed statement is that holds the record of a module's release: a
// sigstore bundle.
func RecordKey(filter, version string) string {
	return filter + "/" + version + "/release.json.sigstore.json"
}

// SumsKey is where the checksums of all filters of one version are.
func SumsKey(version string) string { return version + "/SHA256SUMS" }

// IndexKey is where the list of a filter's versions is.
func IndexKey(filter string) string { return filter + "/index.json" }

// WasmMediaType is what a module is served as.
//
// Reference: https://www.iana.org/assignments/media-types/application/wasm
const WasmMediaType = "application/wasm"

// Cache-Control of objects that never change (RFC 8246) and of those that grow.
const (
	cacheForever  = "public, max-age=31536000, immutable"
	cacheCheckNew = "no-cache"
)

// checkNames makes sure that filters and versions have only characters that need no escaping
// in a URL, and that no key leads out of the storage's address.
func checkNames(v version.Version, filters []string) error {
	if v.IsZero() {
		return errors.New("no version was given")
	}
	for _, filter := range filters {
		if err := catalog.CheckName(filter); err != nil {
			return err
		}
	}
	return nil
}

// baseMediaType returns a Content-Type without its parameters.
func baseMediaType(contentType string) string {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return contentType
	}
	return mediaType
}

// sumFile is the content of the object under SumKey: a line that
// "sha256sum -c" reads in the folder of the module.
//
// Reference: https://www.gnu.org/software/coreutils/manual/html_node/cksum-output-modes.html
func sumFile(filter, wasmSHA256 string) []byte {
	return []byte(wasmSHA256 + "  " + path.Base(ModuleKey(filter, "0.0.0")) + "\n")
}
