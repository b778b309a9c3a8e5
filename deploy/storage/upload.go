package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// UploadOptions says what is stored.
type UploadOptions struct {
	// Version is the version of all modules, for example "1.4.0".
	Version version.Version
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
	// Redirect is where URL leads by a redirect, without query; empty if it serves the
	// module itself. Plain Envoy follows none.
	Redirect string `json:"redirect,omitempty"`
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
}

// job is the upload of one module.
type job struct {
	*upload
	build.Module
	object Object
	// cut is the state of a beginning of the module under its key; nil if there is
	// none.
	cut *State
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
	run := (&upload{s, opts}).run
	if s.bucket == nil {
		run = func(ctx context.Context) ([]Object, error) { return s.handOver(ctx, opts) }
	}
	objects, err := run(ctx)
	if err != nil {
		return nil, s.clean.err(fmt.Errorf("upload %s to %s: %w", opts.Version.String(), s.location, err))
	}
	return objects, nil
}

func checkUpload(opts UploadOptions) error {
	if len(opts.Modules) == 0 {
		return fmt.Errorf("there is no module: %w", build.ErrNotBuilt)
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
	jobs := make([]*job, len(u.Modules))
	for i, m := range u.Modules {
		jobs[i] = &job{upload: u, Module: m, object: Object{
			Filter:     m.Name,
			Version:    u.Version.String(),
			URL:        u.PublicURL(ModuleKey(m.Name, u.Version.String())),
			WasmSHA256: m.WasmSHA256,
			WasmSize:   m.Size,
		}}
	}
	byName := slices.SortedFunc(slices.Values(jobs), func(a, b *job) int { return strings.Compare(a.Name, b.Name) })
	if err := concurrent.Each(parallel, byName, func(_ int, j *job) error { return j.look(ctx) }); err != nil {
		return nil, err
	}
	if err := u.amend(ctx, SumsKey(u.Version.String()), u.addSums, lookOnly); err != nil {
		return nil, err
	}
	for _, j := range byName {
		if err := j.store(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", j.Name, err)
		}
	}
	if err := u.amend(ctx, SumsKey(u.Version.String()), u.addSums, write); err != nil {
		return nil, err
	}
	for _, j := range byName {
		if err := u.amend(ctx, IndexKey(j.Name), j.addEntry, write); err != nil {
			return nil, err
		}
	}
	objects := make([]Object, len(jobs))
	for i, j := range jobs {
		objects[i] = j.object
	}
	return objects, u.verify(ctx, u.Version.String(), objects, true)
}

// look finds out what is there, and fails if something else is published under the
// version.
func (j *job) look(ctx context.Context) error {
	exists, err := j.moduleSlot(nil).Check(ctx)
	vouched, sumErr := j.sumSlot().Check(ctx)
	if conflict := new(immutable.Conflict); errors.As(err, &conflict) && sumErr == nil && !vouched {
		err = j.lookForCut(ctx, err)
	}
	if err := errors.Join(err, sumErr); err != nil {
		return err
	}
	j.object.Unchanged = exists && vouched
	return j.amend(ctx, IndexKey(j.Name), j.addEntry, lookOnly)
}

// lookForCut tells a module that broke off, which some servers keep, from another
// one: it is a beginning of ours, and has no checksum. It returns conflict for any
// other.
func (j *job) lookForCut(ctx context.Context, conflict error) error {
	file, err := openModule(j.Module)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var state State
	var beginning bool
	err = j.do(ctx, func() error {
		body, tag, err := j.bucket.Get(ctx, ModuleKey(j.Name, j.Version.String()))
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		sum, size, err := checksum.Reader(body)
		if err != nil {
			return err
		}
		state = State{Tag: tag, SHA256: sum}
		ours, _, err := checksum.Reader(io.NewSectionReader(file, 0, min(size, j.Size)))
		beginning = size < j.Size && ours == sum
		return err
	})
	if err != nil {
		return err
	}
	if !beginning {
		return fmt.Errorf("%w; no checksum stands beside it: that upload was interrupted, or is under way", conflict)
	}
	j.cut = &state
	return nil
}

// store writes the module and then its checksum.
func (j *job) store(ctx context.Context) error {
	if j.object.Unchanged {
		return nil
	}
	file, err := openModule(j.Module)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := j.storeModule(ctx, file); err != nil {
		return err
	}
	_, err = j.sumSlot().Write(ctx)
	return err
}

// storeModule writes the module, in the place of its own beginning if there is one:
// of an earlier upload, or of a try of this one.
func (j *job) storeModule(ctx context.Context, file *os.File) error {
	if j.cut == nil {
		_, err := j.moduleSlot(file).Write(ctx)
		conflict := new(immutable.Conflict)
		if !errors.As(err, &conflict) {
			return err
		}
		if vouched, sumErr := j.sumSlot().Check(ctx); vouched || sumErr != nil {
			return err
		}
		if err := j.lookForCut(ctx, err); err != nil {
			return err
		}
	}
	name := j.location.object(ModuleKey(j.Name, j.Version.String()))
	j.report.Printf("%s is the beginning of the module: an upload was cut there, and is done again", name)
	err := j.do(ctx, func() error {
		return j.bucket.Replace(ctx, ModuleKey(j.Name, j.Version.String()), *j.cut, j.content(file))
	})
	if err != nil && !errors.Is(err, ErrPrecondition) {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = j.moduleSlot(file).Write(ctx)
	return err
}

// openModule opens a module and compares it with its record. What is sent later
// comes from this open file, whatever happens to its name meanwhile.
func openModule(m build.Module) (*os.File, error) {
	file, err := os.Open(m.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", build.ErrNotBuilt, err)
	}
	sum, size, err := checksum.Reader(file)
	if err == nil && (sum != m.WasmSHA256 || size != m.Size) {
		err = fmt.Errorf("%w: %s has wasm sha256 %s, its record says %s", build.ErrChanged, m.Path, sum, m.WasmSHA256)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// content is the module in an open file.
func (j *job) content(file *os.File) Content {
	return Content{
		Type:         WasmMediaType,
		CacheControl: cacheForever,
		Size:         j.Size,
		Open: func() (io.ReadCloser, error) {
			return j.report.Body(io.NopCloser(io.NewSectionReader(file, 0, j.Size)), j.Size), nil
		},
	}
}

// moduleSlot is the name of a module, and the bytes that it is to have for ever. The
// file may be nil for a slot that is only checked.
func (j *job) moduleSlot(file *os.File) immutable.Slot {
	key := ModuleKey(j.Name, j.Version.String())
	return j.slot(key, j.WasmSHA256, j.content(file), func(ctx context.Context) (string, error) {
		return bucketSHA256(ctx, j.bucket, key)
	})
}

// sumSlot is the name of a module's checksum.
func (j *job) sumSlot() immutable.Slot {
	key := SumKey(j.Name, j.Version.String())
	content := bytesContent(sumFile(j.Name, j.WasmSHA256), textMediaType, cacheForever)
	return j.slot(key, j.WasmSHA256, content, func(ctx context.Context) (string, error) {
		data, _, err := readSmall(ctx, j.bucket, key)
		if err != nil {
			return "", err
		}
		sum, err := parseSumFile(data, j.Name)
		if err != nil {
			return "", fmt.Errorf("%w; delete it if nobody uses this version, or choose a new one", err)
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
		Kind: "wasm sha256",
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

// addSums changes SHA256SUMS.
func (u *upload) addSums(old []byte) ([]byte, error) {
	lines := make([]sumLine, len(u.Modules))
	for i, m := range u.Modules {
		lines[i] = sumLine{m.WasmSHA256, ModuleKey(m.Name, u.Version.String())}
	}
	return addSums(old, lines, u.location.object(SumsKey(u.Version.String())))
}

// addEntry changes the filter's index.
func (j *job) addEntry(old []byte) ([]byte, error) {
	return addEntry(old, j.Name, IndexEntry{
		Version:      j.Version.String(),
		Path:         strings.TrimPrefix(ModuleKey(j.Name, j.Version.String()), j.Name+"/"),
		WasmSHA256:   j.WasmSHA256,
		Size:         j.Size,
		Published:    time.Now().UTC().Truncate(time.Second),
		OCIReference: j.OCIReferences[j.Name],
	}, j.location.object(IndexKey(j.Name)))
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
			return u.bucket.Replace(ctx, key, State{Tag: tag, SHA256: checksum.Bytes(old)}, content)
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
	sum, _, err := checksum.Reader(body)
	return sum, err
}
