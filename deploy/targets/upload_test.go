package targets

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// TestUploadRefuses: a module that no Envoy can start is refused before anything is
// stored.
func TestUploadRefuses(t *testing.T) {
	project(t)
	writeBuilt(t, wasmtest.Starts()["proc_exit in _start"].Options)
	err := upload(t.Context(), variables.Values{}, "1.0.0", Output{Out: io.Discard, Err: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "_start calls wasi_snapshot_preview1.proc_exit, which Envoy forbids there") {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat("dist/storage"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a storage: %v", err)
	}
}

// TestUploadNamesManifests: index.json names the manifest of the same module if readers
// of the storage can reach the registry. It never names that of another module.
func TestUploadNamesManifests(t *testing.T) {
	project(t)
	ctx := t.Context()
	server := startRegistry(t)
	bucket := t.TempDir()
	store, err := httpstore.Serve(httpstore.ServeOptions{Dir: bucket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	reference := func(dir, version string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, "headers", "index.json"))
		var index storage.Index
		if err == nil {
			err = json.Unmarshal(data, &index)
		}
		entry := index.Find(version)
		if err != nil || entry == nil {
			t.Fatalf("%s: %v", data, err)
		}
		return entry.OCIReference
	}
	upload := func(c variables.Values, version string) {
		t.Helper()
		run(t, func(o Output) error { return upload(ctx, c, version, o) })
	}
	push := func(c variables.Values, version string) oci.Published {
		t.Helper()
		return runJSON[[]oci.Published](t, func(o Output) error { return push(ctx, c, version, o) })[0]
	}

	rehearsal := variables.Values{Filters: []string{"headers"}}
	upload(rehearsal, "1.0.0")
	if got := reference("dist/storage", "1.0.0"); got != "" {
		t.Errorf("before anything was pushed: %s", got)
	}
	pushed := push(rehearsal, "1.0.0")
	upload(rehearsal, "1.0.0")
	if got, want := reference("dist/storage", "1.0.0"), "127.0.0.1:5000/headers@"+pushed.ManifestDigest; got != want {
		t.Errorf("after it was pushed: %s, want %s", got, want)
	}

	public := rehearsal
	public.StorageURL, public.StoragePublicURL = "file://"+bucket, strings.TrimSuffix(store.URL(""), "/")
	upload(public, "1.0.0")
	if got := reference(bucket, "1.0.0"); got != "" {
		t.Errorf("a storage for everybody names the embedded registry: %s", got)
	}
	public.Registry = server + "/acme"
	pushed = push(public, "1.1.0")
	upload(public, "1.1.0")
	if got := reference(bucket, "1.1.0"); got != pushed.Reference() {
		t.Errorf("in both: %s, want %s", got, pushed.Reference())
	}

	push(public, "1.2.0")
	other := wasmtest.Filter()
	other.Custom = "other"
	writeBuilt(t, other)
	upload(public, "1.2.0")
	if got := reference(bucket, "1.2.0"); got != "" {
		t.Errorf("another module is in the registry, and index.json names it: %s", got)
	}

	public.Registry = "127.0.0.1:1/acme" // nobody listens there
	public.TransferTimeout = time.Second
	var log strings.Builder
	ctx, cancel := withDeadline(ctx, public)
	defer cancel()
	references := ociReferences(ctx, public, &build.Release{Version: version.MustParse("1.3.0"), Filters: []build.Built{{Module: build.Module{Record: build.Record{Name: "headers"}}}}}, Output{Err: &log})
	if len(references) > 0 || !strings.Contains(log.String(), "index.json names no manifest") {
		t.Errorf("of a registry that does not answer: %v, %s", references, log.String())
	}
}
