// Package purl writes the package URLs by which statements and bills of materials
// name what a filter is made of.
package purl

import (
	"strings"

	"github.com/package-url/packageurl-go"
)

// GoModule is a Go module at a version, with its capitals: its sum is looked up by
// them. Go's standard library is the module std, and its version has no prefix.
func GoModule(path, version string) string {
	namespace, name := "", path
	if slash := strings.LastIndexByte(path, '/'); slash >= 0 {
		namespace, name = path[:slash], path[slash+1:]
	}
	return packageurl.NewPackageURL(packageurl.TypeGolang, namespace, name, version, nil, "").ToString()
}

// Generic is anything with a name and a version.
func Generic(name, version string) string {
	return packageurl.NewPackageURL(packageurl.TypeGeneric, "", name, version, nil, "").ToString()
}
