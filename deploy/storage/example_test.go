package storage_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// place makes what the examples need: the embedded storage, and a module as package build
// leaves it. done removes both.
func place() (s *storage.Storage, module build.Module, done func()) {
	dir, err := os.MkdirTemp("", "slipway-example-")
	if err != nil {
		log.Fatal(err)
	}
	wasm := wasmtest.Encode(wasmtest.Filter())
	module = build.Module{Path: filepath.Join(dir, "headers.wasm"), Record: build.Record{
		Name:       "headers",
		WasmSHA256: fmt.Sprintf("%x", sha256.Sum256(wasm)),
		Size:       int64(len(wasm)),
	}}
	if err := os.WriteFile(module.Path, wasm, 0o600); err != nil {
		log.Fatal(err)
	}
	if s, err = storage.Open(storage.Options{Dir: filepath.Join(dir, "storage")}); err != nil {
		log.Fatal(err)
	}
	return s, module, func() {
		_ = s.Close()
		_ = os.RemoveAll(dir)
	}
}

// Open checks the options. It sends nothing.
func ExampleOpen() {
	s, err := storage.Open(storage.Options{
		URL:       "s3://acme/filters?region=eu-central-1",
		PublicURL: "https://cdn.acme.example/filters",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	fmt.Println(s.PublicURL(storage.ModuleKey("headers", "1.4.0")))
	// Output: https://cdn.acme.example/filters/headers/1.4.0/headers.wasm
}

// The first upload stores the module. The second finds it there.
func ExampleUpload() {
	ctx := context.Background()
	s, module, done := place()
	defer done()
	for range 2 {
		objects, err := storage.Upload(ctx, s, storage.UploadOptions{Version: version.MustParse("1.4.0"), Modules: []build.Module{module}})
		if err != nil {
			log.Fatal(err)
		}
		o := objects[0]
		fmt.Println(strings.TrimPrefix(o.URL, s.PublicURL("")), o.WasmSize, o.Unchanged)
	}
	// Output:
	// headers/1.4.0/headers.wasm 164 false
	// headers/1.4.0/headers.wasm 164 true
}

// Verify fetches everything as any reader does, without credentials.
func ExampleVerify() {
	ctx := context.Background()
	s, module, done := place()
	defer done()
	if _, err := storage.Upload(ctx, s, storage.UploadOptions{Version: version.MustParse("1.4.0"), Modules: []build.Module{module}}); err != nil {
		log.Fatal(err)
	}
	objects, err := storage.Verify(ctx, s, storage.VerifyOptions{Version: version.MustParse("1.4.0")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(objects[0].Filter, objects[0].WasmSHA256 == module.WasmSHA256)
	// Output: headers true
}

// A reader needs only the public address.
func ExampleOpenPublic() {
	ctx := context.Background()
	s, module, done := place()
	defer done()
	if _, err := storage.Upload(ctx, s, storage.UploadOptions{Version: version.MustParse("1.4.0"), Modules: []build.Module{module}}); err != nil {
		log.Fatal(err)
	}
	public, err := storage.OpenPublic(s.PublicURL(""), storage.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer public.Close()
	versions, err := storage.Versions(ctx, public, "headers")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(versions[0].Version, versions[0].Path)
	// Output: 1.4.0 1.4.0/headers.wasm
}

// Versions are those in a filter's index.json, the newest first.
func ExampleVersions() {
	ctx := context.Background()
	s, module, done := place()
	defer done()
	for _, text := range []string{"1.4.0", "1.10.0"} {
		if _, err := storage.Upload(ctx, s, storage.UploadOptions{Version: version.MustParse(text), Modules: []build.Module{module}}); err != nil {
			log.Fatal(err)
		}
	}
	versions, err := storage.Versions(ctx, s, "headers")
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range versions {
		fmt.Println(v.Version, v.Size)
	}
	// Output:
	// 1.10.0 164
	// 1.4.0 164
}
