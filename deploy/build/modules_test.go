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

// linked matches a line of the build information that Go's linker puts into a binary: the main
// module, or a module from which a package was linked.
//
// Reference: https://pkg.go.dev/runtime/debug#BuildInfo
var linked = regexp.MustCompile(`(?m)^(mod|dep|=>)\t([^\t\n]+)\t([^\t\n]+)`)

// TestModules: the record lists the modules from which the bill of materials is made. They are
// the ones that the linker reports for the wasm file, and no others of the pipeline.
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
			if string(match[3]) == "(devel)" { // a folder, whose name means something on this machine only
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
