package registry

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-containerregistry/pkg/registry"
)

// TestFailsAsFull lets the storing of a blob fail as on a full disk.
func TestFailsAsFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	handler := answerWhenFull(registry.New(registry.WithBlobHandler(newBlobs(dir)), registry.Logger(log.New(io.Discard, "", 0))))
	for err, want := range map[error]int{syscall.ENOSPC: http.StatusInsufficientStorage, syscall.EDQUOT: http.StatusInsufficientStorage, syscall.EIO: http.StatusInternalServerError} {
		recorder := httptest.NewRecorder()
		body := iotest.ErrReader(&os.PathError{Op: "write", Path: "blob", Err: err})
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodPut, fmt.Sprintf("/v2/headers/blobs/uploads/1?digest=sha256:%x", sha256.Sum256(nil)), body))
		if recorder.Code != want {
			t.Errorf("%v is answered with %d, want %d: %s", err, recorder.Code, want, recorder.Body)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "upload-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestFull fills the disk of the registry: it says so in a way after which no client tries
// again, and keeps nothing of what it could not finish.
func TestFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); errors.Is(err, os.ErrPermission) {
		t.Log("only an administrator can mount a disk to fill; TestFailsAsFull plays the part of the blob")
		return
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	r := startTest(t, dir)
	defer closeTest(t, r)
	for what, size := range map[string]int{"blob": 1 << 20, "manifest": 512 << 10} {
		content := bytes.Repeat([]byte(" "), size)
		var request *http.Request
		var err error
		if what == "blob" {
			url := fmt.Sprintf("http://%s/v2/headers/blobs/uploads/1?digest=sha256:%x", r.Addr(), sha256.Sum256(content))
			request, err = http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(content))
		} else {
			content = append([]byte("{}"), content...)
			request, err = http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.Addr()+"/v2/headers/manifests/1.0.0", bytes.NewReader(content))
		}
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body) // what is not read is missed below
		_ = response.Body.Close()
		if response.StatusCode != http.StatusInsufficientStorage || !strings.Contains(string(body), "no space left on device") {
			t.Errorf("%s: the answer is %s: %s", what, response.Status, body)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "blobs", "upload-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
