package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// UploadOptions says what to store.
type UploadOptions struct {
	// Version is the version of all modules, for example "1.4.0".
	Version version.Version
	// Modules are the modules to store.
	Modules []build.Module
	// OCIReferences are the references of the same modules in a registry, pinned by their
	// manifest digest; the keys are the filters' names. They go into index.json. Unknown ones
	// are left out.
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
	// WasmSHA256 is the sha256 of the module, the body under URL, in hex.
	WasmSHA256 string `json:"wasmSha256"`
	// WasmSize is the module's size in bytes.
	WasmSize int64 `json:"wasmSize"`
	// OCIReference is the manifest of the same module that index.json names; empty if it names
	// none. Only Verify sets it.
	OCIReference string `json:"ociReference,omitempty"`
	// Unchanged says that the module was there already, and nothing was sent.
	Unchanged bool `json:"unchanged"`
	// Redirect is the address that URL redirects to, without query; empty if URL serves the
	// module itself. Plain Envoy follows no redirect.
	Redirect string `json:"redirect,omitempty"`
}

// String returns one line for people.
func (o Object) String() string {
	state := "uploaded"
	if o.Unchanged {
		state = "was there already"
	}
	return fmt.Sprintf("%s: %s, %d bytes, wasm sha256 %s", o.URL, state, o.WasmSize, o.WasmSHA256)
}

// parallel is how many filters are checked at a time.
const parallel = 4

// upload is one call of Upload.
type upload struct {
	*Storage
	UploadOptions
}

// job is the upload of one module.
type job struct {
	*upload
	build.Module
	object Object
	// cut is the state of an incomplete copy of the module under its key; nil if there is
	// none.
	cut *State
}

// Upload stores modules under their version, and returns where readers find them,
// in the order of the modules.
//
// First it looks at everything that is there. If a module, a checksum or an index differs from
// ours, it sends nothing and returns an *immutable.Conflict, which names both sums. Then it
// writes each module, reads it back, and writes its checksum. Then it writes SHA256SUMS and
// the indexes. At the end it fetches everything from the readers' address without credentials.
// So it can be interrupted anywhere: a checksum is there only beside a complete module, and
// repeating the upload finishes the job. It does not send again what is there already.
//
// Filters go one after the other, by name. If two releases of one version meet, the first
// filter in which they differ decides, and the loser stops there.
func Upload(ctx context.Context, s *Storage, opts UploadOptions) ([]Object, error) {
	if err := checkUpload(opts); err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	run := (&upload{s, opts}).run
	if s.bucket == nil {
		run = func(ctx context.Context) ([]Object, error) { return s.handOver(ctx, CloudRequest{Upload: opts}) }
	}
	objects, err := run(ctx)
	if err != nil {
		return nil, s.secrets.Error(fmt.Errorf("upload %s to %s: %w", opts.Version.String(), s.location, err))
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
	if b, ok := u.bucket.(*server); ok && slices.ContainsFunc(jobs, func(j *job) bool { return !j.object.Unchanged }) {
		// What the server refuses is found out before the first module is sent.
		if err := u.do(ctx, func() error { return u.checkServer(ctx, b) }); err != nil {
			return nil, err
		}
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
	return objects, u.verify(ctx, u.Version, objects, true)
}

// look finds out what is there, and fails if something else is published under the version.
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

// lookForCut finds out whether the module under our key is an incomplete upload of ours, which
// some servers keep: it is the beginning of our module, and has no checksum. For any other
// module it returns conflict.
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

// storeModule writes the module. It replaces an incomplete copy, which an earlier upload or an
// earlier try of this one may have left.
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

// openModule opens a module and compares it with its record. Everything is sent from this open
// file later, so it does not matter if its name is reused meanwhile.
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

// content is the content of a module's open file.
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

// moduleSlot is the key of a module, and the bytes that it must hold for ever. file may be nil
// for a slot that is only checked.
func (j *job) moduleSlot(file *os.File) immutable.Slot {
	key := ModuleKey(j.Name, j.Version.String())
	return j.slot(key, j.WasmSHA256, j.content(file), func(ctx context.Context) (string, error) {
		return bucketSHA256(ctx, j.bucket, key)
	})
}

// sumSlot is the key of a module's checksum, and the bytes that it must hold.
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

// textMediaType is the Content-Type of checksums.
const textMediaType = "text/plain; charset=utf-8"

// slot is a key in the bucket; current returns the wasm sha256 that it stands for.
func (u *upload) slot(key, ours string, content Content, current func(context.Context) (string, error)) immutable.Slot {
	name := u.location.object(key)
	read := func(ctx context.Context) (sum string, err error) {
		err = u.do(ctx, func() error {
			sum, err = current(ctx)
			return err
		})
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
			if created && errors.Is(err, ErrNotFound) {
				return "", errors.New("the storage accepted it and does not have it; look at the storage, then run it again")
			}
			return sum, err
		},
		Create: func(ctx context.Context) error {
			err := u.do(ctx, func() error { return u.bucket.Create(ctx, key, content) })
			if err != nil && !errors.Is(err, ErrPrecondition) {
				// A server with its own rule against overwriting may answer 400 or 403. It may
				// do so on a retry, too, if the answer to the first try was lost.
				if _, readErr := read(ctx); readErr != nil {
					return fmt.Errorf("write %s: %w", name, err)
				}
			}
			created = true
			return nil
		},
	}
}

// addSums adds the modules to SHA256SUMS.
func (u *upload) addSums(old []byte) ([]byte, error) {
	lines := make([]sumLine, len(u.Modules))
	for i, m := range u.Modules {
		lines[i] = sumLine{m.WasmSHA256, ModuleKey(m.Name, u.Version.String())}
	}
	return addSums(old, u.Version, lines, u.location.object(SumsKey(u.Version.String())))
}

// addEntry adds the version to the filter's index.
func (j *job) addEntry(old []byte) ([]byte, error) {
	return addEntry(old, j.Name, IndexEntry{
		Version:      j.Version.String(),
		Path:         modulePath(j.Name, j.Version.String()),
		WasmSHA256:   j.WasmSHA256,
		Size:         j.Size,
		OCIReference: j.OCIReferences[j.Name],
	}, j.location.object(IndexKey(j.Name)))
}

type amendMode bool

const (
	lookOnly amendMode = false
	write    amendMode = true
)

// amendTries limits how often amend writes an object. Each time that another release was
// quicker, that release got its lines through.
const amendTries = 32

// amend applies change to an object that grows, and repeats that until change leaves the
// object as it is. So a write that was lost, or overtaken by another release, is done again.
// With lookOnly it only finds out whether change returns an error.
func (u *upload) amend(ctx context.Context, key string, change func(old []byte) ([]byte, error), mode amendMode) error {
	if list := strings.HasSuffix(key, "/index.json") || strings.HasSuffix(key, "/SHA256SUMS"); list && u.options.NoLists {
		return nil
	}
	for range amendTries {
		old, tag, err := u.read(ctx, key)
		exists := !errors.Is(err, ErrNotFound)
		if exists && err != nil {
			return fmt.Errorf("read %s: %w", u.location.object(key), err)
		}
		data, err := change(old)
		if err != nil {
			if conflict := new(immutable.Conflict); errors.As(err, &conflict) {
				return err // the error names the object
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

// maxSmall limits how much is read of an object that should be small: an index with tens of
// thousands of versions fits.
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

// bucketSHA256 returns the sum of an object, in hex.
func bucketSHA256(ctx context.Context, bucket Bucket, key string) (string, error) {
	body, _, err := bucket.Get(ctx, key)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	sum, _, err := checksum.Reader(body)
	return sum, err
}
