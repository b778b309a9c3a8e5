package gotest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
)

// WriteFilter writes a filter into a repository, and its module into dist.
func WriteFilter(t *testing.T, root, dist string) build.Module {
	t.Helper()
	module := buildtest.Filter(t, "headers", "").Module
	record, err := json.Marshal(module.Record)
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(module.Path)
	if err != nil {
		t.Fatal(err)
	}
	WriteFiles(t, map[string]string{
		filepath.Join(root, "filter/headers/main.go"):     "package main\n",
		filepath.Join(root, "filter/headers/filter.yaml"): "title: T\ndescription: D.\nlicense: Apache-2.0\n",
		filepath.Join(dist, "headers.wasm"):               string(wasm),
		filepath.Join(dist, "headers.json"):               string(record),
	})
	return module
}

// WriteFiles writes files, by their paths.
func WriteFiles(t *testing.T, files map[string]string) {
	t.Helper()
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
