package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// pushOptions are those of looking and of pushing.
func (r *run) pushOptions() (oci.PushOptions, error) {
	opts := oci.PushOptions{
		Release: oci.Release{
			Version:     r.version.Original(),
			Revision:    r.git.Commit,
			Source:      r.git.Source,
			Created:     r.git.Time,
			EnvoyTested: r.EnvoyTested,
		},
		Shapes:   r.Shapes,
		HoldTags: true,
		InOrder:  true,
	}
	for i, f := range r.filters {
		opts.Filters = append(opts.Filters, oci.Filter{Module: r.modules[i], Metadata: f.Metadata})
	}
	all, err := catalog.Load(catalog.LoadOptions{})
	for _, f := range all {
		opts.Siblings = append(opts.Siblings, f.Name)
	}
	return opts, err
}

// look finds out what is published already, so that a version that is taken costs
// no tests, and what was published before.
func (r *run) look(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	if err := r.open(ctx, out); err != nil {
		return "", false, err
	}
	// The embedded registry is one process' at a time, and tests take minutes.
	defer func() { err = errors.Join(err, r.closeStores()) }()
	there, wanted := 0, 0
	if r.stores.Registry != nil {
		opts, err := r.pushOptions()
		if err != nil {
			return "", false, err
		}
		looked, err := oci.Look(ctx, r.stores.Registry, opts)
		if err != nil {
			return "", false, r.taken(err)
		}
		wanted += len(looked)
		for _, p := range looked {
			if p.Unchanged {
				there++
			}
		}
	}
	if r.stores.Storage != nil {
		stored, err := r.lookInStorage(ctx)
		if err != nil {
			return "", false, r.taken(err)
		}
		wanted += len(r.modules)
		there += stored
	}
	history := r.history(ctx, out)
	switch there {
	case 0:
		return "nothing is published under this version" + history, false, nil
	case wanted:
		return "all of this version is published" + history, false, nil
	}
	return fmt.Sprintf("%d of %d objects of this version are published; the rest follows%s", there, wanted, history), false, nil
}

// lookInStorage counts the modules that are in the storage already. What readers may
// not see is for the upload to find: a bucket may answer 403 for what is not there.
func (r *run) lookInStorage(ctx context.Context) (there int, err error) {
	for _, m := range r.modules {
		objects, err := storage.Verify(ctx, r.stores.Storage, storage.VerifyOptions{Version: r.version.Original(), Filters: []string{m.Name}})
		if refusal := new(storage.Refusal); errors.Is(err, storage.ErrNotFound) || errors.As(err, &refusal) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if sum := objects[0].WasmSHA256; sum != m.WasmSHA256 {
			return 0, &immutable.Conflict{Name: objects[0].URL, Kind: "wasm sha256", Published: sum, Ours: m.WasmSHA256}
		}
		there++
	}
	return there, nil
}

// taken says what to do about a version that is taken.
func (r *run) taken(err error) error {
	if conflict := new(immutable.Conflict); r.Rehearsal && errors.As(err, &conflict) {
		return fmt.Errorf("%w; or remove %s and %s, which hold rehearsals only, to rehearse it anew", err, r.Dist+"/registry", r.Dist+"/storage")
	}
	return err
}

// history looks up the version before this one of each filter, and says which are
// ahead of it.
func (r *run) history(ctx context.Context, out io.Writer) (note string) {
	r.previous = make(map[string]Previous)
	var ahead []string
	for _, f := range r.filters {
		before, newest, err := r.before(ctx, f.Name)
		if err != nil {
			// It is for the size table only. A bucket may answer 403 for a list
			// that is not there yet.
			fmt.Fprintf(out, "which version of %s is the one before is not known: %v\n", f.Name, err)
			continue
		}
		if before != nil {
			r.previous[f.Name] = *before
		}
		if newest != nil && newest.GreaterThan(r.version) {
			ahead = append(ahead, f.Name+" "+newest.Original())
		}
	}
	if len(ahead) > 0 {
		note = fmt.Sprintf("; a back-port, because %s is there: latest stays", strings.Join(ahead, ", "))
	}
	return note
}

// before returns a filter's highest version below this one, and its highest of
// all. Pre-releases count only for a pre-release.
func (r *run) before(ctx context.Context, filter string) (before *Previous, newest *semver.Version, err error) {
	sizes := make(map[string]int64)
	var all []*semver.Version // the newest first
	if r.stores.Registry != nil {
		if all, err = oci.Versions(ctx, r.stores.Registry, filter); err != nil {
			return nil, nil, err
		}
	} else {
		entries, err := storage.Versions(ctx, r.stores.Storage, filter)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			all = append(all, semver.MustParse(e.Version)) // it was checked
			sizes[e.Version] = e.Size
		}
	}
	for _, v := range all {
		if v.Prerelease() != "" && r.version.Prerelease() == "" {
			continue
		}
		if newest == nil {
			newest = v
		}
		if !v.LessThan(r.version) {
			continue
		}
		size, known := sizes[v.Original()]
		if !known {
			if size, err = oci.WasmSize(ctx, r.stores.Registry, filter, v.Original()); err != nil {
				return nil, newest, err
			}
		}
		return &Previous{Version: v.Original(), WasmSize: size}, newest, nil
	}
	return nil, newest, nil
}

// push publishes in the registry, with the exact version's tags only.
func (r *run) push(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	if err := r.open(ctx, out); err != nil {
		return "", false, err
	}
	if r.stores.Registry == nil {
		return "no registry is configured", false, nil
	}
	opts, err := r.pushOptions()
	if err != nil {
		return "", false, err
	}
	if r.published, err = oci.Push(ctx, r.stores.Registry, opts); err != nil {
		return "", false, r.taken(err)
	}
	confirmed = true
	for _, p := range r.published {
		confirmed = confirmed && p.Unchanged
	}
	return fmt.Sprintf("%s in %s", count(len(r.published), "manifest"), r.registryName()), confirmed, nil
}

// upload publishes in the storage.
func (r *run) upload(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if r.stores.Storage == nil {
		return "no storage is configured", false, nil
	}
	opts := storage.UploadOptions{Version: r.version.Original(), Modules: r.modules, OCIReferences: make(map[string]string)}
	for _, p := range r.published {
		if p.Shape == oci.Artifact {
			opts.OCIReferences[p.Filter] = r.repository(p) + "@" + p.ManifestDigest
		}
	}
	if r.objects, err = storage.Upload(ctx, r.stores.Storage, opts); err != nil {
		return "", false, r.taken(err)
	}
	confirmed = true
	for _, o := range r.objects {
		confirmed = confirmed && o.Unchanged
	}
	return fmt.Sprintf("%s at %s", count(len(r.objects), "module"), r.storageURL()), confirmed, nil
}

// attest attaches to what is published what proves where it comes from.
func (r *run) attest(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	return "attached to what was published", false, r.Attest(ctx, r.newRecord(), r.stores, out)
}

// render writes manifests for what is read back from the outside.
func (r *run) render(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	if r.releases, err = facts.Read(ctx, facts.Options{
		Filters:  r.filterNames(),
		Version:  r.version.Original(),
		Registry: r.stores.Registry,
		Storage:  r.stores.Storage,
	}); err != nil {
		return "", false, err
	}
	opts := manifest.RenderOptions{Dir: r.Dist + "/manifests", HTTPBinImage: r.HTTPBinImage, Out: out}
	for i, f := range r.filters {
		if f.Metadata.Apply == nil {
			fmt.Fprintf(out, "%s: no manifests, because its filter.yaml has no section apply\n", f.Name)
			continue
		}
		release := r.releases[i]
		release.Repository = r.recorded(release.Repository)
		release.URL = r.recorded(release.URL)
		opts.Filters = append(opts.Filters, f)
		opts.Releases = append(opts.Releases, release)
	}
	if len(opts.Filters) == 0 {
		return "no filter has a section apply", false, nil
	}
	return "in " + opts.Dir, false, manifest.Render(ctx, opts)
}

// verify reads everything from the outside, and compares it with the record.
func (r *run) verify(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	record := r.newRecord()
	var problems []error
	for i, f := range record.Filters {
		// Both were verified when they were read, with all that refers to them.
		if r.releases[i].WasmSHA256 != f.WasmSHA256 {
			problems = append(problems, fmt.Errorf("%s: what is published has wasm sha256 %s, and should have %s", f.Name, r.releases[i].WasmSHA256, f.WasmSHA256))
		}
		if r.stores.Registry != nil {
			problems = append(problems, r.verifyManifests(ctx, f))
		}
	}
	if r.Verify != nil {
		problems = append(problems, r.Verify(ctx, record, r.stores, out))
	}
	return "registry and storage give what the record says", false, errors.Join(problems...)
}

// verifyManifests compares a filter's manifests in all shapes with the record.
func (r *run) verifyManifests(ctx context.Context, f Filter) error {
	found, err := oci.VerifyVersion(ctx, r.stores.Registry, f.Name, r.version.Original())
	if err != nil {
		return err
	}
	var problems []error
	digests := make(map[oci.Shape]string)
	for _, v := range found {
		digests[v.Shape] = v.ManifestDigest
		problems = append(problems, v.Err())
		if v.WasmSHA256 != f.WasmSHA256 {
			problems = append(problems, fmt.Errorf("%s has wasm sha256 %s, and should have %s", v.Reference, v.WasmSHA256, f.WasmSHA256))
		}
	}
	for _, m := range f.Manifests {
		if digests[m.Shape] != m.ManifestDigest {
			problems = append(problems, fmt.Errorf("%s:%s has manifest digest %q, and should have %s", m.Repository, m.Tag, digests[m.Shape], m.ManifestDigest))
		}
	}
	return errors.Join(problems...)
}

// moveTags lets the moving tags point to the release, where it is the newest.
func (r *run) moveTags(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if r.stores.Registry == nil {
		return "no registry is configured", false, nil
	}
	if r.published, err = oci.Move(ctx, r.stores.Registry, r.published); err != nil {
		return "", false, err
	}
	var moved []string
	for _, p := range r.published {
		for _, tag := range p.Moved {
			moved = append(moved, p.Filter+":"+tag)
		}
	}
	if len(moved) == 0 {
		return "all are where they should be", true, nil
	}
	return strings.Join(moved, " "), false, nil
}

// recorded is an address in a store as the record names it.
func (r *run) recorded(address string) string {
	if s := r.stores; s.Registry != nil && s.RegistryName != "" {
		if rest, ok := strings.CutPrefix(address, s.Registry.Address()); ok {
			return s.RegistryName + rest
		}
	}
	if s := r.stores; s.Storage != nil && s.StorageURL != "" {
		if rest, ok := strings.CutPrefix(address, s.Storage.PublicURL("")); ok {
			return s.StorageURL + "/" + rest
		}
	}
	return address
}

func (r *run) repository(p oci.Published) string { return r.recorded(p.Repository) }

func (r *run) registryName() string { return r.recorded(r.stores.Registry.Address()) }

func (r *run) storageURL() string {
	return strings.TrimSuffix(r.recorded(r.stores.Storage.PublicURL("")), "/")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
