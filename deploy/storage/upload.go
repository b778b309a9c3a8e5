package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
)

// UploadOptions says what is stored.
type UploadOptions struct {
	// Version is the version of all modules, for example "1.4.0".
	Version string
	// Modules are what is stored.
	Modules []build.Module
	// OCIReferences are the same modules in a registry, pinned by their manifest
	// digest, by the filter's name; for index.json. Those that are not known are
	// left out.
	OCIReferences map[string]string
}

// Object is one version of a filter's module in a storage.
type Object struct {
	// Filter is the filter's name.
	Filter string `json:"filter"`
	// Version is the version, for example "1.4.0".
	Version string `json:"version"`
	// URL is where readers fetch the module.
	URL string `json:"url"`
	// WasmSHA256 is the sha256 of the module, in hex: of the body under URL.
	WasmSHA256 string `json:"wasmSha256"`
	// WasmSize is the module's size in bytes.
	WasmSize int64 `json:"wasmSize"`
	// Unchanged says that it was there already and nothing was sent.
	Unchanged bool `json:"unchanged"`
}

// String is one line for people.
func (o Object) String() string {
	state := "uploaded"
	if o.Unchanged {
		state = "was there already"
	}
	return fmt.Sprintf("%s: %s, %d bytes, wasm sha256 %s", o.URL, state, o.WasmSize, o.WasmSHA256)
}

// parallel is how many filters are looked at side by side.
const parallel = 4

// upload is one run of Upload.
type upload struct {
	*Storage
	UploadOptions
	objects []Object
}

// Upload stores modules under their version, and returns where readers find them,
// in the order of the modules.
//
// First it looks at everything that is there, and sends nothing if a module, a
// checksum or an index says something else than ours (*immutable.Conflict, which
// names both sums). Then it writes each module, reads it back, and writes its
// checksum; then SHA256SUMS and the indexes; and last it fetches all of it from
// readers' address without credentials. So it can be interrupted anywhere: a
// checksum stands beside a complete module or is not there, and the same upload
// again finishes the job. What is there already is not sent.
//
// Filters go one after the other, by name: when two releases of one version meet,
// the first filter in which they differ decides, and the one that lost stops there.
func Upload(ctx context.Context, s *Storage, opts UploadOptions) ([]Object, error) {
	if err := checkUpload(opts); err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	var objects []Object
	var err error
	if s.bucket == nil {
		objects, err = s.handOver(ctx, opts)
	} else {
		u := &upload{Storage: s, UploadOptions: opts}
		objects, err = u.run(ctx)
	}
	if err != nil {
		return nil, s.clean.err(fmt.Errorf("upload %s to %s: %w", opts.Version, s.location, err))
	}
	return objects, nil
}

func checkUpload(opts UploadOptions) error {
	if len(opts.Modules) == 0 {
		return errors.New(`there is no module; run "go tool mage build"`)
	}
	var names []string
	for _, m := range opts.Modules {
		if slices.Contains(names, m.Name) {
			return fmt.Errorf("filter %s was given twice", m.Name)
		}
		if !isSHA256(m.WasmSHA256) || m.Size <= 0 {
			return fmt.Errorf("module %s has no record", m.Name)
		}
		names = append(names, m.Name)
	}
	return checkNames(opts.Version, names)
}

func (u *upload) run(ctx context.Context) ([]Object, error) {
	modules := slices.Clone(u.Modules)
	slices.SortFunc(modules, func(a, b build.Module) int { return strings.Compare(a.Name, b.Name) })

	u.objects = make([]Object, len(modules))
	if err := each(modules, func(i int, m build.Module) error { return u.look(ctx, m, &u.objects[i]) }); err != nil {
		return nil, err
	}
	if err := u.amend(ctx, SumsKey(u.Version), u.sums(modules), lookOnly); err != nil {
		return nil, err
	}
	for i, m := range modules {
		if err := u.module(ctx, m, &u.objects[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	if err := u.amend(ctx, SumsKey(u.Version), u.sums(modules), write); err != nil {
		return nil, err
	}
	for _, m := range modules {
		if err := u.amend(ctx, IndexKey(m.Name), u.entry(m), write); err != nil {
			return nil, err
		}
	}
	if err := u.verify(ctx, u.Version, u.objects, true); err != nil {
		return nil, err
	}
	objects := make([]Object, len(u.Modules))
	for i, m := range u.Modules {
		objects[i] = u.objects[slices.IndexFunc(u.objects, func(o Object) bool { return o.Filter == m.Name })]
		u.report.Printf("%s", objects[i])
	}
	return objects, nil
}

// look fills in what is known about an object, and fails if something else is
// published under its version.
func (u *upload) look(ctx context.Context, m build.Module, o *Object) error {
	*o = Object{
		Filter:     m.Name,
		Version:    u.Version,
		URL:        u.PublicURL(ModuleKey(m.Name, u.Version)),
		WasmSHA256: m.WasmSHA256,
		WasmSize:   m.Size,
	}
	exists, err := u.moduleSlot(m, nil).Check(ctx)
	vouched, sumErr := u.sumSlot(m).Check(ctx)
	if sumErr == nil && !vouched && err != nil {
		return fmt.Errorf("%w; no checksum stands beside it: that upload was interrupted, or is under way", err)
	}
	if err := errors.Join(err, sumErr); err != nil {
		return err
	}
	o.Unchanged = exists && vouched
	return u.amend(ctx, IndexKey(m.Name), u.entry(m), lookOnly)
}

// module stores one module and then its checksum.
func (u *upload) module(ctx context.Context, m build.Module, o *Object) error {
	if o.Unchanged {
		return nil
	}
	file, err := openModule(m)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if _, err := u.moduleSlot(m, file).Write(ctx); err != nil {
		return err
	}
	_, err = u.sumSlot(m).Write(ctx)
	return err
}

// openModule opens a module and compares it with its record. What is sent later
// comes from this open file, whatever happens to its name meanwhile.
func openModule(m build.Module) (*os.File, error) {
	file, err := os.Open(m.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", build.ErrNotBuilt, err)
	}
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err == nil {
		if sum := hex.EncodeToString(hash.Sum(nil)); sum != m.WasmSHA256 || size != m.Size {
			err = fmt.Errorf("%w: %s has wasm sha256 %s, its record says %s", build.ErrChanged, m.Path, sum, m.WasmSHA256)
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

const kindSum = "wasm sha256"

// moduleSlot is the name of a module, and the bytes that it is to have for ever.
func (u *upload) moduleSlot(m build.Module, file *os.File) immutable.Slot {
	key := ModuleKey(m.Name, u.Version)
	return u.slot(key, m.WasmSHA256, Content{
		Type:         WasmMediaType,
		CacheControl: cacheForever,
		Size:         m.Size,
		Open: func() (io.ReadCloser, error) {
			return u.report.Body(io.NopCloser(io.NewSectionReader(file, 0, m.Size)), m.Size), nil
		},
	}, func(ctx context.Context) (string, error) { return bucketSHA256(ctx, u.bucket, key) })
}

// sumSlot is the name of a module's checksum.
func (u *upload) sumSlot(m build.Module) immutable.Slot {
	key := SumKey(m.Name, u.Version)
	return u.slot(key, m.WasmSHA256, bytesContent(sumFile(m.Name, m.WasmSHA256), textMediaType, cacheForever), func(ctx context.Context) (string, error) {
		data, _, err := readSmall(ctx, u.bucket, key)
		if err != nil {
			return "", err
		}
		sum, err := parseSumFile(data, m.Name)
		if err != nil {
			return "", fmt.Errorf("%s: %w; delete it if nobody uses this version, or choose a new one", u.location.object(key), err)
		}
		return sum, nil
	})
}

// textMediaType is what checksums are served as.
const textMediaType = "text/plain; charset=utf-8"

// slot is a name in the bucket; current returns the wasm sha256 that it stands for.
func (u *upload) slot(key, ours string, content Content, current func(context.Context) (string, error)) immutable.Slot {
	name := u.location.object(key)
	read := func(ctx context.Context) (sum string, err error) {
		err = u.do(ctx, func() error {
			sum, err = current(ctx)
			return err
		})
		if errors.Is(err, ErrNotFound) {
			return "", immutable.ErrAbsent
		}
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		return sum, nil
	}
	created := false
	return immutable.Slot{
		Name: name,
		Kind: kindSum,
		Ours: ours,
		Current: func(ctx context.Context) (string, error) {
			sum, err := read(ctx)
			if created && errors.Is(err, immutable.ErrAbsent) {
				return "", errors.New("the storage accepted it and does not have it; look at the storage, then run it again")
			}
			return sum, err
		},
		Create: func(ctx context.Context) error {
			err := u.do(ctx, func() error { return u.bucket.Create(ctx, key, content) })
			if err != nil && !errors.Is(err, ErrPrecondition) {
				// A server's own rule against overwriting may answer 400 or 403, as
				// may a try after one whose answer was lost.
				if _, readErr := read(ctx); readErr != nil {
					return fmt.Errorf("write %s: %w", name, err)
				}
			}
			created = true
			return nil
		},
	}
}

// sums changes SHA256SUMS.
func (u *upload) sums(modules []build.Module) func([]byte) ([]byte, error) {
	var lines []sumLine
	for _, m := range modules {
		lines = append(lines, sumLine{m.WasmSHA256, m.Name})
	}
	return func(old []byte) ([]byte, error) { return addSums(old, u.Version, lines, u.location.object) }
}

// entry changes a filter's index.
func (u *upload) entry(m build.Module) func([]byte) ([]byte, error) {
	entry := IndexEntry{
		Version:      u.Version,
		Path:         strings.TrimPrefix(ModuleKey(m.Name, u.Version), m.Name+"/"),
		WasmSHA256:   m.WasmSHA256,
		Size:         m.Size,
		Published:    time.Now().UTC().Truncate(time.Second),
		OCIReference: u.OCIReferences[m.Name],
	}
	return func(old []byte) ([]byte, error) {
		return addEntry(old, m.Name, entry, u.location.object(IndexKey(m.Name)))
	}
}

type amendMode bool

const (
	lookOnly amendMode = false
	write    amendMode = true
)

// amendTries bounds how often an object that grows is written. Each time that
// somebody else was quicker, one more release is through.
const amendTries = 32

// amend changes an object that grows, until what is there is what change makes of
// it; so a write that was lost, or overtaken by another release, is done again. With
// lookOnly it only finds out whether change has objections.
func (u *upload) amend(ctx context.Context, key string, change func(old []byte) ([]byte, error), mode amendMode) error {
	for range amendTries {
		old, tag, err := u.read(ctx, key)
		exists := !errors.Is(err, ErrNotFound)
		if exists && err != nil {
			return fmt.Errorf("read %s: %w", u.location.object(key), err)
		}
		data, err := change(old)
		if err != nil {
			if conflict := new(immutable.Conflict); errors.As(err, &conflict) {
				return err // it names the object
			}
			return fmt.Errorf("%s: %w", u.location.object(key), err)
		}
		if mode == lookOnly || (exists && string(data) == string(old)) {
			return nil
		}
		content := bytesContent(data, mediaType(key), cacheCheckNew)
		err = u.do(ctx, func() error {
			if !exists {
				return u.bucket.Create(ctx, key, content)
			}
			return u.bucket.Replace(ctx, key, State{Tag: tag, SHA256: hexSHA256(old)}, content)
		})
		if err != nil && !errors.Is(err, ErrPrecondition) {
			return fmt.Errorf("write %s: %w", u.location.object(key), err)
		}
	}
	return fmt.Errorf("write %s: after %d tries the storage still has something else; look for a cache before it, or for a server that drops writes", u.location.object(key), amendTries)
}

func (u *upload) read(ctx context.Context, key string) (data []byte, tag string, err error) {
	err = u.do(ctx, func() error {
		data, tag, err = readSmall(ctx, u.bucket, key)
		return err
	})
	return data, tag, err
}

func mediaType(key string) string {
	if strings.HasSuffix(key, ".json") {
		return "application/json"
	}
	return textMediaType
}

// maxSmall is the most that is read of an object that should be small: an index
// with tens of thousands of versions.
const maxSmall = 16 << 20

func readSmall(ctx context.Context, bucket Bucket, key string) (data []byte, tag string, err error) {
	body, tag, err := bucket.Get(ctx, key)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = body.Close() }()
	data, err = io.ReadAll(io.LimitReader(body, maxSmall+1))
	if err == nil && len(data) > maxSmall {
		err = fmt.Errorf("it has more than %d bytes, and should be small", maxSmall)
	}
	return data, tag, err
}

// bucketSHA256 is the sum of an object, in hex.
func bucketSHA256(ctx context.Context, bucket Bucket, key string) (string, error) {
	body, _, err := bucket.Get(ctx, key)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, body); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// each does something for several filters side by side; its error names them all.
func each[T any](list []T, do func(i int, item T) error) error {
	failures := make([]error, len(list))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, item := range list {
		group.Go(func() error {
			failures[i] = do(i, item)
			return nil
		})
	}
	_ = group.Wait() // every filter keeps its own error
	return errors.Join(failures...)
}
