// Package verify checks a release as everybody sees it: from the registry and from the
// storage's public address, without credentials, and against a policy that says whose
// signatures count.
//
// It gives one answer for each part of a release: whether it exists and is right. The
// packages that publish the parts check them.
package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/internal/redirect"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Options say which release is verified, and where it is.
type Options struct {
	// Filters are the filters' names, and Version the version of all of them.
	// Required.
	Filters []string
	Version version.Version
	// Registry and Storage are where to look. At least one is required.
	Registry *oci.Registry
	Storage  *storage.Storage
	// StorageOptional allows the release to be missing in the storage.
	StorageOptional bool
	// Policy says whose signatures count: see attest.VerifyOptions.
	Policy attest.Policy
	// Tested demands a signed test result for each filter. Default: it may be missing.
	Tested bool
}

// Report is the result of Version.
type Report struct {
	// Checks say of each part whether it exists and is right.
	Checks []attest.Check `json:"checks"`
	// Manifests are the manifests that could be read, with their content.
	Manifests []*oci.Verification `json:"manifests,omitempty"`
	// Objects are the modules that the storage serves.
	Objects []storage.Object `json:"objects,omitempty"`
}

// Version verifies a version. The result's Checks say what is missing or wrong, and
// what could not be examined. The error is for incomplete options and for a canceled
// context.
func Version(ctx context.Context, opts Options) (*Report, error) {
	if opts.Registry == nil && opts.Storage == nil {
		return nil, errors.New("verify: neither a registry nor a storage was given")
	}
	report := new(Report)
	var signed []string // filters whose manifests could be read
	for _, filter := range opts.Filters {
		read, err := report.manifests(ctx, opts, filter)
		if err != nil {
			return nil, err
		}
		if read {
			signed = append(signed, filter)
		}
		if err := report.module(ctx, opts, filter); err != nil {
			return nil, err
		}
		if opts.Tested && opts.Registry == nil {
			report.Checks = append(report.Checks, attest.Check{
				Subject: filter + " " + opts.Version.String(), What: attest.WhatTested, State: attest.Missing, Detail: "test results are in a registry, and none was given",
			})
		}
	}
	if len(signed) == 0 {
		return report, nil
	}
	verified := attest.VerifyOptions{Registry: opts.Registry, Filters: signed, Version: opts.Version, Policy: opts.Policy}
	if opts.Tested {
		verified.Tested = signed
	}
	signatures, err := attest.Verify(ctx, verified)
	report.Checks = append(report.Checks, signatures...)
	return report, err
}

// manifests checks a filter's manifests in the registry, and reports whether there are
// any.
func (r *Report) manifests(ctx context.Context, opts Options, filter string) (bool, error) {
	if opts.Registry == nil {
		return false, nil
	}
	found, err := opts.Registry.VerifyVersion(ctx, filter, opts.Version)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return false, err
		}
		r.Checks = append(r.Checks, attest.Check{
			Subject: opts.Registry.Address() + "/" + filter + ":" + opts.Version.String(), What: "manifest", State: attest.StateOf(err), Detail: err.Error(), Err: err,
		})
		return false, nil
	}
	for _, v := range found {
		c := attest.Check{Subject: v.Reference, What: "manifest", State: attest.OK, Detail: v.ManifestDigest}
		if len(v.Problems) > 0 {
			c.State, c.Detail = attest.Wrong, strings.Join(v.Problems, "; ")
		}
		r.Checks = append(r.Checks, c)
	}
	r.Manifests = append(r.Manifests, found...)
	return true, nil
}

// module checks a filter's module in the storage.
func (r *Report) module(ctx context.Context, opts Options, filter string) error {
	if opts.Storage == nil {
		return nil
	}
	c := attest.Check{Subject: opts.Storage.PublicURL(storage.ModuleKey(filter, opts.Version.String())), What: "sum", Optional: opts.StorageOptional}
	objects, err := storage.Verify(ctx, opts.Storage, storage.VerifyOptions{Version: opts.Version, Filters: []string{filter}})
	switch c.State = attest.StateOf(err); {
	case errors.Is(ctx.Err(), context.Canceled):
		return err
	case err != nil:
		c.Detail, c.Err = err.Error(), err
	default:
		c.Detail = objects[0].WasmSHA256
		if to := objects[0].Redirect; to != "" {
			c.Detail += fmt.Sprintf("; the URL redirects to %s: %s", to, redirect.Who)
		}
		if other := r.otherModule(filter, objects[0].WasmSHA256); other != "" {
			c.State, c.Detail = attest.Wrong, fmt.Sprintf("the module has wasm sha256 %s there and %s in the registry", objects[0].WasmSHA256, other)
		}
		r.Objects = append(r.Objects, objects...)
	}
	r.Checks = append(r.Checks, c)
	return nil
}

// otherModule returns the wasm sha256 of a filter in the registry if it differs from
// this one.
func (r *Report) otherModule(filter, wasmSHA256 string) string {
	for _, v := range r.Manifests {
		if v.Annotations[oci.AnnotationFilter] == filter && v.WasmSHA256 != "" && v.WasmSHA256 != wasmSHA256 {
			return v.WasmSHA256
		}
	}
	return ""
}
