package targets

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

// TestShards: the matrix has every filter once, each time the same, and is the step's output.
func TestShards(t *testing.T) {
	t.Chdir(t.TempDir())
	for i := range 21 {
		dir := fmt.Sprintf("filter/f%02d", i)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"main.go": "package main\n", "filter.yaml": "title: T\ndescription: D.\nlicense: Apache-2.0\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		n        int
		tag      string
		filters  []string
		want     int
		artifact string
	}{
		"three":                 {3, "v1.4.0", nil, 3, "part-1"},
		"by number":             {0, "", nil, 2, "part-1"},
		"one filter":            {3, "f07/v1.4.0", nil, 1, "filters"},
		"some":                  {0, "1.4.0", []string{"f01", "f02"}, 1, "filters"},
		"never more than those": {50, "v1.4.0", nil, 21, "part-1"},
	} {
		t.Run(name, func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "output")
			t.Setenv("GITHUB_OUTPUT", output)
			var out, again strings.Builder
			if err := printShards(variables.Values{Filters: c.filters}, c.n, c.tag, Output{Out: &out}); err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(output)
			if want := fmt.Sprintf("matrix=%sparts=%d\n", out.String(), c.want); err != nil || string(written) != want {
				t.Errorf("the outputs are %q, %v; want %q", written, err, want)
			}
			var m matrix
			if err := json.Unmarshal([]byte(out.String()), &m); err != nil || len(m.Include) != c.want || m.Include[0].Artifact != c.artifact || m.Include[0].Shard != fmt.Sprintf("1/%d", c.want) {
				t.Errorf("%v in %s", err, out.String())
			}
			if err := printShards(variables.Values{Filters: c.filters}, c.n, c.tag, Output{Out: &again}); err != nil || again.String() != out.String() {
				t.Errorf("the second time it is %s, %v", again.String(), err)
			}
		})
	}
	for name, c := range map[string]struct {
		n         int
		tag, want string
	}{
		"negative":       {-1, "", "there cannot be -1 parts"},
		"no tag":         {1, "latest", "shards: "},
		"no such filter": {1, "other/v1.4.0", "other"},
	} {
		err := printShards(variables.Values{}, c.n, c.tag, Output{Out: &strings.Builder{}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
