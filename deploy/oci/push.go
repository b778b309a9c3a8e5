package oci

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/internal/versions"
)

// parallel is how many filters are worked on side by side. Registries begin to
// answer 429 not far above.
const parallel = 8

// maxWasm is the largest module that Istio's agent and Envoy Gateway download;
// they cut off what is beyond.
//
// Reference: ISTIO_WASM_MAX_BINARY_SIZE_BYTES in
// https://istio.io/latest/docs/reference/commands/pilot-agent/
const maxWasm = 256 << 20

// PushOptions says what is pushed and how.
type PushOptions struct {
	// Filters are what is pushed.
	Filters []Filter
	// Release is what they have in common.
	Release Release
	// Shapes are the forms to push. Default: Artifact.
	Shapes []Shape
	// Siblings are the names of further filters in the registry, whose blobs are
	// mounted where they are the same.
	Siblings []string
	// HoldTags leaves the moving tags where they are, for a release that checks
	// more before it calls Move.
	HoldTags bool
	// InOrder sets the version tags one by one, in the order of the filters' names,
	// each one only when the one before was read back. So of two releases that meet
	// one gets all of them, and the other stops at the first tag in which they
	// differ. Default: all are set at once, which waits once for all of them, and of
	// two pushes that meet each may get some.
	InOrder bool
}

// Published is one manifest in a registry, under its version.
type Published struct {
	// Filter is the filter's name.
	Filter string `json:"filter"`
	// Version is the version, for example "1.4.0".
	Version string `json:"version"`
	// Shape is the manifest's form.
	Shape Shape `json:"shape"`
	// Repository is the repository's full name.
	Repository string `json:"repository"`
	// Tag is the version's tag in this shape.
	Tag string `json:"tag"`
	// ManifestDigest is the manifest digest, "sha256:…": what an oci:// URL is
	// pinned to.
	ManifestDigest string `json:"manifestDigest"`
	// WasmSHA256 is the sha256 of the module, in hex.
	WasmSHA256 string `json:"wasmSha256"`
	// WasmSize is the module's size in bytes.
	WasmSize int64 `json:"wasmSize"`
	// Unchanged says that it was there already and nothing was sent.
	Unchanged bool `json:"unchanged"`
	// Moved are the moving tags that were moved to it.
	Moved []string `json:"moved,omitempty"`
}

// Reference is the manifest pinned by its digest.
func (p Published) Reference() string { return p.Repository + "@" + p.ManifestDigest }

// job is the push of one image.
type job struct {
	*Image
	filter  Filter
	version string
	name    string // of the repository
	repo    repository
	slot    immutable.Slot // of the version tag
	exists  bool
}

// Push publishes filters under their version, side by side, and returns what is
// published in the order of the filters and shapes.
//
// First it looks at every version tag, and changes nothing if one has another
// digest than ours (*immutable.Conflict). Then it sends blobs, manifests by their
// digest, reads both back, and only when all filters have come so far sets the
// version tags, and after them the moving tags. So it can be interrupted
// anywhere: no tag points to something incomplete, and the same push again
// finishes the job. What the registry has already is not sent.
func Push(ctx context.Context, r *Registry, opts PushOptions) ([]Published, error) {
	jobs, err := r.look(ctx, opts)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.exists })
	if err := each(missing, "inspect", func(j *job) error { return check(ctx, j.filter) }); err != nil {
		return nil, err
	}
	sources := r.blobSources(ctx, jobs, missing, opts.Siblings)
	if err := each(missing, "push", func(j *job) error { return r.send(ctx, j, sources) }); err != nil {
		return nil, err
	}
	for _, turn := range turns(missing, opts.InOrder) {
		if err := setVersionTags(ctx, turn); err != nil {
			return nil, err
		}
	}
	if opts.HoldTags {
		return published(jobs), nil
	}
	return Move(ctx, r, published(jobs))
}

// Look does the first part of Push, which changes nothing: it returns what a push
// would publish, with Unchanged where it is published already. The error is a
// *immutable.Conflict where something else is.
func Look(ctx context.Context, r *Registry, opts PushOptions) ([]Published, error) {
	jobs, err := r.look(ctx, opts)
	if err != nil {
		return nil, err
	}
	return published(jobs), nil
}

func (r *Registry) look(ctx context.Context, opts PushOptions) ([]*job, error) {
	jobs, err := r.plan(opts)
	if err != nil {
		return nil, err
	}
	return jobs, each(jobs, "look up", func(j *job) (err error) {
		j.exists, err = j.slot.Check(ctx)
		return err
	})
}

// turns are the jobs whose version tags are set together: one at a time if the
// order matters, else all.
func turns(jobs []*job, inOrder bool) [][]*job {
	if !inOrder {
		return [][]*job{jobs}
	}
	jobs = slices.Clone(jobs)
	slices.SortFunc(jobs, func(a, b *job) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(string(a.Shape), string(b.Shape)))
	})
	all := make([][]*job, len(jobs))
	for i, j := range jobs {
		all[i] = []*job{j}
	}
	return all
}

func published(jobs []*job) []Published {
	list := make([]Published, len(jobs))
	for i, j := range jobs {
		list[i] = j.published()
	}
	return list
}

// setVersionTags writes the version tags, waits once for all of them, and reads
// them back.
func setVersionTags(ctx context.Context, jobs []*job) error {
	settled := make(chan time.Time, len(jobs))
	if err := each(jobs, "tag", func(j *job) error {
		_, at, err := j.slot.Put(ctx)
		settled <- at
		return err
	}); err != nil {
		return err
	}
	close(settled)
	for at := range settled {
		if err := immutable.Settle(ctx, at); err != nil {
			return err
		}
	}
	return each(jobs, "tag", func(j *job) error { return j.slot.Confirm(ctx) })
}

func (j *job) published() Published {
	return Published{
		Filter:         j.filter.Module.Name,
		Version:        j.version,
		Shape:          j.Shape,
		Repository:     j.name,
		Tag:            j.Shape.tag(j.version),
		ManifestDigest: j.Descriptor.Digest.String(),
		WasmSHA256:     j.filter.Module.WasmSHA256,
		WasmSize:       j.filter.Module.Size,
		Unchanged:      j.exists,
	}
}

// String is one line for people.
func (p Published) String() string {
	state := "pushed"
	if p.Unchanged {
		state = "was there already"
	}
	line := fmt.Sprintf("%s:%s: %s, manifest digest %s, wasm sha256 %s", p.Repository, p.Tag, state, p.ManifestDigest, p.WasmSHA256)
	if len(p.Moved) > 0 {
		line += "; now also " + strings.Join(p.Moved, ", ")
	}
	return line
}

// plan builds the images.
func (r *Registry) plan(opts PushOptions) ([]*job, error) {
	if _, err := versions.Parse(opts.Release.Version); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	if len(opts.Shapes) == 0 {
		opts.Shapes = []Shape{Artifact}
	}
	var jobs []*job
	for _, filter := range opts.Filters {
		repo, err := r.repository(filter.Module.Name)
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", filter.Module.Name, err)
		}
		for _, shape := range opts.Shapes {
			jobs = append(jobs, &job{
				Image:   &Image{Shape: shape},
				filter:  filter,
				version: opts.Release.Version,
				name:    r.name(filter.Module.Name),
				repo:    repo,
			})
		}
	}
	return jobs, each(jobs, "push", func(j *job) error {
		image, err := NewImage(j.Shape, j.filter, opts.Release)
		if err != nil {
			return err
		}
		j.Image = image
		j.slot = r.versionTag(j)
		return nil
	})
}

// check refuses a module that would take down the proxies that pull it.
func check(ctx context.Context, filter Filter) error {
	if filter.Module.Size > maxWasm {
		return fmt.Errorf("the module has %d bytes, and proxies read no more than %d; make it smaller", filter.Module.Size, maxWasm)
	}
	return filter.Module.Check(ctx, filter.Metadata)
}

// versionTag is the slot of an image's version tag.
func (r *Registry) versionTag(j *job) immutable.Slot {
	tag := j.Shape.tag(j.version)
	slot := immutable.Slot{
		Name:       j.name + ":" + tag,
		Kind:       "manifest digest",
		Ours:       j.Descriptor.Digest.String(),
		Overwrites: true,
		Current: func(ctx context.Context) (string, error) {
			desc, err := r.resolve(ctx, j.repo, tag)
			if finding.Absent(err) {
				return "", immutable.ErrAbsent
			}
			return desc.Digest.String(), err
		},
	}
	if folder, ok := j.repo.(*layout); ok {
		slot.Overwrites = false
		slot.Create = func(ctx context.Context) error {
			return folder.add(ctx, j.Descriptor, j.Manifest, tag, true)
		}
		return slot
	}
	slot.Create = func(ctx context.Context) error {
		looked := true // Put has
		return r.do(ctx, func() error {
			if !looked {
				// Minutes may have passed since the last try, which is time for
				// somebody else to publish; or it worked and the answer was lost.
				if exists, err := slot.Check(ctx); exists || err != nil {
					return err
				}
			}
			looked = false
			return j.repo.PushReference(ctx, j.Descriptor, bytes.NewReader(j.Manifest), tag)
		})
	}
	return slot
}

// send brings an image into the registry without any tag, and reads it back.
func (r *Registry) send(ctx context.Context, j *job, sources *blobSources) error {
	r.report.Printf("%s:%s: sending %d bytes", j.name, j.Shape.tag(j.version), j.filter.Module.Size)
	for _, blob := range j.Blobs {
		if err := r.sendBlob(ctx, j.repo, blob, sources.of(blob.Digest)); err != nil {
			return err
		}
		sources.add(j.repo, blob.Digest)
	}
	if err := r.do(ctx, func() error {
		return j.repo.Push(ctx, j.Descriptor, bytes.NewReader(j.Manifest))
	}); err != nil {
		return fmt.Errorf("send the manifest: %w", err)
	}
	if _, err := r.fetch(ctx, j.repo, j.Descriptor); err != nil {
		return fmt.Errorf("read the manifest back: %w", err)
	}
	for _, blob := range j.Blobs {
		if err := r.copyBlob(ctx, j.repo, blob.Descriptor, discard); err != nil {
			return fmt.Errorf("read back what was sent: %w", err)
		}
	}
	return nil
}

func discard() (io.Writer, error) { return io.Discard, nil }

// sendBlob sends a blob unless the repository has it. If another repository is
// known to have it, the registry is asked to mount it from there; one that does
// not takes the content in the same exchange.
func (r *Registry) sendBlob(ctx context.Context, repo repository, blob Blob, from string) error {
	return r.do(ctx, func() error {
		if exists, err := repo.Exists(ctx, blob.Descriptor); exists || err != nil {
			return err
		}
		open := func() (io.ReadCloser, error) {
			body, err := blob.Open()
			if err != nil {
				return nil, err
			}
			body = r.report.Body(body, blob.Size)
			return &verifiedBody{content.NewVerifyReader(body, blob.Descriptor), body}, nil
		}
		if remote, ok := repo.(*remote.Repository); ok && from != "" && from != remote.Reference.Repository {
			// Not every registry lets us, for example where the credentials are
			// for one repository.
			if err := remote.Mount(ctx, blob.Descriptor, from, open); err == nil || retry.Retryable(err) {
				return err
			}
		}
		body, err := open()
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		return repo.Push(ctx, blob.Descriptor, body)
	})
}

// verifiedBody is content on its way to the registry. It ends in an error if the
// file is no longer the one that the record describes, so that a registry that
// does not compare digests gets nothing wrong.
type verifiedBody struct {
	*content.VerifyReader
	body io.Closer
}

func (b *verifiedBody) Read(p []byte) (int, error) {
	n, err := b.VerifyReader.Read(p)
	if errors.Is(err, io.EOF) && b.Verify() != nil {
		return n, errChanged
	}
	return n, err
}

func (b *verifiedBody) Close() error { return b.body.Close() }

// blobSources knows in which repositories of the registry blobs are.
type blobSources struct {
	mu    sync.Mutex
	repos map[digest.Digest]string
}

func (s *blobSources) of(d digest.Digest) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos[d]
}

func (s *blobSources) add(repo repository, d digest.Digest) {
	remote, ok := repo.(*remote.Repository)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[d] == "" {
		s.repos[d] = remote.Reference.Repository
	}
}

// blobSources looks up which blobs are in the registry: those of the images that
// are there already, and of the newest version of each filter. What cannot be read
// is left out: it is only a shortcut.
func (r *Registry) blobSources(ctx context.Context, jobs, missing []*job, siblings []string) *blobSources {
	sources := &blobSources{repos: make(map[digest.Digest]string)}
	if len(missing) == 0 {
		return sources
	}
	names := slices.Clone(siblings)
	for _, j := range jobs {
		names = append(names, j.filter.Module.Name)
		if j.exists {
			for _, blob := range j.Blobs {
				sources.add(j.repo, blob.Digest)
			}
		}
	}
	slices.Sort(names)
	_ = concurrent.Each(parallel, slices.Compact(names), func(_ int, name string) error {
		if repo, err := r.repository(name); err == nil {
			sources.addNewest(ctx, repo)
		}
		return nil
	})
	return sources
}

// addNewest adds the blobs of a filter's newest version, if it can be read.
func (s *blobSources) addNewest(ctx context.Context, repo repository) {
	desc, err := repo.Resolve(ctx, Artifact.tag("latest"))
	if err != nil {
		return
	}
	blobs, err := content.Successors(ctx, repo, desc)
	if err != nil {
		return
	}
	for _, blob := range blobs {
		s.add(repo, blob.Digest)
	}
}

// each runs do for every job, some side by side, and returns all errors. verb says
// what is done to the image.
func each(jobs []*job, verb string, do func(*job) error) error {
	return concurrent.Each(parallel, jobs, func(_ int, j *job) error {
		if err := do(j); err != nil {
			return fmt.Errorf("%s %s:%s: %w", verb, j.name, j.Shape.tag(j.version), err)
		}
		return nil
	})
}
