// Package stored reads and writes what is signed about the modules in a storage. It is between
// the packages attest, which knows no storage, and storage, which knows no signatures.
package stored

import (
	"context"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Modules reads what is signed about the modules of a version, as storage.Verify returns them.
// What cannot be read is in the result's Err and RecordErr.
func Modules(ctx context.Context, s *storage.Storage, v version.Version, objects []storage.Object) []attest.StoredModule {
	modules := make([]attest.StoredModule, len(objects))
	for i, o := range objects {
		modules[i] = attest.StoredModule{Filter: o.Filter, URL: o.URL, WasmSHA256: o.WasmSHA256, OCIReference: o.OCIReference}
		modules[i].Bundle, modules[i].Err = storage.ReadBundle(ctx, s, o.Filter, v)
		modules[i].RecordBundle, modules[i].RecordErr = storage.ReadRecord(ctx, s, o.Filter, v)
	}
	return modules
}

// Sign signs as attest.Sign does, and also the modules of the version in a storage. It stores
// their bundles there. If a module is not there, the error is storage.ErrNotFound, and nothing
// is signed.
func Sign(ctx context.Context, s *storage.Storage, opts attest.SignOptions) (attest.Signed, error) {
	v := opts.Release.Version
	objects, err := storage.Verify(ctx, s, storage.VerifyOptions{Version: v, Filters: opts.Release.Names()})
	if err != nil {
		return attest.Signed{}, err
	}
	opts.Modules = Modules(ctx, s, v, objects)
	signed, err := attest.Sign(ctx, opts)
	if err != nil || len(signed.Bundles)+len(signed.RecordBundles) == 0 {
		return signed, err
	}
	attached := storage.AttachOptions{Version: v, Bundles: map[string]storage.Bundle{}, Records: map[string]storage.Bundle{}}
	for _, m := range opts.Modules {
		if content, ok := signed.Bundles[m.Filter]; ok {
			attached.Bundles[m.Filter] = storage.Bundle{Content: content, Old: m.Bundle}
		}
		if content, ok := signed.RecordBundles[m.Filter]; ok {
			attached.Records[m.Filter] = storage.Bundle{Content: content, Old: m.RecordBundle}
		}
	}
	return signed, storage.Attach(ctx, s, attached)
}
