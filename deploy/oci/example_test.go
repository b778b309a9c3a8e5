package oci_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// place makes a folder, a registry, and a filter as package build leaves it, for the
// examples. done removes all of it.
func place() (dir string, registry *oci.Registry, filter build.Built, done func()) {
	dir, err := os.MkdirTemp("", "slipway-example-")
	if err != nil {
		log.Fatal(err)
	}
	wasm := wasmtest.Encode(wasmtest.Filter())
	path := filepath.Join(dir, "headers.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		log.Fatal(err)
	}
	filter = build.Built{
		Module: build.Module{Path: path, Record: build.Record{
			Name:       "headers",
			WasmSHA256: fmt.Sprintf("%x", sha256.Sum256(wasm)),
			Size:       int64(len(wasm)),
			Compiler:   build.Toolchain{Name: build.TinyGo, Version: "0.41.1", GoVersion: "go1.22.12"},
		}},
		Filter: catalog.Filter{Name: "headers", Metadata: catalog.Metadata{Title: "Headers", Description: "Changes headers.", License: "Apache-2.0"}},
	}
	server, err := embedded.Start(context.Background(), embedded.Options{Dir: filepath.Join(dir, "registry")})
	if err != nil {
		log.Fatal(err)
	}
	registry, err = oci.Open(oci.RegistryOptions{Address: server.Addr() + "/acme/filters"})
	if err != nil {
		log.Fatal(err)
	}
	return dir, registry, filter, func() {
		_ = server.Close()
		_ = os.RemoveAll(dir)
	}
}

// images are the filter's images for a version.
func images(filter build.Built, version string, shapes ...oci.Shape) []*oci.Image {
	images, err := oci.NewImages(buildtest.Release(version, filter), shapes...)
	if err != nil {
		log.Fatal(err)
	}
	return images
}

// published pushes the filter as 1.4.0.
func published(registry *oci.Registry, filter build.Built) oci.Reference {
	if _, err := registry.Push(context.Background(), images(filter, "1.4.0"), oci.PushOptions{}); err != nil {
		log.Fatal(err)
	}
	ref, err := registry.ParseReference("headers:1.4.0")
	if err != nil {
		log.Fatal(err)
	}
	return ref
}

// Open sends nothing: the registry is asked when it is first used. Credentials are
// those of docker login unless they are given.
func ExampleOpen() {
	registry, err := oci.Open(oci.RegistryOptions{Address: "ghcr.io/acme/filters"})
	if err != nil {
		log.Fatal(err)
	}
	ref, err := registry.ParseReference("headers:1.4.0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ref)
	// Output: ghcr.io/acme/filters/headers:1.4.0
}

// The first push sends everything; the second finds it there.
func ExampleRegistry_Push() {
	ctx := context.Background()
	_, registry, filter, done := place()
	defer done()
	images, err := oci.NewImages(buildtest.Release("1.4.0", filter))
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		published, err := registry.Push(ctx, images, oci.PushOptions{})
		if err != nil {
			log.Fatal(err)
		}
		p := published[0]
		fmt.Println(p.Tag, p.Moved, p.ManifestDigest[:19], p.Unchanged)
	}
	// Output:
	// 1.4.0 [1.4 1 latest] sha256:489a29eb85a8 false
	// 1.4.0 [] sha256:489a29eb85a8 true
}

// Look says what Push would do, and changes nothing.
func ExampleRegistry_Look() {
	_, registry, filter, done := place()
	defer done()
	published, err := registry.Look(context.Background(), images(filter, "1.4.0"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(published[0].Tag, "is there:", published[0].Unchanged)
	// Output: 1.4.0 is there: false
}

// A release holds back the moving tags until it has checked more.
func ExampleRegistry_Move() {
	ctx := context.Background()
	_, registry, filter, done := place()
	defer done()
	published, err := registry.Push(ctx, images(filter, "1.4.0"), oci.PushOptions{HoldTags: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("held:", published[0].Moved)
	if published, err = registry.Move(ctx, published); err != nil {
		log.Fatal(err)
	}
	fmt.Println("moved:", published[0].Moved)
	// Output:
	// held: []
	// moved: [1.4 1 latest]
}

// The module's file appears once all of it has arrived with the right digest.
func ExampleRegistry_Pull() {
	dir, registry, filter, done := place()
	defer done()
	pulled, err := registry.Pull(context.Background(), published(registry, filter), filepath.Join(dir, "pulled.wasm"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pulled.WasmSize, pulled.WasmSHA256 == filter.Module.WasmSHA256)
	// Output: 164 true
}

// ReadModule reads a module by any publisher, and says who accepts the manifest.
func ExampleRegistry_ReadModule() {
	_, registry, filter, done := place()
	defer done()
	module, err := registry.ReadModule(context.Background(), published(registry, filter))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(module.Shape, len(module.Wasm))
	for _, verdict := range module.Consumers {
		fmt.Println(verdict.Consumer, verdict.Answer)
	}
	// Output:
	// artifact 164
	// Istio accepts
	// Envoy Gateway accepts
	// wkg refuses
	// plain Envoy n/a
}

// Verify reads everything back; Err names what is wrong.
func ExampleRegistry_Verify() {
	_, registry, filter, done := place()
	defer done()
	verification, err := registry.Verify(context.Background(), published(registry, filter))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(verification.Err(), verification.ABI, verification.EnvoyMin)
	// Output: <nil> 0.2.0 1.26
}

// VerifyVersion verifies a version in every shape that was pushed.
func ExampleRegistry_VerifyVersion() {
	ctx := context.Background()
	_, registry, filter, done := place()
	defer done()
	if _, err := registry.Push(ctx, images(filter, "1.4.0", oci.Shapes...), oci.PushOptions{}); err != nil {
		log.Fatal(err)
	}
	all, err := registry.VerifyVersion(ctx, "headers", version.MustParse("1.4.0"))
	if err != nil {
		log.Fatal(err)
	}
	for _, verification := range all {
		fmt.Println(verification.Shape, verification.Err())
	}
	// Output:
	// artifact <nil>
	// compat <nil>
	// cncf <nil>
}

func ExampleRegistry_List() {
	_, registry, filter, done := place()
	defer done()
	published(registry, filter)
	list, err := registry.List(context.Background(), []string{"headers"})
	if err != nil {
		log.Fatal(err)
	}
	for _, listed := range list {
		fmt.Println(listed.Filter, listed.Version, listed.Moving, listed.Created)
	}
	// Output: headers 1.4.0 [1 1.4 latest] 2026-03-29T01:30:00Z
}

// Versions are sorted, the newest first.
func ExampleRegistry_Versions() {
	ctx := context.Background()
	_, registry, filter, done := place()
	defer done()
	for _, version := range []string{"1.4.0", "1.10.0", "1.9.0-rc.1"} {
		if _, err := registry.Push(ctx, images(filter, version), oci.PushOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	versions, err := registry.Versions(ctx, "headers")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(versions)
	// Output: [1.10.0 1.9.0-rc.1 1.4.0]
}

// Attachments are found by the manifest that they belong to.
func ExampleRegistry_Attach() {
	ctx := context.Background()
	_, registry, filter, done := place()
	defer done()
	ref := published(registry, filter)
	if _, err := registry.Attach(ctx, ref, oci.Attachment{
		ArtifactType: oci.TypeTestReport,
		MediaType:    "application/json",
		Name:         "report.json",
		Content:      []byte(`{"passed": 56}`),
	}); err != nil {
		log.Fatal(err)
	}
	nodes, err := registry.Discover(ctx, ref)
	if err != nil {
		log.Fatal(err)
	}
	for _, node := range nodes {
		fmt.Println(node.ArtifactType, node.Files)
	}
	// Output: application/vnd.slipway.test-report.v1+json [report.json]
}

func ExampleRegistry_AttachSBOMs() {
	ctx := context.Background()
	_, registry, filter, done := place()
	defer done()
	ref := published(registry, filter)
	if _, err := registry.AttachSBOMs(ctx, buildtest.Release("1.4.0", filter)); err != nil {
		log.Fatal(err)
	}
	sboms, err := registry.Attached(ctx, ref, oci.TypeSBOM)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(sboms), sboms[0].Name)
	// Output: 1 headers.cdx.json
}

// Discover finds what is attached, and what is attached to that.
func ExampleRegistry_Discover() {
	ctx := context.Background()
	_, registry, filter, done := place()
	defer done()
	ref := published(registry, filter)
	nodes, err := registry.Discover(ctx, ref)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(nodes))
	// Output: 0
}

// Judge explains why a manifest that a registry accepts may still be of no use.
func ExampleJudge() {
	verdicts, err := oci.Judge("application/vnd.oci.image.manifest.v1+json", []byte(`{
		"layers": [{"mediaType": "application/vnd.module.wasm.content.layer.v1+wasm"}]
	}`))
	if err != nil {
		log.Fatal(err)
	}
	reason, _, _ := strings.Cut(verdicts[0].Reason, ";")
	fmt.Println(verdicts[0].Consumer, verdicts[0].Answer+":", reason)
	// Output: Istio refuses: an artifact has to have two layers, config and module, and this one has 1
}
