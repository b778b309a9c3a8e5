package inspect

import (
	"maps"
	"slices"
)

// Offered lists the functions that a module may import: those that the given Envoy version, as
// major.minor, offers to modules of the given ABI version. They are sorted by module and name.
func Offered(envoy, abi string) []Function {
	var list []Function
	for _, module := range []struct {
		name  string
		table map[string]hostFunction
	}{
		{"env", proxyFunctions},
		{"wasi_snapshot_preview1", wasiFunctions},
		{"wasi_unstable", wasiFunctions},
	} {
		for _, name := range slices.Sorted(maps.Keys(module.table)) {
			f := module.table[name]
			if !versionLess(envoy, f.since) && f.offeredTo(abi) {
				list = append(list, Function{Module: module.name, Name: name, Signature: textOf(f.signature)})
			}
		}
	}
	return list
}
