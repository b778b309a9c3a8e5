package build_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
)

// linked is a line of the build information that Go's linker puts into a binary:
// the main module, or one that a package was linked from.
//
// Reference: https://pkg.go.dev/runtime/debug#BuildInfo
var linked = regexp.MustCompile(`(?m)^(mod|dep|=>)\t([^\t\n]+)\t([^\t\n]+)`)

// TestModules: the modules of the record, of which the bill of materials is made, are
// those that the linker says are in the wasm, and no other that the pipeline uses.
func TestModules(t *testing.T) {
	t.Parallel()
	modules, err := build.Build(t.Context(), options(t, filterFolder(t, map[string]string{"least": leastFilter})))
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(modules[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, match := range linked.FindAllSubmatch(wasm, -1) {
		module := fmt.Sprintf("%s %s", match[2], match[3])
		switch string(match[1]) {
		case "mod":
			module = fmt.Sprintf("%s ", match[2]) // the filter's own has no version
		case "=>": // it replaces the one before
			last := len(want) - 1
			if string(match[3]) == "(devel)" { // a folder, whose name is this machine's
				name, _, _ := strings.Cut(want[last], " ")
				module = name + " "
			}
			want = want[:last]
		}
		want = append(want, module)
	}
	var got []string
	for _, m := range modules[0].Modules {
		got = append(got, m.Path+" "+m.Version)
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the record names %q, and the linker %q", got, want)
	}
}
