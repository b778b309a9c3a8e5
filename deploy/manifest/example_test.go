package manifest_test

import (
	"context"
	"log"
	"os"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// Render writes the manifests of a published release. Package facts reads such a Source from a
// registry and a storage.
func ExampleRender() {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: "filter", Names: []string{"headers"}})
	if err != nil {
		log.Fatal(err)
	}
	err = manifest.Render(context.Background(), manifest.RenderOptions{
		Filters: filters,
		Releases: []manifest.Source{{
			Filter:         "headers",
			Version:        "1.4.0",
			Repository:     "ghcr.io/acme/filters/headers",
			Tag:            "1.4.0",
			ManifestDigest: "sha256:7f2c8bd9a1a5e1f3b4f9a1f7f0f6a0f64be2c4b3df6cc8df4a0f1c0a6a4c9d3e",
		}},
		Out: os.Stdout,
	})
	if err != nil {
		log.Fatal(err)
	}
}
