package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func startTest(t *testing.T, dir string) *Registry {
	t.Helper()
	r, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustDigest(t *testing.T, image interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func closeTest(t *testing.T, r *Registry) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestContentOutlivesTheProcess moves a tag, pushes an index, starts again and
// reads everything.
func TestContentOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startTest(t, dir)
	var digests []string
	for range 2 {
		image, err := random.Image(1000, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := crane.Push(image, first.Addr()+"/acme/headers:latest"); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, mustDigest(t, image))
	}
	index, err := random.Index(1000, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	many, err := name.ParseReference(first.Addr() + "/acme/headers:many")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(many, index); err != nil {
		t.Fatal(err)
	}
	closeTest(t, first)
	leftovers := []string{filepath.Join(dir, "blobs", "upload-123"), filepath.Join(dir, "manifests", "acme%2Fheaders", ".1.0.0456")}
	for _, file := range leftovers {
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	second := startTest(t, dir)
	defer closeTest(t, second)
	repo := second.Addr() + "/acme/headers"
	for _, reference := range []string{"@" + digests[0], "@" + digests[1], ":latest"} {
		image, err := crane.Pull(repo + reference)
		if err != nil {
			t.Fatal(err)
		}
		want := digests[1]
		if reference == "@"+digests[0] {
			want = digests[0]
		}
		if got := mustDigest(t, image); got != want {
			t.Errorf("%s has digest %s, want %s", reference, got, want)
		}
	}
	if got, err := crane.Digest(repo + ":many"); err != nil || got != mustDigest(t, index) {
		t.Errorf("index %s, error %v", got, err)
	}
	for _, file := range leftovers {
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what a killed process left is still there: %s, %v", file, err)
		}
	}
}

func TestDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startTest(t, dir)
	image, err := random.Image(10, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := crane.Push(image, first.Addr()+"/headers:1.0.0"); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+first.Addr()+"/v2/headers/manifests/1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("answer %v, error %v", answer, err)
	}
	_ = answer.Body.Close()
	closeTest(t, first)
	second := startTest(t, dir)
	defer closeTest(t, second)
	if tags, err := crane.ListTags(second.Addr() + "/headers"); err != nil || len(tags) != 0 {
		t.Errorf("tags %v, error %v", tags, err)
	}
}

// TestCondition: If-None-Match: * creates a tag, and never moves one. Without it, tags move.
func TestCondition(t *testing.T) {
	t.Parallel()
	r := startTest(t, t.TempDir())
	defer closeTest(t, r)
	put := func(media, condition string) int {
		// An index needs no blobs.
		manifest := fmt.Sprintf(`{"schemaVersion": 2, "mediaType": %q, "manifests": []}`, media)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.Addr()+"/v2/headers/manifests/1.0.0", strings.NewReader(manifest))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", media)
		if condition != "" {
			request.Header.Set("If-None-Match", condition)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	const oci, docker = "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"
	if status := put(oci, "*"); status != http.StatusCreated {
		t.Fatalf("the first is answered with %d", status)
	}
	first, err := crane.Digest(r.Addr() + "/headers:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if status := put(docker, "*"); status != http.StatusPreconditionFailed {
		t.Errorf("the second is answered with %d", status)
	}
	if now, err := crane.Digest(r.Addr() + "/headers:1.0.0"); err != nil || now != first {
		t.Errorf("the tag moved from %s to %s, %v", first, now, err)
	}
	if status := put(docker, ""); status != http.StatusCreated {
		t.Errorf("a move is answered with %d", status)
	}
	if now, err := crane.Digest(r.Addr() + "/headers:1.0.0"); err != nil || now == first {
		t.Errorf("the tag did not move: %s, %v", now, err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startTest(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	out := writer(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("waiting until it ends")) {
			cancel()
		}
		return len(p), nil
	})
	if _, err := Start(ctx, Options{Dir: dir, Out: out}); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "another process uses it") {
		t.Fatalf("second start: %v", err)
	}
	closeTest(t, first)
	closeTest(t, startTest(t, dir))
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

var _ io.Writer = writer(nil)

// TestReadOnly: other machines cannot change the registry, unless Writable is set.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	image, err := random.Image(10, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		opts     Options
		readOnly bool
	}{
		{Options{Addr: "0.0.0.0:0"}, true},
		{Options{Addr: ":0"}, true},
		{Options{Addr: "0.0.0.0:0", Writable: true}, false},
		{Options{Addr: "127.0.0.1:0"}, false},
		{Options{Addr: "localhost:0"}, false},
	} {
		c.opts.Dir = t.TempDir()
		local := startTest(t, c.opts.Dir)
		if err := crane.Push(image, local.Addr()+"/headers:1.0.0"); err != nil {
			t.Fatal(err)
		}
		closeTest(t, local)
		r, err := Start(t.Context(), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(r.Addr())
		if err != nil {
			t.Fatal(err)
		}
		address := "127.0.0.1:" + port
		if digest, err := crane.Digest(address + "/headers:1.0.0"); err != nil || digest != mustDigest(t, image) {
			t.Errorf("%+v: it is read as %s, %v", c.opts, digest, err)
		}
		push, remove := crane.Push(image, address+"/headers:2.0.0"), crane.Delete(address+"/headers:1.0.0")
		if c.readOnly && (push == nil || !strings.Contains(push.Error(), "this registry is read-only") || remove == nil) || !c.readOnly && (push != nil || remove != nil) {
			t.Errorf("%+v: push: %v; delete: %v", c.opts, push, remove)
		}
		if r.ReadOnly() != c.readOnly || r.Local() != strings.HasPrefix(r.Addr(), "127.") {
			t.Errorf("%+v: read-only %t, local %t", c.opts, r.ReadOnly(), r.Local())
		}
		closeTest(t, r)
	}
}

func TestForeignFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "manifests", "headers")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "1.0.0"), []byte("no line break"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Fatalf("error %v", err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	closeTest(t, startTest(t, dir)) // the lock was released
}
