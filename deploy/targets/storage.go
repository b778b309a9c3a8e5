package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/oci"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Upload stores the built filters under a version, where proxies fetch them by URL and sha256.
//
// It never changes what is stored: the same bytes again are a success, other bytes are
// refused. Afterwards it fetches everything from STORAGE_PUBLIC_URL without
// credentials. -json prints the result as JSON.
//
// Example:
//
//	STORAGE_URL='s3://acme/filters?region=eu-central-1' STORAGE_PUBLIC_URL=https://cdn.acme.example/filters go tool mage upload 1.4.0
func Upload(ctx context.Context, version string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return upload(ctx, c, version, out)
	})
}

// Storage serves the embedded storage on 127.0.0.1:5001, or another address (-address=HOST:PORT), until Ctrl-C.
//
// It holds what upload writes without STORAGE_URL, in dist/storage, and is read-only.
//
// Example:
//
//	go tool mage storage -address=0.0.0.0:5001
func Storage(ctx context.Context, address *string) error {
	return ended(serveStorage(ctx, given(address), newOutput(nil)))
}

func upload(ctx context.Context, c variables.Values, text string, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	release, err := readRelease(ctx, c, text)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if err := checkModules(ctx, release); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	s, err := openStorage(c, out)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	references := ociReferences(ctx, c, release, out)
	objects, err := storage.Upload(ctx, s, storage.UploadOptions{Version: release.Version, Modules: release.Modules(), OCIReferences: references})
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	return out.print(objects, func(w io.Writer) error {
		for _, o := range objects {
			printable.Fprintln(w, o)
		}
		if c.StorageURL == "" {
			printable.Fprintf(w, "They are in the embedded storage in %s, which was served at these URLs for the upload. \"go tool mage storage\" serves that to others; set STORAGE_URL to publish elsewhere.\n", filepath.Join(dist, "storage"))
		}
		return nil
	})
}

// checkModules refuses modules that would take down the proxies that fetch them.
func checkModules(ctx context.Context, release *build.Release) error {
	return concurrent.Each(runtime.GOMAXPROCS(0), release.Filters, func(_ int, f build.Built) error {
		_, err := f.Module.Check(ctx, f.Metadata)
		return err
	})
}

// ociReferences returns references to the same modules in the registry, pinned by their
// manifest digests. Only index.json has them, and one can be added later. So a
// reference that cannot be read is reported and left out.
func ociReferences(ctx context.Context, c variables.Values, release *build.Release, out Output) map[string]string {
	_, err := os.Stat(filepath.Join(dist, "registry"))
	if c.Registry == "" && (c.StorageURL != "" || err != nil) {
		return nil // nobody else sees the embedded registry
	}
	references := make(map[string]string)
	unknown := func(err error) map[string]string {
		printable.Fprintf(out.Err, "index.json names no manifest, because the registry cannot be read: %v\n", advice.Add(err))
		return nil
	}
	r, done, err := openRegistry(ctx, c, "", out)
	if err != nil {
		return unknown(err)
	}
	for _, m := range release.Modules() {
		manifests, readErr := r.Subjects(ctx, m.Name, release.Version)
		if finding.Absent(readErr) {
			continue
		}
		if readErr != nil {
			err = readErr
			break
		}
		// The artifact comes first, and is always there.
		if artifact := manifests[0]; artifact.Annotations[oci.AnnotationWasmSHA256] == m.WasmSHA256 {
			reference := artifact.ByDigest().String()
			if c.Registry == "" {
				reference = moved(reference, r.Address(), rel.EmbeddedRegistry)
			}
			references[m.Name] = reference
		}
	}
	if err := errors.Join(err, done()); err != nil {
		return unknown(err)
	}
	return references
}

// openStorage opens the configured storage, or else the embedded one, and serves that until it is
// closed.
func openStorage(c variables.Values, out Output) (*storage.Storage, error) {
	opts := storageOptions(c)
	opts.Out = out.Err
	return storage.Open(*opts)
}

// storageOptions are the options of the configured storage, or else of the embedded
// one.
func storageOptions(c variables.Values) *storage.Options {
	return &storage.Options{
		URL:       c.StorageURL,
		Dir:       filepath.Join(dist, "storage"),
		PublicURL: c.StoragePublicURL,
		Username:  c.StorageUsername,
		Password:  c.StoragePassword,
		Token:     c.StorageToken,
		NoLists:   bool(c.StorageLists),
	}
}

// serveStorage serves the embedded storage until ctx ends, by default at the address that
// rendered manifests name.
func serveStorage(ctx context.Context, address string, out Output) error {
	if address == "" {
		address = strings.TrimPrefix(rel.EmbeddedStorage, "http://")
	}
	server, err := httpstore.Serve(httpstore.ServeOptions{Dir: filepath.Join(dist, "storage"), Addr: address})
	if err != nil {
		return err
	}
	printable.Fprintf(out.Out, "The embedded storage listens: set STORAGE_PUBLIC_URL=%s in other shells. Ctrl-C ends it.\n", strings.TrimSuffix(server.URL(""), "/"))
	<-ctx.Done()
	return server.Close()
}
