package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// Upload stores the built filters under a version, where proxies fetch them by URL
// and sha256.
func Upload(ctx context.Context, c config.Config, version string, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	modules, err := build.Load(dist, names(filters))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	s, err := OpenStorage(c, out)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	objects, err := storage.Upload(ctx, s, storage.UploadOptions{Version: version, Modules: modules})
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	return out.print(objects, func(w io.Writer) error {
		for _, o := range objects {
			fmt.Fprintln(w, o)
		}
		if c.StorageURL == "" {
			fmt.Fprintf(w, "They are in the embedded storage in %s, which was served at these URLs for the upload. \"go tool mage storage\" serves that to others; set STORAGE_URL to publish elsewhere.\n", filepath.Join(dist, "storage"))
		}
		return nil
	})
}

// OpenStorage opens the configured storage; without one, the embedded storage in
// dist/storage, which is served until it is closed.
func OpenStorage(c config.Config, out Output) (*storage.Storage, error) {
	return storage.Open(storage.Options{
		URL:       c.StorageURL,
		Dir:       filepath.Join(dist, "storage"),
		PublicURL: c.StoragePublicURL,
		Username:  c.StorageUsername,
		Password:  c.StoragePassword,
		Token:     c.StorageToken,
		Out:       out.Err,
	})
}

// ServeStorage serves the embedded storage, read-only, until ctx ends. The address
// is a host and port; empty means 127.0.0.1:5001, which rendered manifests name.
func ServeStorage(ctx context.Context, address string, out Output) error {
	if address == "" {
		address = strings.TrimPrefix(embeddedStorage, "http://")
	}
	server, err := httpstore.Serve(httpstore.ServeOptions{Dir: filepath.Join(dist, "storage"), Addr: address})
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Out, "The embedded storage listens: set STORAGE_PUBLIC_URL=%s in other shells. Ctrl-C ends it.\n", strings.TrimSuffix(server.URL(""), "/"))
	<-ctx.Done()
	return server.Close()
}
