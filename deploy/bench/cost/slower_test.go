package cost

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
)

// A filter that calls the proxy once more for each header shows in the table. Rounds
// are compared one by one, because processor time also grows on a busy machine.
func TestSlower(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	bin, err := envoy.Find(t.Context(), envoy.FindOptions{Path: os.Getenv("ENVOY_PATH"), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(root, "filter", "internal", "bench"), Names: []string{"slower"}})
	if err != nil {
		t.Fatal(err)
	}
	modules, err := build.Build(t.Context(), build.Options{Filters: filters, Dist: t.TempDir(), Compiler: build.Go, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	// It is named by a path, as any module in BENCH_WASM is.
	path := modules[0].Path
	result, err := Run(t.Context(), Options{
		Root: root, Dist: t.TempDir(), Envoy: bin, Filters: []string{"headers"}, Compiler: build.Go, Modules: []string{path},
		Rounds: 9, Requests: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.WriteTable(t.Output()); err != nil {
		t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		t.Error(err)
	}
	row := func(name string) *Row {
		i := slices.IndexFunc(result.Traffic[0].Rows, func(r *Row) bool { return r.Name == name })
		if i < 0 {
			t.Fatalf("no row %s", name)
		}
		return result.Traffic[0].Rows[i]
	}
	fast, slow := row(floor+" (go)"), row(path)
	if slow.Size != modules[0].Size {
		t.Errorf("size %d, want %d", slow.Size, modules[0].Size)
	}
	costly := 0
	for i := range slow.Rounds {
		if slow.Rounds[i].CPU > fast.Rounds[i].CPU {
			costly++
		}
	}
	if costly < len(slow.Rounds)-1 || slow.Added.Median <= fast.Added.Median {
		t.Errorf("a call more for each header costs more in %d of %d rounds; it adds %+v to a request, and no call %+v", costly, len(slow.Rounds), slow.Added, fast.Added)
	}
}
