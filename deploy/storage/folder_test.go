package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
	"github.com/slipway-wasm/slipway/deploy/version"
)

func TestEmbedded(t *testing.T) {
	t.Parallel()
	s, dir := embedded(t)
	headers, waf := module(t, "headers", 'h', 1000), module(t, "waf", 'w', 500)
	objects := mustUpload(t, s, release("1.0.0", waf, headers))
	want := []Object{
		{Filter: "waf", Version: "1.0.0", URL: s.PublicURL("waf/1.0.0/waf.wasm"), WasmSHA256: waf.WasmSHA256, WasmSize: 500},
		{Filter: "headers", Version: "1.0.0", URL: s.PublicURL("headers/1.0.0/headers.wasm"), WasmSHA256: headers.WasmSHA256, WasmSize: 1000},
	}
	for i := range want {
		if objects[i] != want[i] {
			t.Errorf("got %+v, want %+v", objects[i], want[i])
		}
	}
	files := tree(t, dir)
	for key, content := range map[string]string{
		"headers/1.0.0/headers.wasm":        strings.Repeat("h", 1000),
		"headers/1.0.0/headers.wasm.sha256": headers.WasmSHA256 + "  headers.wasm\n",
		"waf/1.0.0/waf.wasm":                strings.Repeat("w", 500),
		"waf/1.0.0/waf.wasm.sha256":         waf.WasmSHA256 + "  waf.wasm\n",
		"1.0.0/SHA256SUMS":                  headers.WasmSHA256 + "  headers/1.0.0/headers.wasm\n" + waf.WasmSHA256 + "  waf/1.0.0/waf.wasm\n",
	} {
		if files[key] != content {
			t.Errorf("%s holds %q", key, files[key])
		}
		delete(files, key)
	}
	delete(files, "headers/index.json")
	delete(files, "waf/index.json")
	if len(files) > 0 {
		t.Errorf("the storage also holds %q", files)
	}

	// Another process serves and verifies the same folder.
	later, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = later.Close() }()
	verified, err := Verify(t.Context(), later, VerifyOptions{Version: version.MustParse("1.0.0")})
	if err != nil || len(verified) != 2 || verified[0].WasmSHA256 != headers.WasmSHA256 || verified[0].WasmSize != 1000 {
		t.Errorf("%+v, %v", verified, err)
	}
	_, err = Verify(t.Context(), later, VerifyOptions{Version: version.MustParse("1.0.0"), Filters: []string{"nosuch"}})
	wantError(t, err, "verify 1.0.0 at http://127.0.0.1:", "nosuch.wasm.sha256", "there is no such object (404); it was not published here, or was deleted")
	if !errors.Is(err, ErrNotFound) {
		t.Error("it is not ErrNotFound")
	}
}

// Verify names each thing that was changed after the upload.
func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("c", 64)
	for key, content := range map[string]string{
		"headers/1.0.0/headers.wasm":        "x",
		"headers/1.0.0/headers.wasm.sha256": other + "  headers.wasm\n",
		"1.0.0/SHA256SUMS":                  other + "  headers/1.0.0/headers.wasm\n",
		"headers/index.json":                `{"indexVersion":1,"name":"headers","versions":[{"version":"1.0.0","path":"1.0.0/headers.wasm","size":1000,"wasmSha256":"` + other + `"}]}`,
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			s, dir := embedded(t)
			mustUpload(t, s, release("1.0.0", module(t, "headers", 'h', 1000)))
			if err := os.WriteFile(path.Join(dir, key), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Verify(t.Context(), s, VerifyOptions{Version: version.MustParse("1.0.0")})
			if key == "headers/1.0.0/headers.wasm.sha256" {
				key = "headers/1.0.0/headers.wasm" // the two differ; nobody knows which is right
			}
			wantError(t, err, s.PublicURL(key)+": it ", "it was changed after it was published, or belongs to something else")
		})
	}
}

// TestVerifyBelievesNoField: a field that a reader may act on is compared, or is not there.
func TestVerifyBelievesNoField(t *testing.T) {
	t.Parallel()
	index := func(change string) func(string) string {
		return func(old string) string {
			before, after, _ := strings.Cut(change, " -> ")
			return strings.Replace(old, before, after, 1)
		}
	}
	line := func(text string) func(string) string { return func(old string) string { return old + text + "\n" } }
	other := strings.Repeat("c", 64)
	for name, c := range map[string]struct {
		key    string
		change func(string) string
		want   string
	}{
		"a path":           {"headers/index.json", index(`"1.1.0/headers.wasm" -> "../evil/evil.wasm"`), `version 1.1.0 has the path "../evil/evil.wasm"`},
		"an older path":    {"headers/index.json", index(`"1.0.0/headers.wasm" -> "1.0.0/evil.wasm"`), `version 1.0.0 has the path`},
		"a size":           {"headers/index.json", index(`"size": 1000 -> "size": 999`), "it says that version 1.1.0 has 999 bytes, and the module has 1000"},
		"no size":          {"headers/index.json", index(`"size": 1000 -> "size": 0`), "version 1.1.0 has 0 bytes"},
		"a date":           {"headers/index.json", index(`"size": 1000 -> "size": 1000, "published": "2020-01-01T00:00:00Z"`), `unknown field "published"`},
		"a reference":      {"headers/index.json", index(`"size": 1000 -> "size": 1000, "ociReference": "evil.example/headers:1.1.0"`), "names no manifest by its digest"},
		"the order":        {"headers/index.json", index(`"version": "1.1.0" -> "version": "0.1.0"`), "has the path"},
		"a second line":    {"1.1.0/SHA256SUMS", line(other + "  headers/1.1.0/headers.wasm"), `it names "headers/1.1.0/headers.wasm" twice`},
		"a foreign line":   {"1.1.0/SHA256SUMS", line(other + "  headers/1.0.0/headers.wasm"), "is not a module of version 1.1.0"},
		"a line elsewhere": {"1.1.0/SHA256SUMS", line(other + "  ../evil.wasm"), "is not a module of version 1.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := embedded(t)
			mustUpload(t, s, release("1.0.0", module(t, "headers", 'o', 500)))
			mustUpload(t, s, release("1.1.0", module(t, "headers", 'h', 1000)))
			path := path.Join(dir, c.key)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := c.change(string(data))
			if changed == string(data) {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = Verify(t.Context(), s, VerifyOptions{Version: version.MustParse("1.1.0"), Filters: []string{"headers"}})
			wantError(t, err, s.PublicURL(c.key), c.want)
			if !finding.Mismatched(err) {
				t.Errorf("it is no mismatch: %v", err)
			}
		})
	}
	swapped := `{"indexVersion":1,"name":"headers","versions":[` + entry("1.0.0") + `,` + entry("1.1.0") + `]}`
	if _, err := ParseIndex([]byte(swapped), "headers"); err == nil || !strings.Contains(err.Error(), "the newest should come first") {
		t.Errorf("an older version first: %v", err)
	}
}

func entry(version string) string {
	return `{"version":"` + version + `","path":"` + version + `/headers.wasm","size":1,"wasmSha256":"` + strings.Repeat("c", 64) + `"}`
}

func TestFolderKeepsWritersApart(t *testing.T) {
	t.Parallel()
	const writers = 16
	f := &folder{dir: t.TempDir()}
	content := func(text string) Content { return bytesContent([]byte(text), textMediaType, cacheForever) }
	at := func(key string, write func(text string) error) string {
		t.Helper()
		failures := make([]error, writers)
		var group sync.WaitGroup
		for i := range writers {
			group.Go(func() { failures[i] = write(fmt.Sprint(key, i)) })
		}
		group.Wait()
		winner := -1
		for i, err := range failures {
			switch {
			case err == nil && winner >= 0:
				t.Errorf("%s: writers %d and %d won", key, winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, ErrPrecondition):
				t.Error(err)
			}
		}
		data, _, err := readSmall(t.Context(), f, key)
		if err != nil || !strings.HasSuffix(string(data), fmt.Sprint(key, winner)) {
			t.Errorf("%s holds %q, %v; writer %d won", key, data, err, winner)
		}
		return string(data)
	}
	for round := range 20 {
		key := fmt.Sprintf("headers/1.0.%d/headers.wasm", round)
		winner := at(key, func(text string) error { return f.Create(t.Context(), key, content(text)) })
		old := State{SHA256: checksum.Bytes([]byte(winner))}
		at(key, func(text string) error { return f.Replace(t.Context(), key, old, content("new "+text)) })
	}
	for name := range tree(t, f.dir) {
		if strings.Contains(name, tempPrefix) && name != tempPrefix+"lock" {
			t.Errorf("%s was left behind", name)
		}
	}
}

// TestFolderSweeps: what a killed upload left goes with the next one, and a living one's stays.
func TestFolderSweeps(t *testing.T) {
	t.Parallel()
	f := &folder{dir: t.TempDir()}
	dead := filepath.Join(f.dir, tempPrefix+"upload-1")
	alive, remove, err := scratch.Dir(f.dir, tempPrefix+"upload-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dead, 0o700); err != nil { // nobody has locked it
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "headers.wasm"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	content := Content{Size: 4, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("both")), nil }}
	if err := f.Create(t.Context(), "headers/1.0.0/headers.wasm", content); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a killed upload's folder is still there: %v", err)
	}
	if _, err := os.Stat(alive); err != nil {
		t.Errorf("a living upload's folder is gone: %v", err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
}

// A module that cannot be read to its end is not stored.
func TestFolderStoresNoHalves(t *testing.T) {
	t.Parallel()
	f := &folder{dir: t.TempDir()}
	broken := errors.New("broken")
	content := Content{Size: 10, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("half"), &failing{broken})), nil
	}}
	if err := f.Create(t.Context(), "a/b", content); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if files := tree(t, f.dir); len(files) > 0 {
		t.Errorf("it stored %q", files)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// The memory that an upload takes does not grow with the module.
func TestMemoryIsFlat(t *testing.T) {
	s, _ := embedded(t)
	const size = 200 << 20
	small, large := module(t, "headers", 'a', 1<<20), module(t, "headers", 'b', size)
	allocated := func(opts UploadOptions) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		mustUpload(t, s, opts)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	first, second := allocated(release("1.0.0", small)), allocated(release("2.0.0", large))
	t.Logf("1 MiB takes %d KiB, 200 MiB takes %d KiB", first>>10, second>>10)
	if second > first+4<<20 {
		t.Errorf("an upload of 1 MiB allocates %d bytes, one of %d MiB %d", first, size>>20, second)
	}
}

// mortal is a bucket in a process that kills itself with SIGKILL at one of its steps: before
// and after each write, and at the beginning, in the middle and at the end of each body.
type mortal struct {
	Bucket
	left int
}

func (m *mortal) step() {
	if m.left--; m.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (m *mortal) content(c Content) Content {
	open := c.Open
	c.Open = func() (io.ReadCloser, error) {
		body, err := open()
		if err != nil {
			return nil, err
		}
		half := io.LimitReader(body, c.Size/2)
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(&stepping{m}, half, &stepping{m}, body, &stepping{m}), body}, nil
	}
	return c
}

type stepping struct{ m *mortal }

func (s *stepping) Read([]byte) (int, error) {
	s.m.step()
	return 0, io.EOF
}

func (m *mortal) Create(ctx context.Context, key string, c Content) error {
	m.step()
	err := m.Bucket.Create(ctx, key, m.content(c))
	m.step()
	return err
}

func (m *mortal) Replace(ctx context.Context, key string, old State, c Content) error {
	m.step()
	err := m.Bucket.Replace(ctx, key, old, m.content(c))
	m.step()
	return err
}

// mortalRequest is the input of the process that is to be killed.
type mortalRequest struct {
	Dir    string
	Step   int
	Upload UploadOptions
}

const mortalVariable = "SLIPWAY_TEST_MORTAL"

func TestMain(m *testing.M) {
	if os.Getenv(mortalVariable) == "" {
		os.Exit(m.Run())
	}
	var r mortalRequest
	err := json.NewDecoder(os.Stdin).Decode(&r)
	if err == nil {
		var s *Storage
		if s, err = Open(Options{Dir: r.Dir}); err == nil {
			s.bucket = &mortal{s.bucket, r.Step}
			_, err = Upload(context.Background(), s, r.Upload)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestKilledBetweenSystemCalls(t *testing.T) {
	t.Parallel()
	undisturbed, dir := embedded(t)
	before := module(t, "headers", 'a', 1000)
	upload := release("2.0.0", module(t, "headers", 'h', 1000), module(t, "waf", 'w', 500))
	mustUpload(t, undisturbed, release("1.0.0", before))
	mustUpload(t, undisturbed, upload)
	want := tree(t, dir)
	for step := 1; ; step++ {
		s, dir := embedded(t)
		mustUpload(t, s, release("1.0.0", before))
		data, err := json.Marshal(mortalRequest{dir, step, upload})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(withTimeout(t), os.Args[0])
		cmd.Env = append(os.Environ(), mortalVariable+"=1")
		cmd.Stdin = strings.NewReader(string(data))
		output, err := cmd.CombinedOutput()
		if err == nil {
			if step < 30 {
				t.Errorf("an upload has only %d steps", step-1)
			}
			return
		}
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v\n%s", step, err, output)
		}
		files := tree(t, dir)
		for _, m := range upload.Modules {
			sum, vouched := files[SumKey(m.Name, "2.0.0")]
			wasm := files[ModuleKey(m.Name, "2.0.0")]
			if vouched && sum != checksum.Bytes([]byte(wasm))+"  "+m.Name+".wasm\n" {
				t.Errorf("killed at step %d: the checksum %q stands beside %d bytes", step, sum, len(wasm))
			}
			if strings.Contains(files[SumsKey("2.0.0")], m.Name) && !vouched {
				t.Errorf("killed at step %d: SHA256SUMS names %s too early", step, m.Name)
			}
		}
		mustUpload(t, s, upload)
		files = tree(t, dir)
		for key, content := range want {
			if path.Base(key) != "index.json" && files[key] != content {
				t.Errorf("killed at step %d and run again: %s holds %q", step, key, files[key])
			}
		}
		for _, filter := range []string{"headers", "waf"} {
			index, err := ParseIndex([]byte(files[IndexKey(filter)]), filter)
			if err != nil || index.Find("2.0.0") == nil || (filter == "headers") != (index.Find("1.0.0") != nil) {
				t.Errorf("killed at step %d and run again: %s: %s", step, IndexKey(filter), files[IndexKey(filter)])
			}
		}
	}
}

// losingOnce acknowledges the first write of each list, and drops it.
type losingOnce struct {
	Bucket
	lost map[string]bool
}

func (l *losingOnce) drop(key string) bool {
	list := key == SumsKey("1.0.0") || key == IndexKey("headers")
	first := list && !l.lost[key]
	l.lost[key] = true
	return first
}

func (l *losingOnce) Create(ctx context.Context, key string, c Content) error {
	if l.drop(key) {
		return nil
	}
	return l.Bucket.Create(ctx, key, c)
}

// A server or another release may change a list right after it was written. Then the list is
// written again; if it never stays, the upload fails.
func TestListsAreReadBack(t *testing.T) {
	t.Parallel()
	s, _ := embedded(t)
	s.bucket = &losingOnce{s.bucket, map[string]bool{}}
	mustUpload(t, s, release("1.0.0", module(t, "headers", 'a', 100)))

	s, _ = embedded(t)
	s.bucket = losingLists{s.bucket}
	_, err := Upload(t.Context(), s, release("1.0.0", module(t, "headers", 'a', 100)))
	wantError(t, err, "1.0.0/SHA256SUMS: after 32 tries the storage still has something else")
}

// losingLists drops every write of SHA256SUMS.
type losingLists struct{ Bucket }

func (l losingLists) Create(ctx context.Context, key string, c Content) error {
	if key == SumsKey("1.0.0") {
		return nil
	}
	return l.Bucket.Create(ctx, key, c)
}
