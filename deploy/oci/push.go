package oci

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// parallel is the number of filters that are worked on side by side. Not far above it,
// registries begin to answer 429.
const parallel = 8

// maxWasm is the largest module that Istio's agent and Envoy Gateway download. They cut
// off the rest.
//
// Reference: ISTIO_WASM_MAX_BINARY_SIZE_BYTES in
// https://istio.io/latest/docs/reference/commands/pilot-agent/
const maxWasm = 256 << 20

// PushOptions says how images are pushed.
type PushOptions struct {
	// HoldTags leaves the moving tags where they are. A release checks more before it
	// calls Move.
	HoldTags bool
	// InOrder sets the version tags one by one, in the order of the filters' names,
	// each only after the one before was read back. So when two releases meet, one gets
	// all tags, and the other stops at the first tag in which they differ. Default: all
	// tags are set at once, with one wait for all of them. Then, of two pushes that
	// meet, each may get some.
	InOrder bool
}

// Published is one manifest in a registry, under its version.
type Published struct {
	// Filter is the filter's name.
	Filter string `json:"filter"`
	// Version is the version, for example "1.4.0".
	Version version.Version `json:"version"`
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
	// Unchanged says that it was published already and nothing was sent.
	Unchanged bool `json:"unchanged"`
	// Moved are the moving tags that were moved to it.
	Moved []string `json:"moved,omitempty"`

	// Refusal says that the registry refused to move a tag, and why: ErrFixedTags is in its
	// chain. nil if it did not. The moving tags that exist stay where they are.
	Refusal error `json:"-"`

	// Versions are the filter's versions in this shape, the newest first, as listed
	// after Move had moved the tags; nil if there was nothing to move.
	Versions []version.Version `json:"-"`

	image *Image // what was pushed
}

// Reference is the manifest pinned by its digest.
func (p Published) Reference() string { return p.Repository + "@" + p.ManifestDigest }

// job is the push of one image.
type job struct {
	*Image
	name   string // of the repository
	repo   *remote.Repository
	slot   immutable.Slot // of the version tag
	exists bool
	report *inspect.Report // of the module; nil if it exists
}

// Push publishes images under their version, side by side. It returns what is
// published, in the order of the images.
//
// It first looks up every version tag, unless Look has just done so. If one has a digest
// other than ours, it changes nothing (*immutable.Conflict). Then it sends blobs, and
// manifests by their digest, and reads both back. When it has done so for all filters, it sets the version tags,
// and then the moving tags. So it can be interrupted anywhere: no tag points to
// something incomplete, and the same push again finishes the job. It does not send what
// the registry has already.
func (r *Registry) Push(ctx context.Context, images []*Image, opts PushOptions) ([]Published, error) {
	jobs, err := r.look(ctx, images)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.exists })
	if err := each(missing, "inspect", func(j *job) (err error) {
		j.report, err = check(ctx, j.Filter)
		return err
	}); err != nil {
		return nil, err
	}
	if err := each(missing, "push", func(j *job) error { return r.send(ctx, j) }); err != nil {
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
	return r.Move(ctx, published(jobs))
}

// Look does the first part of Push, which changes nothing. It returns what a push would
// publish, with Unchanged if that is published already. If something else is, the error
// is a *immutable.Conflict.
func (r *Registry) Look(ctx context.Context, images []*Image) ([]Published, error) {
	jobs, err := r.look(ctx, images)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range jobs {
		r.looked[j.Image] = j.exists
	}
	return published(jobs), nil
}

// takeLook returns, once, what Look found out about an image. If somebody publishes something
// else after Look, setting the tag finds that.
func (r *Registry) takeLook(image *Image) (exists, looked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	exists, looked = r.looked[image]
	delete(r.looked, image)
	return exists, looked
}

func (r *Registry) look(ctx context.Context, images []*Image) ([]*job, error) {
	jobs := make([]*job, len(images))
	for i, image := range images {
		name := image.Filter.Module.Name
		repo, err := r.repository(name)
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", name, err)
		}
		jobs[i] = &job{Image: image, name: r.name(name), repo: repo}
		jobs[i].slot = r.versionTag(jobs[i])
	}
	return jobs, each(jobs, "look up", func(j *job) (err error) {
		var looked bool
		if j.exists, looked = r.takeLook(j.Image); !looked {
			j.exists, err = j.slot.Check(ctx)
		}
		return err
	})
}

// turns groups the jobs whose version tags are set together: one job each if the order
// matters, else all jobs.
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
		Filter:         j.Filter.Module.Name,
		Version:        j.Version,
		Shape:          j.Shape,
		Repository:     j.name,
		Tag:            j.tag(),
		ManifestDigest: j.Descriptor.Digest.String(),
		WasmSHA256:     j.Filter.Module.WasmSHA256,
		WasmSize:       j.Filter.Module.Size,
		Unchanged:      j.exists,
		image:          j.Image,
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

// check refuses a module that would take down the proxies that pull it.
func check(ctx context.Context, filter build.Built) (*inspect.Report, error) {
	if filter.Module.Size > maxWasm {
		return nil, fmt.Errorf("the module has %d bytes, and proxies read no more than %d; make it smaller", filter.Module.Size, maxWasm)
	}
	return filter.Module.Check(ctx, filter.Metadata)
}

// versionTag is the slot of an image's version tag. It asks the registry to create the tag, and
// never to move it. The distribution specification has no such condition, and a registry that
// does not know it moves the tag and does not say so. So the slot does not rely on it.
func (r *Registry) versionTag(j *job) immutable.Slot {
	tag := j.tag()
	slot := immutable.Slot{
		Name:       j.name + ":" + tag,
		Kind:       "manifest digest",
		Ours:       j.Descriptor.Digest.String(),
		Overwrites: true,
		Current: func(ctx context.Context) (string, error) {
			desc, err := r.resolve(ctx, j.repo, tag)
			return desc.Digest.String(), err
		},
	}
	slot.Create = func(ctx context.Context) error {
		looked := true // slot.Put looked just before
		return r.do(ctx, func() error {
			if !looked {
				// Since the last try, minutes may have passed in which somebody else
				// published; or it succeeded and the answer was lost.
				if exists, err := slot.Check(ctx); exists || err != nil {
					return err
				}
			}
			looked = false
			err := j.repo.PushReference(withCondition(ctx), j.Descriptor, bytes.NewReader(j.Manifest), tag)
			if answer := new(errcode.ErrorResponse); errors.As(err, &answer) && answer.StatusCode == http.StatusPreconditionFailed {
				return nil // somebody was faster, and slot.Confirm says who
			}
			return err
		})
	}
	return slot
}

// send stores an image in the registry without any tag, and reads it back.
func (r *Registry) send(ctx context.Context, j *job) error {
	r.report.Printf("%s:%s: sending %d bytes", j.name, j.tag(), j.Filter.Module.Size)
	for _, blob := range slices.Backward(j.Blobs) { // the module first
		if err := r.sendBlob(ctx, j.repo, blob); err != nil {
			return err
		}
	}
	if err := r.do(ctx, func() error {
		return j.repo.Push(ctx, j.Descriptor, bytes.NewReader(j.Manifest))
	}); err != nil {
		return fmt.Errorf("send the manifest: %w", err)
	}
	if _, err := r.fetchAnew(ctx, j.repo, j.Descriptor); err != nil {
		return fmt.Errorf("read the manifest back: %w", err)
	}
	for _, blob := range j.Blobs {
		if blob.Digest == ocispec.DescriptorEmptyJSON.Digest {
			continue // no consumer reads it: RATIONALE.md
		}
		if err := r.copyBlob(ctx, j.repo, blob.Descriptor, discard); err != nil {
			return fmt.Errorf("read back what was sent: %w", err)
		}
	}
	r.remember(j)
	return nil
}

// remember tells Check that an image was read back. The content under a digest cannot
// change.
func (r *Registry) remember(j *job) {
	module := j.Filter.Module
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read[j.Descriptor.Digest] = wasmFacts{j.Manifest, module.WasmSHA256, module.Size, j.report.ABI, j.report.EnvoyMin}
}

// readBack returns the facts of a manifest that was read back; false if it was not.
func (r *Registry) readBack(manifest digest.Digest) (wasmFacts, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	facts, ok := r.read[manifest]
	return facts, ok
}

func discard() (io.Writer, error) { return io.Discard, nil }

// maxUnasked is the largest blob that is sent without asking first whether the repository
// has it, because it is no larger than the question. An image's empty config is such a
// blob.
const maxUnasked = 256

// sendBlob sends a blob unless the repository has it.
func (r *Registry) sendBlob(ctx context.Context, repo *remote.Repository, blob Blob) error {
	if r.hasBlob(repo, blob.Digest) {
		return nil
	}
	err := r.do(ctx, func() error {
		if blob.Size > maxUnasked || !r.oneStep.Load() {
			if exists, err := repo.Blobs().Exists(ctx, blob.Descriptor); exists || err != nil {
				return err
			}
		}
		return r.upload(ctx, repo, blob)
	})
	if err == nil {
		r.haveBlob(repo, blob.Digest)
	}
	return err
}

// upload sends a blob, even if the repository has it.
func (r *Registry) upload(ctx context.Context, repo *remote.Repository, blob Blob) error {
	file, err := blob.Open()
	if err != nil {
		return err
	}
	body := r.report.Body(file, blob.Size)
	verified := &verifiedBody{content.NewVerifyReader(body, blob.Descriptor), blob.Size, body}
	defer func() { _ = verified.Close() }()
	if blob.Size > maxOneRequest || r.twoSteps.Load() {
		return repo.Blobs().Push(ctx, blob.Descriptor, verified)
	}
	data, err := io.ReadAll(verified)
	if err != nil {
		return err
	}
	if taken, err := r.uploadAtOnce(ctx, repo, blob.Descriptor, data); taken || err != nil {
		return err
	}
	return repo.Blobs().Push(ctx, blob.Descriptor, bytes.NewReader(data))
}

// maxOneRequest is the largest blob that is sent in one request. It is small, because a
// registry may answer as if it had received nothing, and then the blob is sent again.
const maxOneRequest = 256 << 10

// uploadAtOnce sends a blob in one request, and reports whether the registry took it. A
// registry that does not is not asked again. oras-go has no such upload.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#single-post
func (r *Registry) uploadAtOnce(ctx context.Context, repo *remote.Repository, blob ocispec.Descriptor, data []byte) (taken bool, err error) {
	scheme := "https"
	if repo.PlainHTTP {
		scheme = "http"
	}
	ref := repo.Reference
	address := url.URL{Scheme: scheme, Host: ref.Host(), Path: "/v2/" + ref.Repository + "/blobs/uploads/", RawQuery: "digest=" + url.QueryEscape(blob.Digest.String())}
	ctx = auth.AppendRepositoryScope(ctx, ref, auth.ActionPull, auth.ActionPush)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(data))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := r.client.Do(request)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusCreated {
		r.twoSteps.Store(true)
		return false, nil
	}
	r.oneStep.Store(true)
	return true, nil
}

// verifiedBody is content on its way to the registry. If the file no longer matches the
// record, it ends in an error, so that even a registry that does not compare digests
// stores nothing wrong.
type verifiedBody struct {
	*content.VerifyReader
	left int64 // bytes not read yet
	body io.Closer
}

// Read verifies the content before it returns the last bytes. A registry that has
// received all bytes could answer first, with an error of its own.
func (b *verifiedBody) Read(p []byte) (int, error) {
	n, err := b.VerifyReader.Read(p)
	b.left -= int64(n)
	if (b.left == 0 || errors.Is(err, io.EOF)) && b.Verify() != nil {
		return 0, errChanged
	}
	return n, err
}

func (b *verifiedBody) Close() error { return b.body.Close() }

// each runs do for every job, several side by side, and returns all errors. verb is
// what is done to the image.
func each(jobs []*job, verb string, do func(*job) error) error {
	return concurrent.Each(parallel, jobs, func(_ int, j *job) error {
		if err := do(j); err != nil {
			return fmt.Errorf("%s %s:%s: %w", verb, j.name, j.tag(), err)
		}
		return nil
	})
}
