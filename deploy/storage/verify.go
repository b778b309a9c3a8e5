package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/redirect"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// VerifyOptions says what to verify.
type VerifyOptions struct {
	// Version is the version, for example "1.4.0".
	Version version.Version
	// Filters are the names of the filters. Default: all in the version's SHA256SUMS; with
	// Options.NoLists they are required.
	Filters []string
}

// Verify fetches one version as readers do, from the public address and without credentials,
// and returns what they find, sorted by filter. It compares the sum of each module with its
// checksum, SHA256SUMS and index.json.
//
// The error names everything that is missing (ErrNotFound) or wrong.
func Verify(ctx context.Context, s *Storage, opts VerifyOptions) ([]Object, error) {
	fail := func(err error) ([]Object, error) {
		return nil, s.secrets.Error(fmt.Errorf("verify %s at %s: %w", opts.Version.String(), s.public, err))
	}
	if err := checkNames(opts.Version, opts.Filters); err != nil {
		return fail(err)
	}
	filters := slices.Clone(opts.Filters)
	switch {
	case len(filters) == 0 && s.options.NoLists:
		return fail(errors.New("no filters were given, and the storage keeps no list of them"))
	case len(filters) == 0:
		var err error
		if _, filters, err = s.publicSums(ctx, opts.Version, false); err != nil {
			return fail(err)
		}
	}
	slices.Sort(filters)
	objects := make([]Object, len(filters))
	for i, filter := range filters {
		objects[i] = Object{
			Filter:    filter,
			Version:   opts.Version.String(),
			URL:       s.PublicURL(ModuleKey(filter, opts.Version.String())),
			Unchanged: true,
		}
	}
	if err := s.verify(ctx, opts.Version, objects, false); err != nil {
		return fail(err)
	}
	return objects, nil
}

// Filters fetches the names of the filters in a version's SHA256SUMS as readers do, in the order
// of the file. With Options.NoLists there are none.
func Filters(ctx context.Context, s *Storage, v version.Version) ([]string, error) {
	if s.options.NoLists {
		return nil, nil
	}
	_, filters, err := s.publicSums(ctx, v, false)
	if err != nil {
		return nil, s.secrets.Error(fmt.Errorf("list the filters of %s: %w", v, err))
	}
	return filters, nil
}

// verify fetches the objects as readers do. An object without a sum gets the one of its
// checksum; if it has a sum, the module must match. fresh says that the objects were just
// written: what is missing or old may come from a cache, and is fetched again.
func (s *Storage) verify(ctx context.Context, v version.Version, objects []Object, fresh bool) error {
	var sums []sumLine
	if !s.options.NoLists {
		var err error
		if sums, _, err = s.publicSums(ctx, v, fresh); err != nil {
			return err
		}
	}
	return concurrent.Each(parallel, objects, func(i int, _ Object) error { return s.verifyObject(ctx, &objects[i], sums, fresh) })
}

func (s *Storage) verifyObject(ctx context.Context, o *Object, sums []sumLine, fresh bool) error {
	sum, err := s.publicSum(ctx, o, fresh)
	if err != nil {
		return err
	}
	if o.WasmSHA256 == "" {
		o.WasmSHA256 = sum
	}
	differs := func(key, sum string) error {
		return finding.Mismatch(fmt.Errorf("%s: it has the wasm sha256 %s, and should have %s; %w", s.PublicURL(key), sum, o.WasmSHA256, s.elsewhere(fresh)))
	}
	if sum != o.WasmSHA256 {
		return differs(SumKey(o.Filter, o.Version), sum)
	}
	if err := s.verifyModule(ctx, o, fresh); err != nil {
		return err
	}
	if s.options.NoLists {
		return nil
	}
	line := slices.IndexFunc(sums, func(l sumLine) bool { return l.name == ModuleKey(o.Filter, o.Version) })
	if line < 0 {
		return fmt.Errorf("%s: it does not name %s: %w", s.PublicURL(SumsKey(o.Version)), o.Filter, ErrNotFound)
	}
	if sums[line].sha256 != o.WasmSHA256 {
		return differs(SumsKey(o.Version), sums[line].sha256)
	}
	entry, err := s.publicEntry(ctx, o, fresh)
	if err != nil {
		return err
	}
	if entry.WasmSHA256 != o.WasmSHA256 {
		return differs(IndexKey(o.Filter), entry.WasmSHA256)
	}
	if entry.Size != o.WasmSize {
		return finding.Mismatch(fmt.Errorf("%s: it says that version %s has %d bytes, and the module has %d; %w", s.PublicURL(IndexKey(o.Filter)), o.Version, entry.Size, o.WasmSize, s.elsewhere(fresh)))
	}
	if !fresh {
		o.OCIReference = entry.OCIReference
	}
	return nil
}

// elsewhere explains why the public address serves other bytes.
func (s *Storage) elsewhere(fresh bool) error {
	if fresh {
		return fmt.Errorf("%w, %s", ErrElsewhere, s.location)
	}
	return errors.New("it was changed after it was published, or belongs to something else")
}

// maxModule limits how much is read of a module of unknown size: Istio and Envoy Gateway
// accept no more.
//
// Reference: https://github.com/istio/istio/blob/master/pkg/wasm/httpfetcher.go
const maxModule = 256 << 20

// verifyModule hashes a module as plain Envoy does: the body as it arrives.
func (s *Storage) verifyModule(ctx context.Context, o *Object, fresh bool) error {
	key := ModuleKey(o.Filter, o.Version)
	var sum string
	var size int64
	var header http.Header
	err := s.fetch(ctx, key, fresh, func(resp *http.Response) (err error) {
		header, o.Redirect = resp.Header, redirect.To(resp)
		body, limit := io.Reader(resp.Body), int64(maxModule)
		if o.WasmSize > 0 {
			body, limit = s.report.Body(resp.Body, o.WasmSize), o.WasmSize
		}
		sum, size, err = checksum.Reader(io.LimitReader(body, limit+1))
		return err
	})
	if err != nil {
		return err
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return finding.Mismatch(fmt.Errorf("%s: it is served with Content-Encoding %s, and proxies hash the body as it arrives; turn compression off for .wasm (a store that keeps aws-chunked needs ?request_checksum_calculation=when_required in its own address)", s.PublicURL(key), retry.Printable(encoding)))
	}
	if sum != o.WasmSHA256 {
		return finding.Mismatch(fmt.Errorf("%s: it serves other bytes: wasm sha256 %s (%d bytes read), and should be %s; %w", s.PublicURL(key), sum, size, o.WasmSHA256, s.elsewhere(fresh)))
	}
	if fresh && o.Redirect != "" {
		s.report.Printf("%s: it redirects to %s: %s", s.PublicURL(key), o.Redirect, redirect.Who)
	}
	if served := baseMediaType(header.Get("Content-Type")); fresh && served != WasmMediaType {
		s.report.Printf("%s: it is served as %q; proxies do not mind, but %s is right: tell the web server", s.PublicURL(key), retry.Printable(served), WasmMediaType)
	}
	o.WasmSize = size
	return nil
}

// publicSums reads SHA256SUMS.
func (s *Storage) publicSums(ctx context.Context, v version.Version, fresh bool) (lines []sumLine, filters []string, err error) {
	err = s.fetchSmall(ctx, SumsKey(v.String()), fresh, func(data []byte) (err error) {
		lines, filters, err = parseReleaseSums(data, v)
		return err
	})
	return lines, filters, err
}

// publicSum reads a module's checksum.
func (s *Storage) publicSum(ctx context.Context, o *Object, fresh bool) (sum string, err error) {
	err = s.fetchSmall(ctx, SumKey(o.Filter, o.Version), fresh, func(data []byte) (err error) {
		sum, err = parseSumFile(data, o.Filter)
		return err
	})
	return sum, err
}

// publicEntry reads a version's entry in index.json.
func (s *Storage) publicEntry(ctx context.Context, o *Object, fresh bool) (entry *IndexEntry, err error) {
	err = s.fetchSmall(ctx, IndexKey(o.Filter), fresh, func(data []byte) error {
		index, err := ParseIndex(data, o.Filter)
		if err != nil {
			return err
		}
		if entry = index.Find(o.Version); entry == nil {
			return again(fmt.Errorf("it does not list version %s: %w", o.Version, ErrNotFound), fresh)
		}
		return nil
	})
	return entry, err
}

func again(err error, fresh bool) error {
	if fresh {
		return retry.Again(err)
	}
	return err
}

// fetchSmall fetches an object that should be small.
func (s *Storage) fetchSmall(ctx context.Context, key string, fresh bool, use func([]byte) error) error {
	return s.fetch(ctx, key, fresh, func(resp *http.Response) error {
		var data bytes.Buffer
		n, err := io.Copy(&data, io.LimitReader(resp.Body, maxSmall+1))
		if err != nil {
			return err
		}
		if n > maxSmall {
			return finding.Mismatch(fmt.Errorf("it has more than %d bytes, and should be small", maxSmall))
		}
		return use(data.Bytes())
	})
}

// fetch gets an object from the public address, without credentials.
func (s *Storage) fetch(ctx context.Context, key string, fresh bool, use func(*http.Response) error) error {
	err := s.do(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.PublicURL(key), nil)
		if err != nil {
			return err
		}
		// Plain Envoy asks for no encoding. Without this header Go would ask for gzip and
		// unpack it.
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := s.readers.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		switch resp.StatusCode {
		case http.StatusOK:
			return use(resp)
		case http.StatusNotFound:
			return again(fmt.Errorf("%w (404); %w", ErrNotFound, s.missing(fresh)), fresh)
		}
		refusal := refused(resp)
		refusal.Advice, refusal.kind = readerAdvice(resp.StatusCode)
		return refusal
	})
	if err != nil {
		return fmt.Errorf("fetch %s without credentials, as readers do: %w", s.PublicURL(key), err)
	}
	return nil
}

// missing explains why readers do not find an object.
func (s *Storage) missing(fresh bool) error {
	if fresh {
		return fmt.Errorf("%w, %s, or not to everybody (Azure answers 404 for a private container)", ErrElsewhere, s.location)
	}
	return errors.New("it was not published here, or was deleted")
}

// readerAdvice returns what a reader can do about an answer, and the kind of the error.
func readerAdvice(status int) (advice string, kind error) {
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		return "", nil
	}
	return `proxies send no credentials: let everybody read the objects (S3: a bucket policy that allows s3:GetObject to "*"; ` +
		`Google: roles/storage.objectViewer for allUsers; Azure: anonymous access level "blob" of the container)`, ErrPrivate
}
