package release_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/release"
)

// die ends the process as a power cut does: nothing is tidied up.
func die() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }

// killer kills the process after it printed a line with a certain prefix.
type killer struct {
	prefix string
	out    io.Writer
}

func (k *killer) Write(p []byte) (int, error) {
	n, err := k.out.Write(p)
	if k.prefix != "" && strings.HasPrefix(string(p), k.prefix) {
		die()
	}
	return n, err
}

// arm counts the requests to the stores, and kills the process at one of them.
func (j job) arm() (requests *atomic.Int64) {
	requests = new(atomic.Int64)
	http.DefaultTransport.(*http.Transport).Proxy = func(*http.Request) (*url.URL, error) {
		if requests.Add(1) == int64(j.KillHTTP) {
			die()
		}
		return nil, nil
	}
	return requests
}

// TestKilled kills releases without any cleanup: between any two steps, at requests to
// the stores, and at random moments. Each is then run again, and ends with the same
// record and the same content of the stores as a release that was not disturbed.
func TestKilled(t *testing.T) {
	t.Parallel()
	origin := newProject(t)
	origin.render(t)
	undisturbed := origin.clone(t)
	began := time.Now()
	out := job{Dir: undisturbed.dir, Version: "1.4.0"}.must(t)
	took := time.Since(began)
	want := undisturbed.outcome(t)
	var requests int
	if _, err := fmt.Sscanf(out[strings.LastIndex(out, "requests: "):], "requests: %d", &requests); err != nil {
		t.Fatal(err)
	}

	kills := map[string]job{}
	for _, step := range release.Steps {
		kills["before "+step] = job{KillAt: step + " ..."}
	}
	for range 4 {
		n := 1 + rand.IntN(requests)
		kills[fmt.Sprintf("at request %d of %d", n, requests)] = job{KillHTTP: n}
	}
	for i := range 2 {
		kills[fmt.Sprintf("at any moment %d", i)] = job{}
	}
	for name, kill := range kills {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := origin.clone(t)
			kill.Dir, kill.Version = p.dir, "1.4.0"
			c := kill.start(t)
			planned := kill.KillAt != "" || kill.KillHTTP > 0
			if !planned {
				timer := time.AfterFunc(time.Duration(rand.Int64N(int64(took))), func() { _ = c.cmd.Process.Kill() })
				defer timer.Stop()
			}
			out, err := c.wait()
			if exit := new(exec.ExitError); planned && (!errors.As(err, &exit) || exit.ExitCode() != -1) {
				t.Fatalf("it was not killed: %v\n%s", err, out)
			}
			// Of all tags, a moving one appears last.
			_, err = os.Stat(filepath.Join(p.dir, "dist", "registry", "manifests", "headers", "latest"))
			if published := err == nil; kill.KillAt != "" && published != (kill.KillAt == release.StepRecord+" ...") {
				t.Errorf("headers:latest is there: %t", published)
			}
			job{Dir: p.dir, Version: "1.4.0"}.must(t)
			if diff := cmp.Diff(want, p.outcome(t)); diff != "" {
				t.Errorf("undisturbed (-), killed and run again (+):\n%s", diff)
			}
		})
	}
}

// outcome is everything that a release leaves behind, by file name: the record, the
// notes, the manifests, the registry's content under each tag and digest, and the
// storage.
func (p project) outcome(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, folder := range []string{release.RecordFile, release.NotesFile, "manifests", "registry/manifests", "storage", "authtoken.wasm", "headers.wasm"} {
		maps.Copy(files, tree(t, filepath.Join(p.dir, "dist"), folder))
	}
	return files
}

func tree(t *testing.T, dir, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		data, err := os.ReadFile(path)
		name, err2 := filepath.Rel(dir, path)
		files[name] = string(data)
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
