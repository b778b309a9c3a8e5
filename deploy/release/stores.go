package release

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// The addresses of the embedded registry and storage in manifests and records. The
// targets that serve them listen there; a release uses another port each time.
const (
	EmbeddedRegistry = "127.0.0.1:5000"
	EmbeddedStorage  = "http://127.0.0.1:5001"
)

// stores are where a release is published; either may be nil.
type stores struct {
	registry *oci.Registry
	storage  *storage.Storage
	close    func() error
}

// rehearsal reports whether this is a rehearsal, in embedded stores that nobody else
// sees.
func (r *run) rehearsal() bool { return r.Registry == nil && r.Storage == nil }

// open opens the stores, unless they are open.
func (r *run) open(ctx context.Context, out io.Writer) (err error) {
	if r.stores != nil {
		return nil
	}
	s := &stores{close: func() error { return nil }}
	// Attached content never changes under its digest, so another run need not read it
	// again.
	registry := oci.RegistryOptions{Cache: r.work("attached")}
	if r.Registry != nil {
		cache := registry.Cache
		registry = *r.Registry
		registry.Cache = cache
	}
	if r.rehearsal() {
		server, err := embedded.Start(ctx, embedded.Options{Dir: filepath.Join(r.Dist, "registry"), Out: out})
		if err != nil {
			return err
		}
		registry.Address, s.close = server.Addr(), server.Close
	}
	var problems []error
	if registry.Out = out; registry.Address != "" {
		s.registry, err = oci.Open(registry)
		problems = append(problems, err)
	}
	places := storage.Options{Dir: filepath.Join(r.Dist, "storage")}
	if r.Storage != nil {
		places = *r.Storage
	}
	if places.Out = out; r.Storage != nil || r.rehearsal() {
		if s.storage, err = storage.Open(places); err == nil {
			end := s.close
			s.close = func() error { return errors.Join(s.storage.Close(), end()) }
		}
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return errors.Join(err, s.close())
	}
	r.stores = s
	return nil
}

func (r *run) closeStores() error {
	s := r.stores
	if r.stores = nil; s == nil {
		return nil
	}
	return s.close()
}

// recorded is the address that the record gives for an address in a store.
func (r *run) recorded(address string) string {
	if !r.rehearsal() {
		return address
	}
	if rest, ok := strings.CutPrefix(address, r.stores.registry.Address()); ok {
		return EmbeddedRegistry + rest
	}
	if rest, ok := strings.CutPrefix(address, r.stores.storage.PublicURL("")); ok {
		return EmbeddedStorage + "/" + rest
	}
	return address
}
