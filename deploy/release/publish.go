package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// look finds out what is published already, so that a release of a taken version fails
// before the tests. It also builds the images that push sends.
func (r *run) look(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	if err := r.open(ctx, out); err != nil {
		return "", false, err
	}
	// Only one process can open the embedded registry at a time, and tests take
	// minutes.
	if r.rehearsal() {
		defer func() { err = errors.Join(err, r.closeStores()) }()
	}
	there, wanted := 0, 0
	if r.stores.registry != nil {
		if r.images, err = oci.NewImages(r.release, r.Shapes...); err != nil {
			return "", false, err
		}
		looked, err := r.stores.registry.Look(ctx, r.images)
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
	if r.stores.storage != nil {
		stored, err := r.lookInStorage(ctx)
		if err != nil {
			return "", false, r.taken(err)
		}
		wanted += len(r.release.Filters)
		there += stored
	}
	switch there {
	case 0:
		return "nothing is published under this version", false, nil
	case wanted:
		return "all of this version is published", false, nil
	}
	return fmt.Sprintf("%d of %d objects of this version are published; the rest follows", there, wanted), false, nil
}

// lookInStorage counts the modules that are in the storage already. It ignores
// refusals, because a bucket may answer 403 for a missing object; the upload reports
// them.
func (r *run) lookInStorage(ctx context.Context) (there int, err error) {
	for _, m := range r.release.Modules() {
		objects, err := storage.Verify(ctx, r.stores.storage, storage.VerifyOptions{Version: r.Version, Filters: []string{m.Name}})
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
	if conflict := new(immutable.Conflict); r.rehearsal() && errors.As(err, &conflict) {
		return fmt.Errorf("%w; or remove %s and %s, which hold rehearsals only, to rehearse it anew", err, r.Dist+"/registry", r.Dist+"/storage")
	}
	return err
}

// push publishes to the registry. It sets only the tags of the exact version.
func (r *run) push(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	if err := r.open(ctx, out); err != nil {
		return "", false, err
	}
	if r.stores.registry == nil {
		return "no registry is configured", false, nil
	}
	if r.published, err = r.stores.registry.Push(ctx, r.images, oci.PushOptions{HoldTags: true, InOrder: true}); err != nil {
		return "", false, r.taken(err)
	}
	confirmed = true
	for _, p := range r.published {
		confirmed = confirmed && p.Unchanged
	}
	return fmt.Sprintf("%s in %s", count(len(r.published), "manifest"), r.recorded(r.stores.registry.Address())), confirmed, nil
}

// upload publishes to the storage.
func (r *run) upload(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if r.stores.storage == nil {
		return "no storage is configured", false, nil
	}
	opts := storage.UploadOptions{Version: r.Version, Modules: r.release.Modules(), OCIReferences: make(map[string]string)}
	for _, p := range r.published {
		if p.Shape == oci.Artifact {
			opts.OCIReferences[p.Filter] = r.recorded(p.Repository) + "@" + p.ManifestDigest
		}
	}
	if r.objects, err = storage.Upload(ctx, r.stores.storage, opts); err != nil {
		return "", false, r.taken(err)
	}
	confirmed = true
	for _, o := range r.objects {
		confirmed = confirmed && o.Unchanged
	}
	at := strings.TrimSuffix(r.recorded(r.stores.storage.PublicURL("")), "/")
	return fmt.Sprintf("%s at %s", count(len(r.objects), "module"), at), confirmed, nil
}

// render writes manifests from what is read back from the outside.
func (r *run) render(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	if r.facts, err = facts.Read(ctx, facts.Options{
		Filters:  r.release.Names(),
		Version:  r.Version,
		Registry: r.stores.registry,
		Storage:  r.stores.storage,
	}); err != nil {
		return "", false, err
	}
	opts := manifest.RenderOptions{Dir: filepath.Join(r.Dist, "manifests"), HTTPBinImage: r.HTTPBinImage, Out: out}
	for i, f := range r.sources {
		if f.Metadata.Apply == nil {
			printable.Fprintf(out, "%s: no manifests, because its filter.yaml has no section apply\n", f.Name)
			continue
		}
		source := r.facts[i]
		if source.Repository == "" && strings.HasPrefix(source.URL, "file:") {
			printable.Fprintf(out, "%s: no manifests, because it is published in a folder, and no public address was given from which proxies fetch\n", f.Name)
			continue
		}
		source.Repository = r.recorded(source.Repository)
		source.URL = r.recorded(source.URL)
		opts.Filters = append(opts.Filters, f)
		opts.Releases = append(opts.Releases, source)
	}
	if len(opts.Filters) == 0 {
		return "there is nothing to render", false, nil
	}
	return "in " + opts.Dir, false, manifest.Render(ctx, opts)
}

func (r *run) wouldRender() []string {
	return []string{"write manifests to " + r.Dist + "/manifests"}
}

// verify reads everything from the outside and compares it with the record.
func (r *run) verify(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	var problems []error
	for i, f := range r.newRecord().Filters {
		// The step render has verified the manifest, with everything that it refers to.
		if sum := r.facts[i].WasmSHA256; sum != f.WasmSHA256 {
			problems = append(problems, fmt.Errorf("%s: what is published has wasm sha256 %s, and should have %s", f.Name, sum, f.WasmSHA256))
		}
		for _, m := range f.Manifests {
			problems = append(problems, r.verifyManifest(ctx, f, m, r.facts[i].ManifestDigest))
		}
	}
	problems = append(problems, r.verifyAttached(ctx, out))
	return "registry and storage give what the record says", false, errors.Join(problems...)
}

// verifyManifest compares a manifest with the record. artifact is the digest of the
// manifest that render read.
func (r *run) verifyManifest(ctx context.Context, f FilterRecord, m ManifestRecord, artifact string) error {
	digest := artifact
	if m.Shape != oci.Artifact {
		found, err := r.stores.registry.Check(ctx, oci.Reference{Repository: r.stores.registry.Address() + "/" + f.Name, Tag: m.Tag})
		if err != nil {
			return err
		}
		if err := found.Err(); err != nil {
			return err
		}
		if digest = found.ManifestDigest; found.WasmSHA256 != f.WasmSHA256 {
			return fmt.Errorf("%s has wasm sha256 %s, and should have %s", found.Reference, found.WasmSHA256, f.WasmSHA256)
		}
	}
	if digest != m.ManifestDigest {
		return fmt.Errorf("%s:%s has manifest digest %q, and should have %s", m.Repository, m.Tag, digest, m.ManifestDigest)
	}
	return nil
}

// moveTags points the moving tags to this release if it is the newest in their range,
// and looks up the version before it.
func (r *run) moveTags(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	if r.stores.registry == nil {
		return "no registry is configured" + r.history(ctx, out), false, nil
	}
	if r.published, err = r.stores.registry.Move(ctx, r.published); err != nil {
		return "", false, err
	}
	history := r.history(ctx, out)
	for _, p := range r.published {
		if p.Refusal != nil { // one is enough: it is about the registry
			r.Notice(p.Refusal)
			break
		}
	}
	var moved []string
	for _, p := range r.published {
		for _, tag := range p.Moved {
			moved = append(moved, p.Filter+":"+tag)
		}
	}
	if len(moved) == 0 {
		return "all are where they should be" + history, true, nil
	}
	return strings.Join(moved, " ") + history, false, nil
}

// history looks up each filter's version before this one, and reports filters that have
// a newer version already.
func (r *run) history(ctx context.Context, out io.Writer) (note string) {
	r.previous = make(map[string]Previous)
	var ahead []string
	for _, f := range r.release.Filters {
		before, newest, err := r.before(ctx, f.Name)
		if err != nil {
			// Only the size table needs it. A bucket may answer 403 for a list that
			// does not exist yet.
			printable.Fprintf(out, "which version of %s is the one before is not known: %v\n", f.Name, err)
			continue
		}
		if before != nil {
			r.previous[f.Name] = *before
		}
		if newest.Compare(r.Version) > 0 {
			ahead = append(ahead, f.Name+" "+newest.String())
		}
	}
	if len(ahead) > 0 {
		note = fmt.Sprintf("; a back-port, because %s is there: latest stays", strings.Join(ahead, ", "))
	}
	return note
}

// before returns a filter's highest version below this one, and its highest of all.
// Pre-releases count only if this is a pre-release.
func (r *run) before(ctx context.Context, filter string) (before *Previous, newest version.Version, err error) {
	sizes := make(map[string]int64)
	var all []version.Version // the newest first
	if r.stores.registry != nil {
		all, err = r.listed(ctx, filter)
	} else {
		var entries []storage.IndexEntry
		entries, err = storage.Versions(ctx, r.stores.storage, filter)
		for _, e := range entries {
			v, parseErr := version.Parse(e.Version)
			err = errors.Join(err, parseErr)
			all, sizes[e.Version] = append(all, v), e.Size
		}
	}
	if err != nil {
		return nil, newest, err
	}
	for _, v := range all {
		if v.Prerelease() && !r.Version.Prerelease() {
			continue
		}
		if newest.IsZero() {
			newest = v
		}
		if v.Compare(r.Version) >= 0 {
			continue
		}
		size, known := sizes[v.String()]
		if !known {
			if size, err = r.stores.registry.WasmSize(ctx, filter, v); err != nil {
				return nil, newest, err
			}
		}
		return &Previous{Version: v.String(), WasmSize: size}, newest, nil
	}
	return nil, newest, nil
}

// listed are a filter's versions in the registry, as listed when its tags moved; if
// they did not move, they are listed now.
func (r *run) listed(ctx context.Context, filter string) ([]version.Version, error) {
	for _, p := range r.published {
		if p.Filter == filter && p.Shape == oci.Artifact && p.Versions != nil {
			return p.Versions, nil
		}
	}
	return r.stores.registry.Versions(ctx, filter)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
