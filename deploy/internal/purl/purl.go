// Package purl writes package URLs. Statements and bills of materials name the parts of a
// filter by them.
package purl

import (
	"strings"

	"github.com/package-url/packageurl-go"
)

// GoModule is the URL of a Go module at a version. It keeps capital letters, because sums are
// looked up by the exact path. Go's standard library is the module std, and its version has no
// prefix.
func GoModule(path, version string) string {
	namespace, name := "", path
	if slash := strings.LastIndexByte(path, '/'); slash >= 0 {
		namespace, name = path[:slash], path[slash+1:]
	}
	return packageurl.NewPackageURL(packageurl.TypeGolang, namespace, name, version, nil, "").ToString()
}

// Generic is the URL of anything with a name and a version.
func Generic(name, version string) string {
	return packageurl.NewPackageURL(packageurl.TypeGeneric, "", name, version, nil, "").ToString()
}
