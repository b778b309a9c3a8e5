package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/loopback"
	"github.com/slipway-wasm/slipway/deploy/internal/progress"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// RegistryOptions says where filters are published and how to log in.
type RegistryOptions struct {
	// Address is the registry and the path below which each filter has its
	// repository, for example "ghcr.io/acme/filters".
	Address string
	// PlainHTTP turns TLS off. Default: TLS, but for a loopback address.
	PlainHTTP bool
	// Username and Password are used instead of the docker credential store.
	Username, Password string
	// Anonymous uses no credentials, not even those in the docker credential store: it
	// reads what everybody can read.
	Anonymous bool
	// FixedTags leaves the moving tags alone: the registry keeps every tag where it is, or
	// is meant to.
	FixedTags bool
	// Transport sends the HTTP requests. Default: Go's own, with enough kept
	// connections for filters that are pushed side by side.
	Transport http.RoundTripper
	// Stall is how long a connection may make no progress: see retry.Transport.
	Stall time.Duration
	// Cache is a folder that keeps manifests and attachments, by their digests, for
	// whoever opens the registry again. Its content is not fetched, and not read back
	// after it was sent. Modules are never in it. Default: nothing is kept.
	Cache string
	// Retry says how often and how soon a failed request is tried again. Open sets its
	// Notify.
	Retry retry.Policy
	// Out receives progress, one line for each action and, on a terminal, a bar for
	// long transfers. Default: none.
	Out io.Writer
}

// Registry is a registry that holds filters. Several goroutines may use its methods.
type Registry struct {
	base      string // host and path prefix
	host      string
	static    bool // the credentials came from Username and Password
	anonymous bool // no credentials are used, as requested
	fixed     bool // the moving tags are left alone, as requested
	plain     bool
	client    *auth.Client
	policy    retry.Policy
	report    *progress.Reporter
	secrets   redact.Secrets // that were sent

	helperTimeout time.Duration // of docker's credential helpers

	cache    *oci.Storage // nil without a cache
	oneStep  atomic.Bool  // the registry took a blob in one request
	twoSteps atomic.Bool  // the registry does not take a blob in one request

	mu     sync.Mutex
	looked map[*Image]bool // whether they are published, by Look
	repos  map[string]*remote.Repository
	index  map[*remote.Repository]bool            // those whose referrers are listed in an index
	read   map[digest.Digest]wasmFacts            // of manifests that were sent and read back, with all of their content
	blobs  map[*remote.Repository][]digest.Digest // that were sent
	sent   map[digest.Digest][]digest.Digest      // referrers that were sent and not listed yet, by their subject
}

// wasmFacts are the known facts about the module in a manifest.
type wasmFacts struct {
	manifest      []byte
	sha256        string
	size          int64
	abi, envoyMin string
}

// Open checks the options. It sends nothing yet.
func Open(opts RegistryOptions) (*Registry, error) {
	r := &Registry{
		base:   strings.TrimSuffix(opts.Address, "/"),
		static: opts.Username != "" || opts.Password != "",
		fixed:  opts.FixedTags,

		helperTimeout: helperTimeout,

		policy: opts.Retry,
		report: progress.New(opts.Out),
		looked: make(map[*Image]bool),
		repos:  make(map[string]*remote.Repository),
		index:  make(map[*remote.Repository]bool),
		read:   make(map[digest.Digest]wasmFacts),
		blobs:  make(map[*remote.Repository][]digest.Digest),
		sent:   make(map[digest.Digest][]digest.Digest),
	}
	r.policy.Notify = func(err error, wait time.Duration) {
		r.report.Printf("%v; trying again in %s", r.explain(err), wait.Round(time.Second/10))
	}
	// A made-up last element tests whether repositories can exist below the address.
	ref, err := registry.ParseReference(r.base + "/filter")
	if _, lowerErr := registry.ParseReference(strings.ToLower(r.base) + "/filter"); err != nil && lowerErr == nil {
		return nil, fmt.Errorf("registry %s: its path has upper-case letters, which no registry takes; write it in lowercase", redact.Value(opts.Address))
	}
	if err != nil || ref.Reference != "" {
		return nil, fmt.Errorf("registry %s: write a host and the path below which each filter gets its repository, in lowercase and without scheme or tag, for example ghcr.io/acme/filters", redact.Value(opts.Address))
	}
	r.host = ref.Registry
	// docker and oras also use plain HTTP on loopback addresses.
	r.plain = opts.PlainHTTP || loopback.Host(ref.Host())
	if opts.Cache != "" {
		if r.cache, err = oci.NewStorage(opts.Cache); err != nil {
			return nil, fmt.Errorf("open the cache %s: %w", opts.Cache, err)
		}
	}
	transport := opts.Transport
	if transport == nil {
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.MaxIdleConnsPerHost = 2 * parallel
		transport = base
	}
	r.client = &auth.Client{
		Client: &http.Client{Transport: &conform{&retry.Transport{Base: transport, Stall: opts.Stall}}},
		Cache:  auth.NewCache(),
		Header: http.Header{"User-Agent": {"slipway"}},
	}
	if r.static {
		if strings.TrimRight(opts.Username, "\r\n") != opts.Username || strings.TrimRight(opts.Password, "\r\n") != opts.Password {
			return nil, fmt.Errorf("registry credentials: one of the two ends with a line break, as a file does; give it without: %w", ErrWrongCredentials)
		}
		if opts.Username == "" || opts.Password == "" {
			return nil, fmt.Errorf("registry credentials: one of the two is missing: %w", ErrWrongCredentials)
		}
		r.secrets.Add(opts.Username, opts.Password)
		r.client.Credential = auth.StaticCredential(r.host, auth.Credential{Username: opts.Username, Password: opts.Password})
		return r, nil
	}
	if opts.Anonymous {
		r.anonymous = true
		return r, nil
	}
	r.client.Credential, err = r.dockerCredentials()
	return r, err
}

// Address is where filters are published, without a trailing slash.
func (r *Registry) Address() string { return r.base }

// name is the full name of a filter's repository.
func (r *Registry) name(filter string) string { return r.base + "/" + filter }

// repository returns a filter's repository.
func (r *Registry) repository(filter string) (*remote.Repository, error) {
	return r.open(r.name(filter))
}

// open returns the repository of a full name.
func (r *Registry) open(name string) (*remote.Repository, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if repo, ok := r.repos[name]; ok {
		return repo, nil
	}
	repo, err := r.newRepository(name)
	if err != nil {
		return nil, err
	}
	r.repos[name] = repo
	return repo, nil
}

func (r *Registry) newRepository(name string) (*remote.Repository, error) {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return nil, fmt.Errorf("repository %q: %w", name, err)
	}
	repo := &remote.Repository{
		Reference:            ref,
		Client:               r.client,
		PlainHTTP:            r.plain,
		TagListMaxPages:      maxPages,
		ReferrerListMaxPages: maxPages,
	}
	// oras-go would write the index of referrers with each manifest: see Subject.Attach.
	return repo, repo.SetReferrersCapability(true)
}

// do runs an operation on the registry with retries, and explains its failure.
func (r *Registry) do(ctx context.Context, operation func() error) error {
	err := r.explain(r.policy.Do(ctx, operation))
	answer := new(errcode.ErrorResponse)
	if errors.Is(err, errdef.ErrNotFound) || (errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound) {
		return finding.Absence(err)
	}
	return err
}

// resolve returns the descriptor that a tag or digest stands for.
func (r *Registry) resolve(ctx context.Context, repo *remote.Repository, reference string) (ocispec.Descriptor, error) {
	var desc ocispec.Descriptor
	err := r.do(ctx, func() (err error) {
		desc, err = repo.Resolve(ctx, reference)
		return err
	})
	if err == nil && !isManifest(desc.MediaType) {
		err = finding.Mismatch(fmt.Errorf("the registry answers with %q, which is not a manifest's media type", desc.MediaType))
	}
	return desc, compared(err)
}

// maxManifest is the largest manifest that is accepted.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
const maxManifest = 4 << 20

// fetch returns content from the cache, or else by fetchAnew.
func (r *Registry) fetch(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]byte, error) {
	if r.cache != nil {
		if data, err := content.FetchAll(ctx, r.cache, desc); err == nil {
			return data, nil
		}
	}
	data, err := r.fetchAnew(ctx, repo, desc)
	if err == nil {
		r.keep(ctx, desc, data)
	}
	return data, err
}

// keep puts content into the cache. If that fails, it is fetched again next time.
func (r *Registry) keep(ctx context.Context, desc ocispec.Descriptor, data []byte) {
	if r.cache != nil {
		_ = r.cache.Push(ctx, desc, bytes.NewReader(data))
	}
}

// fetchAnew fetches the whole content of a manifest or another small blob, and compares
// its size and digest with the descriptor.
func (r *Registry) fetchAnew(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > maxManifest {
		return nil, finding.Mismatch(fmt.Errorf("%s has %d bytes, and no manifest has more than %d", desc.Digest, desc.Size, maxManifest))
	}
	if err := checkDigest(desc); err != nil {
		return nil, err
	}
	var data []byte
	err := r.do(ctx, func() (err error) {
		data, err = content.FetchAll(ctx, repo, desc)
		return err
	})
	return data, compared(err)
}

// checkDigest refuses an invalid digest before it becomes a part of a URL.
func checkDigest(desc ocispec.Descriptor) error {
	if err := desc.Digest.Validate(); err != nil {
		return finding.Mismatch(fmt.Errorf("a descriptor names %q: %w", desc.Digest, err))
	}
	return nil
}

// copyBlob writes a blob's content to the writer that create returns, and compares its
// size and digest with the descriptor. It calls create for each try. It does not read
// past the size in the descriptor.
func (r *Registry) copyBlob(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, create func() (io.Writer, error)) error {
	if err := checkDigest(desc); err != nil {
		return err
	}
	err := r.do(ctx, func() error {
		w, err := create()
		if err != nil {
			return err
		}
		body, err := repo.Fetch(ctx, desc)
		if err != nil {
			return err
		}
		body = r.report.Body(body, desc.Size)
		defer func() { _ = body.Close() }()
		verified := content.NewVerifyReader(body, desc)
		if _, err := io.Copy(w, verified); err != nil {
			return err
		}
		return verified.Verify()
	})
	if err != nil {
		return fmt.Errorf("read blob %s of %d bytes: %w", desc.Digest, desc.Size, compared(err))
	}
	return nil
}

// Limits of a registry's lists: a registry whose lists never end is broken.
const (
	maxPages  = 1000
	maxListed = 100_000
)

// tags returns all tags; a repository that does not exist has none.
func (r *Registry) tags(ctx context.Context, repo *remote.Repository) ([]string, error) {
	var all []string
	err := r.do(ctx, func() error {
		all = nil
		return repo.Tags(ctx, "", func(page []string) error {
			if all = append(all, page...); len(all) > maxListed {
				return fmt.Errorf("the registry lists more than %d tags", maxListed)
			}
			return nil
		})
	})
	if finding.Absent(err) {
		return nil, nil
	}
	return all, err
}

// referrers returns the descriptors of the manifests that refer to desc. It waits until those
// are among them that were sent.
func (r *Registry) referrers(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) (all []ocispec.Descriptor, err error) {
	err = r.patiently(ctx, func() (digest.Digest, error) {
		if all, err = r.listReferrers(ctx, repo, desc); err != nil {
			return "", err
		}
		return r.expected(desc.Digest, all), nil
	})
	return all, err
}

// Reference names a manifest in a repository.
type Reference struct {
	// Repository is the full name of the repository, for example
	// "ghcr.io/acme/filters/headers".
	Repository string
	// Tag is the tag, for example "1.4.0"; empty if the manifest is named by its
	// digest alone.
	Tag string
	// Digest is the manifest digest, for example "sha256:…"; empty if the
	// manifest is named by its tag alone. Where both are given, the digest decides, as for all
	// consumers.
	Digest string
}

// String is the reference as clients of registries write it.
func (r Reference) String() string {
	text := r.Repository
	if r.Tag != "" {
		text += ":" + r.Tag
	}
	if r.Digest != "" {
		text += "@" + r.Digest
	}
	return text
}

// Filter is the last element of the repository's name: the filter that is published there.
func (r Reference) Filter() string { return path.Base(r.Repository) }

func (r Reference) reference() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}

// ParseReference reads a reference. It is a full one, such as
// "ghcr.io/acme/filters/headers:1.4.0", "…/headers@sha256:…" or "…/headers:1.4.0@sha256:…",
// with or without "oci://", or a short one for a
// filter of this registry, such as "headers:1.4.0" or "headers@sha256:…".
func (r *Registry) ParseReference(text string) (Reference, error) {
	full := strings.TrimPrefix(text, "oci://")
	if !strings.Contains(full, "/") {
		full = r.base + "/" + full
	}
	ref, err := registry.ParseReference(full)
	if err != nil || ref.Reference == "" {
		return Reference{}, fmt.Errorf("reference %q: write FILTER:VERSION or FILTER@sha256:… for a filter of %s, or a full reference such as ghcr.io/acme/filters/headers:1.4.0", redact.Address(text), r.base)
	}
	if ref.Registry != r.host {
		return Reference{}, fmt.Errorf("reference %q: it is in %s, and %w %s", redact.Address(text), ref.Registry, ErrOtherRegistry, r.base)
	}
	parsed := Reference{Repository: ref.Registry + "/" + ref.Repository}
	if digest, err := ref.Digest(); err == nil {
		parsed.Digest = digest.String()
		// The parser does not look at a tag in front of a digest.
		tagged, _, _ := strings.Cut(full, "@")
		if ref, err = registry.ParseReference(tagged); err != nil || ref.String() != tagged {
			return Reference{}, fmt.Errorf("reference %q: %q in front of the digest is not a repository, or one with a tag", redact.Address(text), redact.Address(tagged))
		}
		parsed.Tag = ref.Reference
	} else {
		parsed.Tag = ref.Reference
	}
	return parsed, nil
}
