package storage

import (
	"fmt"
	"mime"
	"path"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// ModuleKey is where a module is, as seen from the storage's address.
func ModuleKey(filter, version string) string {
	return filter + "/" + version + "/" + filter + ".wasm"
}

// SumKey is where a module's checksum is. It exists only beside a complete module.
func SumKey(filter, version string) string { return ModuleKey(filter, version) + ".sha256" }

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

// checkNames keeps keys inside the storage's address: what filters and versions
// are made of needs no escaping in a URL and cannot climb out of a folder.
func checkNames(version string, filters []string) error {
	if err := checkVersion(version); err != nil {
		return err
	}
	for _, filter := range filters {
		if err := catalog.CheckName(filter); err != nil {
			return err
		}
	}
	return nil
}

// checkVersion accepts a semantic version with all three numbers, perhaps with a
// pre-release, and without build metadata, which version order ignores.
//
// Reference: https://semver.org/spec/v2.0.0.html
func checkVersion(version string) error {
	v, err := semver.StrictNewVersion(version)
	switch {
	case err != nil && strings.HasPrefix(version, "v"):
		return fmt.Errorf("version %q: write it without the v: %s", version, version[1:])
	case err != nil:
		return fmt.Errorf("version %q is not a semantic version; write three numbers such as 1.4.0, or 1.4.0-rc.1 for a pre-release", version)
	case v.Metadata() != "":
		return fmt.Errorf("version %q: versions that differ only in build metadata count as equal; leave +%s out", version, v.Metadata())
	}
	return nil
}

// baseMediaType is a Content-Type without parameters.
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
