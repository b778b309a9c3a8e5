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
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/stored"
	"github.com/slipway-wasm/slipway/deploy/internal/loopback"
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
	// TagsHeld says that the release is not finished, and has not moved its moving tags yet.
	// Default: they are checked.
	TagsHeld bool
}

// ReferenceOptions say which manifest is verified.
type ReferenceOptions struct {
	// Registry is where the manifest is, and Reference names it. Required.
	Registry  *oci.Registry
	Reference oci.Reference
	// Policy says whose signatures count: see attest.VerifyOptions.
	Policy attest.Policy
	// Tested demands a signed test result. Default: it may be missing.
	Tested bool
}

// Report is the result of Version and of Reference.
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
	if err := report.others(ctx, opts); err != nil {
		return nil, err
	}
	verified := attest.VerifyOptions{Registry: opts.Registry, Subjects: report.subjects(), Filters: signed, Modules: stored.Modules(ctx, opts.Storage, opts.Version, report.Objects), Version: opts.Version, Policy: opts.Policy}
	if opts.Tested {
		verified.Tested = signed
	}
	signatures, err := attest.Verify(ctx, verified)
	if err != nil {
		return nil, err
	}
	report.Checks = append(report.Checks, signatures...)
	for _, filter := range signed {
		if opts.TagsHeld {
			break
		}
		if err := report.tags(ctx, opts.Registry, filter, opts.Version, ""); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// Reference verifies one manifest as Version does: with its module, and with its signature,
// provenance and bill of materials under the policy. The filter and the version are those that
// the manifest names. A moving tag has to point to the newest version of its range. Where the
// reference has a tag and a digest, the tag has to be that digest.
func Reference(ctx context.Context, opts ReferenceOptions) (*Report, error) {
	report := new(Report)
	read, err := report.verified(ctx, opts.Reference.String(), func() ([]*oci.Verification, error) {
		found, err := opts.Registry.Verify(ctx, opts.Reference)
		return []*oci.Verification{found}, err
	})
	if err != nil || !read {
		return report, err
	}
	found := report.Manifests[0]
	named, err := version.Parse(found.Annotations[ocispec.AnnotationVersion])
	if err != nil {
		// Without a version nothing can be compared with what is signed.
		report.Checks[0].State = attest.Wrong
		report.Checks[0].Detail = strings.Join(append(found.Problems, fmt.Sprintf("annotation %s: %v", ocispec.AnnotationVersion, err)), "; ")
		return report, nil
	}
	filter := opts.Reference.Filter()
	verified := attest.VerifyOptions{Registry: opts.Registry, Subjects: report.subjects(), Filters: []string{filter}, Version: named, Policy: opts.Policy}
	if opts.Tested {
		verified.Tested = verified.Filters
	}
	signatures, err := attest.Verify(ctx, verified)
	if err != nil {
		return nil, err
	}
	report.Checks = append(report.Checks, signatures...)
	if opts.Reference.Tag == "" || opts.Reference.Digest != "" {
		return report, nil
	}
	return report, report.tags(ctx, opts.Registry, filter, named, opts.Reference.Tag)
}

// subjects are the manifests that were read. Their signatures are those that count: a tag may
// point to something else by now.
func (r *Report) subjects() []*oci.Subject {
	subjects := make([]*oci.Subject, len(r.Manifests))
	for i, v := range r.Manifests {
		subjects[i] = v.Subject()
	}
	return subjects
}

// tags checks the moving tags of a version's ranges, or only the given one.
func (r *Report) tags(ctx context.Context, registry *oci.Registry, filter string, v version.Version, only string) error {
	found, err := registry.MovingTags(ctx, filter, v)
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	if err != nil {
		r.Checks = append(r.Checks, attest.Check{Subject: registry.Address() + "/" + filter, What: "tag", State: attest.StateOf(err), Detail: err.Error(), Err: err})
		return nil
	}
	for _, tag := range found {
		if only != "" && tag.Reference.Tag != only {
			continue
		}
		c := attest.Check{Subject: tag.Reference.String(), What: "tag", State: attest.StateOf(tag.Err), Detail: tag.Newest.String(), Err: tag.Err}
		if tag.Err != nil {
			c.Detail = tag.Err.Error()
		}
		r.Checks = append(r.Checks, c)
	}
	return nil
}

// manifests checks a filter's manifests in the registry, and reports whether there are
// any.
func (r *Report) manifests(ctx context.Context, opts Options, filter string) (bool, error) {
	if opts.Registry == nil {
		return false, nil
	}
	return r.verified(ctx, opts.Registry.Address()+"/"+filter+":"+opts.Version.String(), func() ([]*oci.Verification, error) {
		return opts.Registry.VerifyVersion(ctx, filter, opts.Version)
	})
}

// verified adds the result of reading manifests, and reports whether there are any. reference
// is what is said to be missing or unknown otherwise.
func (r *Report) verified(ctx context.Context, reference string, read func() ([]*oci.Verification, error)) (bool, error) {
	found, err := read()
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return false, err
		}
		r.Checks = append(r.Checks, attest.Check{Subject: reference, What: "manifest", State: attest.StateOf(err), Detail: err.Error(), Err: err})
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
		if problem := r.otherReference(filter, objects[0].OCIReference); problem != "" {
			c.State, c.Detail = attest.Wrong, problem
		}
		if other := r.otherModule(filter, objects[0].WasmSHA256); other != "" {
			c.State, c.Detail = attest.Wrong, fmt.Sprintf("the module has wasm sha256 %s there and %s in the registry", objects[0].WasmSHA256, other)
		}
		r.Objects = append(r.Objects, objects...)
	}
	r.Checks = append(r.Checks, c)
	return nil
}

// others checks the modules of other filters that the storage's SHA256SUMS names: whoever
// compares the file with what is there believes each of its lines. If the file cannot be read,
// the check of each filter says so.
func (r *Report) others(ctx context.Context, opts Options) error {
	if opts.Storage == nil {
		return nil
	}
	listed, err := storage.Filters(ctx, opts.Storage, opts.Version)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	for _, filter := range listed {
		if slices.Contains(opts.Filters, filter) {
			continue
		}
		if err := r.module(ctx, opts, filter); err != nil {
			return err
		}
	}
	return nil
}

// otherReference compares the manifest that the storage's index names with the one that the
// registry has. The embedded registry has another port each time.
func (r *Report) otherReference(filter, named string) string {
	repository, digest, pinned := strings.Cut(named, "@")
	host, _, _ := strings.Cut(repository, "/")
	for _, v := range r.Manifests {
		if !pinned || v.Shape != oci.Artifact || v.Annotations[oci.AnnotationFilter] != filter {
			continue
		}
		there := v.Subject().Reference.Repository
		if v.ManifestDigest != digest || (there != repository && !loopback.Host(host)) {
			return fmt.Sprintf("index.json names the manifest %s, and the registry has %s@%s", named, there, v.ManifestDigest)
		}
	}
	return ""
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
