//go:build unix

package oci

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
)

// fifo makes a FIFO in a new folder.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPullKeepsWhatIsThere pulls to paths of everything that is not a file: none is
// replaced.
func TestPullKeepsWhatIsThere(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	r := openTest(t, startRegistry(t, embedded.Options{}))
	filter := buildtest.Filter(t, "headers", large)
	wasm, err := os.ReadFile(filter.Module.Path)
	if err != nil {
		t.Fatal(err)
	}
	push(t, r, "1.0.0", filter)
	dir := t.TempDir()
	for from, to := range map[string]string{"absolute": dir + "/files/there", "relative": "files/there", "chain": "relative", "dangling": "files/absent", "null": os.DevNull} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	pull := func(tag, file string) error {
		_, err := r.Pull(t.Context(), Reference{Repository: r.name("headers"), Tag: tag}, file)
		return err
	}
	for _, tag := range []string{"1.0.0", "compat-1.0.0"} {
		for link, file := range map[string]string{"absolute": "there", "relative": "there", "chain": "there", "dangling": "absent"} {
			files := filepath.Join(dir, "files")
			if err := errors.Join(os.RemoveAll(files), os.Mkdir(files, 0o755), os.WriteFile(filepath.Join(files, "there"), []byte("old"), 0o600)); err != nil {
				t.Fatal(err)
			}
			if err := pull(tag, filepath.Join(dir, link)); err != nil {
				t.Errorf("%s: %v", link, err)
			}
			info, err := os.Lstat(filepath.Join(dir, link))
			if err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("%s is no symlink any more: %v, %v", link, info, err)
			}
			if got, err := os.ReadFile(filepath.Join(files, file)); err != nil || !bytes.Equal(got, wasm) {
				t.Errorf("%s: what it leads to has %d bytes, %v", link, len(got), err)
			}
		}

		pipe := fifo(t)
		read := make(chan []byte)
		go func() {
			content, _ := os.ReadFile(pipe)
			read <- content
		}()
		if err := pull(tag, pipe); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(pipe); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
			t.Fatalf("the FIFO is none any more: %v, %v", info, err)
		}
		if got := <-read; !bytes.Equal(got, wasm) {
			t.Errorf("%d bytes of %d came out of the FIFO", len(got), len(wasm))
		}
	}

	// This is checked before anything is written: as root, a rename over /dev/null
	// would succeed.
	null := filepath.Join(dir, "null")
	out, err := openOutput(null)
	if err != nil || strings.HasPrefix(out.Name(), "/dev/") {
		t.Fatalf("what goes to %s would be renamed, error %v", os.DevNull, err)
	}
	if err := out.cleanup(); err != nil {
		t.Error(err)
	}
	if err := pull("1.0.0", null); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		t.Errorf("%s is no device any more: %v, %v", os.DevNull, info, err)
	}
	if info, err := os.Lstat(null); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the symlink to %s is none any more: %v, %v", os.DevNull, info, err)
	}

	if err := pull("1.0.0", dir); err == nil || !strings.Contains(err.Error(), "is a folder; give the name of a file in it") {
		t.Errorf("a folder: %v", err)
	}
	if err := pull("1.0.0", filepath.Join(dir, "none", "file")); err == nil {
		t.Error("a folder that does not exist is no error")
	}
	// The user's folder for temporary folders stays, and is empty.
	if left, err := filepath.Glob(filepath.Join(temp, "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestPullWaitsForReaders: a pull waits for a reader only until its context ends.
func TestPullWaitsForReaders(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	push(t, r, "1.0.0", buildtest.Filter(t, "headers", large)) // more than a FIFO holds
	ref := Reference{Repository: r.name("headers"), Tag: "1.0.0"}
	cause := errors.New("it took too long")
	for want, open := range map[string]func(path string){
		"no process reads from it: it took too long": func(string) {},
		"write ": func(path string) {
			reader, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = reader.Close() })
		},
	} {
		pipe := fifo(t)
		open(pipe)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		if _, err := r.Pull(ctx, ref, pipe); !errors.Is(err, cause) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestPullIntoChecksFirst: no byte of a wrong module comes out of a FIFO.
func TestPullIntoChecksFirst(t *testing.T) {
	t.Parallel()
	address := startRegistry(t, embedded.Options{})
	push(t, openTest(t, address), "1.0.0", buildtest.Filter(t, "headers", ""))
	r := openTest(t, faultproxytest.Start(t, address, faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Corrupt}).Addr)
	pipe := fifo(t)
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that a writer finds a reader
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	for _, tag := range []string{"1.0.0", "compat-1.0.0"} {
		if _, err := r.Pull(t.Context(), Reference{Repository: r.name("headers"), Tag: tag}, pipe); err == nil {
			t.Errorf("%s: a wrong module is no error", tag)
		}
	}
	if err := reader.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); len(got) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes of a wrong module came out of the FIFO, %v", len(got), err)
	}
}
