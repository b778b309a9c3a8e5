package targets

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// TestCompare compares two folders of real records, and numbers of a real bench.
func TestCompare(t *testing.T) {
	bench, err := os.ReadFile(filepath.Join("..", "bench", "results", "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	base := filepath.Join(root, "base", "dist")
	t.Chdir(root)
	for _, name := range []string{"headers", "added", "same"} {
		put(t, "filter/"+name+"/main.go", "package main\n")
		put(t, "filter/"+name+"/filter.yaml", "title: T\ndescription: D.\nlicense: Apache-2.0\n")
	}
	copyModule := func(name, marker, to string) {
		module := buildtest.Filter(t, name, marker).Module
		for _, suffix := range []string{".wasm", ".json"} {
			content, err := os.ReadFile(strings.TrimSuffix(module.Path, ".wasm") + suffix)
			if err != nil && suffix == ".json" {
				content, err = json.Marshal(module.Record)
			}
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(to, name+suffix), string(content))
		}
	}
	copyModule("headers", strings.Repeat("x", 100), "dist")
	copyModule("headers", "", base)
	copyModule("added", "", "dist")
	copyModule("same", "", "dist")
	copyModule("same", "", base)

	text, err := comparison(variables.Values{}, base)
	if err != nil || strings.Contains(text, "Cost") || !strings.Contains(text, "| new |\n") || !strings.Contains(text, "| none |\n") || !strings.Contains(text, "| +10") {
		t.Errorf("%v\n%s", err, text)
	}
	put(t, filepath.Join(base, "bench.json"), string(bench))
	put(t, "dist/bench.json", strings.ReplaceAll(string(bench), `"headers (tinygo)"`, `"headers | x\u001b (tinygo)"`))
	text, err = comparison(variables.Values{}, base)
	_, cost, found := strings.Cut(text, "|---|--:|--:|\n")
	if err != nil || !found || !strings.HasPrefix(cost, "| no filter again | ") || strings.Contains(cost, "(Envoy)") || strings.ContainsRune(cost, '\x1b') || !strings.Contains(cost, `| "headers \| x\x1b (tinygo)" | `) {
		t.Errorf("%v\n%s", err, text)
	}
	put(t, "dist/bench.json", "{")
	if _, err := comparison(variables.Values{}, base); err == nil {
		t.Error("half a bench.json is compared")
	}
	if _, err := comparison(variables.Values{}, filepath.Join(root, "missing")); err == nil || !strings.Contains(err.Error(), "give the folder dist") {
		t.Errorf("without the other folder: %v", err)
	}
}
