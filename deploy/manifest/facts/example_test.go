package facts_test

import (
	"context"
	"log"
	"os"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// The manifests of a release are made from the filter.yaml in a checkout and the content of a
// registry.
func ExampleRead() {
	ctx := context.Background()
	filters, err := catalog.Load(catalog.LoadOptions{Dir: "filter", Names: []string{"headers"}})
	if err != nil {
		log.Fatal(err)
	}
	registry, err := oci.Open(oci.RegistryOptions{Address: "ghcr.io/acme/filters"})
	if err != nil {
		log.Fatal(err)
	}
	releases, err := facts.Read(ctx, facts.Options{Filters: []string{"headers"}, Version: version.MustParse("1.4.0"), Registry: registry})
	if err != nil {
		log.Fatal(err)
	}
	err = manifest.Render(ctx, manifest.RenderOptions{Filters: filters, Releases: releases, Out: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
}
