package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/verify"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Verify reads a version, a reference or what a folder of manifests names back, with its sums, signatures, provenances, SBOMs, test results and moving tags, without credentials, and says what is ok, missing or wrong (-beforeTags leaves the moving tags out).
//
// The exit code is 0 only if all is well. -json prints the result as JSON.
//
// Examples:
//
//	REGISTRY=ghcr.io/acme/filters VERIFY_KEY=cosign.pub go tool mage verify 1.4.0
//	go tool mage verify headers:1.4.0
//	go tool mage verify ./manifests
func Verify(ctx context.Context, versionReferenceOrFolder string, beforeTags, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return verifyPublished(ctx, c, versionReferenceOrFolder, given(beforeTags), out)
	})
}

// verifyPublished verifies a reference, or a version of all filters, or the version of
// a git tag. A version is verified with everything that belongs to it: the manifests,
// the modules and sums in the storage, the signatures, provenances, bills of
// materials, test results and records, and the record of the release in dist/. Of a reference, the same holds for
// its manifest. All is read without credentials, except for REGISTRY_USERNAME and
// REGISTRY_PASSWORD. beforeTags says that the moving tags have not moved yet.
func verifyPublished(ctx context.Context, c variables.Values, what string, beforeTags bool, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	v, names, err := version.Read(what, c.Filters)
	var found *verify.Report
	beforeTags = beforeTags || bool(c.MovingTags)
	switch {
	case err == nil:
		c.Filters = names
		found, err = findVersion(ctx, c, v, beforeTags, out)
	case !errors.Is(err, version.ErrOther):
	case isFolder(what):
		found, err = findNamed(ctx, c, what, out)
	case !strings.ContainsAny(what, ":/"):
		err = fmt.Errorf("%w; or a reference, such as headers:1.4.0; or a folder of manifests", err)
	default:
		found, err = findReference(ctx, c, what, out)
	}
	if err != nil {
		return fmt.Errorf("verify %s: %w", redact.Address(what), err)
	}
	return errors.Join(attest.Failed(found.Checks), printReport(found, out))
}

func printReport(found *verify.Report, out Output) error {
	return out.print(found, func(w io.Writer) error {
		for _, v := range found.Manifests {
			if err := v.Text(w); err != nil {
				return err
			}
		}
		return attest.WriteChecks(w, found.Checks)
	})
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// findNamed reads the modules that manifests name.
func findNamed(ctx context.Context, c variables.Values, dir string, out Output) (*verify.Report, error) {
	modules, err := manifest.Modules(dir)
	if err != nil {
		return nil, err
	}
	all, seen := new(verify.Report), map[manifest.Named]bool{}
	for _, m := range modules {
		file := m.File
		pinned := attest.Check{Subject: file, What: "pin", State: attest.OK, Detail: cmp.Or(m.Reference, redact.Address(m.URL))}
		if m.WasmSHA256 == "" && !strings.Contains(m.Reference, "@") {
			pinned.State, pinned.Detail = attest.Wrong, pinned.Detail+" without a digest or sum, so that proxies pull whatever is there"
		}
		all.Checks = append(all.Checks, pinned)
		if m.File = ""; seen[m] {
			continue
		}
		seen[m] = true
		if m.Reference == "" {
			all.Checks = append(all.Checks, checkSum(ctx, m))
			continue
		}
		found, err := findReference(ctx, c, m.Reference, out)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all.Checks = append(all.Checks, found.Checks...)
		all.Manifests = append(all.Manifests, found.Manifests...)
	}
	return all, nil
}

// checkSum compares what a URL serves with the wasm sha256 that a manifest names.
func checkSum(ctx context.Context, m manifest.Named) attest.Check {
	check := attest.Check{Subject: redact.Address(m.URL), What: "sum", State: attest.OK, Detail: m.WasmSHA256}
	served, err := inspect.Fetch(ctx, m.URL)
	if err != nil {
		check.State, check.Detail, check.Err = attest.StateOf(err), err.Error(), err
	} else if sum := checksum.Bytes(served.Wasm); sum != m.WasmSHA256 {
		check.State, check.Detail = attest.Wrong, fmt.Sprintf("it serves a module with wasm sha256 %s, and the manifest names %s", sum, m.WasmSHA256)
	}
	return check
}

// findReference reads the manifest of a reference.
func findReference(ctx context.Context, c variables.Values, reference string, out Output) (found *verify.Report, err error) {
	r, done, err := openRegistryWith(ctx, c, reference, oci.RegistryOptions{Out: out.Err, Anonymous: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	ref, err := r.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	return verify.Reference(ctx, verify.ReferenceOptions{Registry: r, Reference: ref, Policy: policy(c), Tested: c.VerifyTested})
}

// findVersion reads a version from the configured registry, storage or both; without
// any configuration, from the embedded ones.
func findVersion(ctx context.Context, c variables.Values, v version.Version, beforeTags bool, out Output) (found *verify.Report, err error) {
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return nil, err
	}
	from, err := openPublished(ctx, c, oci.RegistryOptions{Out: out.Err, Anonymous: true}, out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	opts := verify.Options{
		Filters: catalog.NamesOf(filters), Version: v, Policy: policy(c), Tested: c.VerifyTested, TagsHeld: beforeTags,
		Registry: from.registry, Storage: from.storage,
		// Pushing does not require an upload.
		StorageOptional: c.StorageURL == "" && c.StoragePublicURL == "",
	}
	if found, err = verify.Version(ctx, opts); err != nil {
		return nil, err
	}
	if check := checkRecord(ctx, opts, found); check != nil {
		found.Checks = append(found.Checks, *check)
	}
	return found, nil
}

// checkRecord compares a release's record with what was found and with what is signed. It
// returns nil if there is no record.
func checkRecord(ctx context.Context, opts verify.Options, found *verify.Report) *attest.Check {
	path, version := filepath.Join(dist, rel.RecordFile), opts.Version.String()
	check := &attest.Check{Subject: path, What: attest.WhatRecord, State: attest.OK}
	// It is read once: what is compared is what was signed.
	file, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var record *rel.Record
	if err == nil {
		record, err = rel.ParseRecord(path, file)
	} else {
		err = fmt.Errorf("read the release's record: %w", err)
	}
	if err == nil && record.Version != version && !names(record, found) {
		check.State, check.Optional = attest.Missing, true
		check.Detail = fmt.Sprintf("version is %q there, and it names nothing of %s", record.Version, version)
		return check
	}
	if err != nil {
		check.State, check.Detail = attest.StateOf(err), err.Error()
		return check
	}
	if slices.ContainsFunc(found.Checks, func(c attest.Check) bool {
		return c.State == attest.Unknown && (c.What == "manifest" || c.What == "sum" || c.What == attest.WhatRecord)
	}) {
		check.State, check.Detail = attest.Unknown, "not everything that it names could be looked at"
	}
	problems := recordProblems(record, opts.Filters, found)
	if record.Version != version {
		problems = append(problems, fmt.Sprintf("version is %q, and what it names is %s", record.Version, version))
	}
	if opts.Policy.IsZero() {
		check.Detail = cmp.Or(check.Detail, "it is not signed")
	} else if check.State == attest.OK {
		unlike, err := notSigned(ctx, opts.Policy, record, file, found)
		if err != nil {
			check.State, check.Detail = attest.StateOf(err), err.Error()
		}
		problems = append(problems, unlike...)
	}
	if len(problems) > 0 {
		check.State, check.Detail = attest.Wrong, strings.Join(problems, "; ")
	}
	return check
}

// notSigned names the differences between the record, with its file, and what is signed.
func notSigned(ctx context.Context, policy attest.Policy, record *rel.Record, file []byte, found *verify.Report) ([]string, error) {
	_, problems := record.Signed(file, found.Checks)
	beside := filepath.Join(dist, rel.BundleFile)
	bundle, err := os.ReadFile(beside)
	if len(problems) > 0 || errors.Is(err, fs.ErrNotExist) {
		return problems, nil // what is published signs it as well
	}
	if err == nil {
		err = attest.CheckFile(ctx, policy, file, bundle)
	}
	if err != nil {
		return nil, fmt.Errorf("check its signature %s: %w", beside, err)
	}
	return nil, nil
}

// names reports whether a record names a manifest or a module that was found.
func names(record *rel.Record, found *verify.Report) bool {
	return slices.ContainsFunc(record.Filters, func(f rel.FilterRecord) bool {
		return slices.ContainsFunc(found.Objects, func(o storage.Object) bool { return o.Filter == f.Name && o.URL == f.URL }) ||
			slices.ContainsFunc(f.Manifests, func(m rel.ManifestRecord) bool {
				return slices.ContainsFunc(found.Manifests, func(v *oci.Verification) bool { return v.ManifestDigest == m.ManifestDigest })
			})
	})
}

// recordProblems names the differences between the record and what was found.
func recordProblems(record *rel.Record, filters []string, found *verify.Report) []string {
	var problems []string
	differs := func(subject, what, recorded, published string) {
		// Two missing facts are not equal.
		if recorded != published || recorded == "" {
			problems = append(problems, fmt.Sprintf("it says that the %s of %s is %q, and published is %q", what, subject, recorded, published))
		}
	}
	manifests := map[string]*oci.Verification{}
	for _, v := range found.Manifests {
		manifests[v.Annotations[oci.AnnotationFilter]+" "+string(v.Shape)] = v
	}
	tested := map[string]attest.Check{}
	for _, c := range found.Checks {
		if c.What == attest.WhatTested {
			tested[c.Subject] = c
		}
	}
	objects := map[string]storage.Object{}
	for _, o := range found.Objects {
		objects[o.Filter] = o
	}
	recorded := map[string]bool{}
	for _, f := range record.Filters {
		recorded[f.Name] = true
		if o, ok := objects[f.Name]; ok {
			differs(f.Name, "wasm sha256", f.WasmSHA256, o.WasmSHA256)
			differs(f.Name, "size", fmt.Sprint(f.WasmSize), fmt.Sprint(o.WasmSize))
			if !record.Rehearsal {
				differs(f.Name, "URL", f.URL, o.URL)
			}
		}
		for _, m := range f.Manifests {
			v, ok := manifests[f.Name+" "+string(m.Shape)]
			if !ok {
				if manifests[f.Name+" "+string(oci.Artifact)] != nil { // otherwise its own check says so
					problems = append(problems, fmt.Sprintf("it names %s of %s, which is not published", m.Tag, f.Name))
				}
				continue
			}
			subject := v.Reference
			differs(subject, "manifest digest", m.ManifestDigest, v.ManifestDigest)
			differs(subject, "wasm sha256", f.WasmSHA256, v.WasmSHA256)
			differs(subject, "size", fmt.Sprint(f.WasmSize), fmt.Sprint(v.WasmSize))
			differs(subject, "commit", record.Commit, v.Annotations[ocispec.AnnotationRevision])
			if !record.Rehearsal {
				differs(subject, "repository", m.Repository+":"+m.Tag, v.Reference)
			}
			if err := tested[subject].Confirm(f.Scenarios); err != nil {
				problems = append(problems, fmt.Sprintf("of %s, %v", subject, err))
			}
		}
	}
	for _, filter := range filters {
		if _, published := objects[filter]; (published || manifests[filter+" "+string(oci.Artifact)] != nil) && !recorded[filter] {
			problems = append(problems, fmt.Sprintf("it does not name %s, which is published", filter))
		}
	}
	return problems
}
