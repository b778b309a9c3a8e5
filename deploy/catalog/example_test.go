package catalog_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

func TestExampleConfiguration(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"":                                     "",
		"example: null":                        "",
		"example: |\n  x-a = b\n  x-c = d\n":   "x-a = b\nx-c = d\n",
		"example: {b: [1, {c: 2.5}], a: true}": `{"a":true,"b":[1,{"c":2.5}]}`,
		"example:\n  nested:\n    \"on\": response": `{"nested":{"on":"response"}}`,
	} {
		file := filepath.Join(t.TempDir(), catalog.MetadataFile)
		if err := os.WriteFile(file, []byte("title: T\ndescription: D\nlicense: Apache-2.0\n"+yaml), 0o644); err != nil {
			t.Fatal(err)
		}
		metadata, err := catalog.ReadMetadata(file)
		if err != nil {
			t.Fatalf("%q: %v", yaml, err)
		}
		if got, err := metadata.ExampleConfiguration(); got != want || err != nil {
			t.Errorf("%q gives %q, %v; want %q", yaml, got, err, want)
		}
	}
}
