package build

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// counting counts the commands that list sources.
type counting struct {
	Compiler
	lists *int
}

func (c counting) Sources(ctx context.Context, dirs ...string) ([][]Package, error) {
	*c.lists++
	return c.Compiler.Sources(ctx, dirs...)
}

// One command lists for all filters what one for each would: the sum over a filter's
// sources, and its bill of materials, are the same.
func TestSources(t *testing.T) {
	t.Parallel()
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join("..", "..", "filter")})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{Go, TinyGo} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiler, err := Find(name, "", "")
			if errors.Is(err, ErrNoTinyGo) {
				t.Log("TinyGo is not installed, and lists nothing")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			lists := 0
			together := sourcesOf(t.Context(), counting{compiler, &lists}, filters)
			if lists != 1 || len(together) != len(filters) {
				t.Errorf("%d commands listed the sources of %d filters, and there are %d", lists, len(together), len(filters))
			}
			for _, f := range filters {
				alone, err := compiler.Sources(t.Context(), f.Dir)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := described(t, together[f.Dir]), described(t, alone[0]); !reflect.DeepEqual(got, want) {
					t.Errorf("%s is made of\n%+v, and alone of\n%+v", f.Name, got, want)
				}
			}
		})
	}
}

type description struct {
	inputs   string
	modules  []GoModule
	packages []string
}

func described(t *testing.T, sources []Package) description {
	t.Helper()
	var d description
	for _, p := range sources {
		d.packages = append(d.packages, p.ImportPath)
	}
	slices.Sort(d.packages)
	var err error
	if d.inputs, err = hashInputs(Toolchain{}, sources); err != nil {
		t.Fatal(err)
	}
	d.modules = goModules(sources)
	if len(d.packages) < 3 || len(d.modules) < 2 {
		t.Errorf("few sources: %+v", d)
	}
	return d
}
