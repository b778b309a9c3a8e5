package scaffold_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/scaffold"
)

// TestNewRepositoryRefuses: what cannot work is refused, and nothing is left. test/importer starts
// a repository that works.
func TestNewRepositoryRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*scaffold.RepositoryOptions)
		file   string
		want   error
	}{
		"another host": {func(o *scaffold.RepositoryOptions) { o.Module = "example.com/acme/filters" }, "", scaffold.ErrModule},
		"deeper":       {func(o *scaffold.RepositoryOptions) { o.Module = "github.com/acme/filters/more" }, "", scaffold.ErrModule},
		"no version":   {func(o *scaffold.RepositoryOptions) { o.Version = "1.4" }, "", nil},
		"a bad name":   {func(o *scaffold.RepositoryOptions) { o.Name = "No" }, "", nil},
		"not there":    {func(o *scaffold.RepositoryOptions) { o.Version = "v99.0.0" }, "", nil},
		"a module":     {nil, "go.mod", scaffold.ErrExists},
		"a filter":     {nil, "filter/a/main.go", scaffold.ErrExists},
		"a workflow":   {nil, ".github/workflows/release.yml", scaffold.ErrExists},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := scaffold.RepositoryOptions{Name: "hello", Module: "github.com/acme/filters", Version: "v1.4.0", Dir: t.TempDir()}
			if c.change != nil {
				c.change(&o)
			}
			if c.file != "" {
				file := filepath.Join(o.Dir, c.file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.ReadDir(o.Dir)
			if err != nil {
				t.Fatal(err)
			}
			_, err = scaffold.NewRepository(t.Context(), o)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if after, err := os.ReadDir(o.Dir); err != nil || len(after) != len(before) {
				t.Errorf("left %v, %v", after, err)
			}
		})
	}
}
