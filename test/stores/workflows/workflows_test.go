package workflows

import (
	"context"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const stranger = "acme/filters"

// strangers makes a repository with two filters and the workflow of deploy/README.md,
// tagged v1.0.0.
func (w *world) strangers() {
	w.t.Helper()
	dir, kept := filepath.Join(w.dir, "filters"), filepath.Join(base, "filters")
	if _, err := os.Stat(kept); err != nil {
		module := filepath.Join(kept, "filter")
		must(w.t, os.MkdirAll(module, 0o755))
		write(w.t, filepath.Join(kept, ".gitignore"), "/dist/\n")
		public, err := os.ReadFile(filepath.Join(keys, "cosign.pub"))
		must(w.t, err)
		write(w.t, filepath.Join(kept, "cosign.pub"), string(public))
		write(w.t, filepath.Join(module, "go.mod"), "module example.com/acme/filters/filter\n\ngo 1.22.0\n\nrequire github.com/slipway-wasm/slipway/filter "+released.Version+"\n")
		for _, name := range []string{"hello", "greeting"} {
			w.output("../../..", "go", "tool", "mage", "-w", kept, "new", name)
		}
		w.output(module, "go", "mod", "tidy")
		must(w.t, os.MkdirAll(filepath.Join(kept, ".github", "workflows"), 0o755))
		write(w.t, filepath.Join(kept, ".github", "workflows", "release.yml"), lines(w.t))
	}
	must(w.t, os.CopyFS(dir, os.DirFS(kept)))
	w.commit(stranger, dir, "v1.0.0")
}

// built is what the job build leaves for v1.0.0 of the stranger's repository: once for all
// tests that are about the jobs after it.
var built struct {
	artifacts string
	jobs      map[string]ended
}

// afterBuild lets a run begin with what build left.
func afterBuild(t *testing.T) func(*run) {
	t.Helper()
	if built.artifacts == "" {
		w := newWorld(t)
		w.publishSlipway(nil)
		w.strangers()
		ctx, cancel := context.WithCancel(t.Context())
		r, err := w.pushed(ctx, stranger, "v1.0.0", func(r *run) {
			r.lines = r.world.inputs(lines(t))
			r.before["filters/publish"] = cancel
		})
		if err == nil || r.ended["filters/publish"].result != "failure" {
			t.Fatalf("%v: %v\n%s", err, r.ended, tail(r.log.String()))
		}
		t.Logf("build:\n%s", r.log.String())
		built.artifacts, built.jobs = filepath.Join(base, "artifacts"), map[string]ended{}
		for job, end := range r.ended {
			if strings.HasPrefix(job, "filters/build/") {
				built.jobs[job] = end
			}
		}
		must(t, os.CopyFS(built.artifacts, os.DirFS(r.artifacts)))
	}
	return func(r *run) {
		must(t, os.CopyFS(r.artifacts, os.DirFS(built.artifacts)))
		maps.Copy(r.ended, built.jobs)
		r.lines = r.world.inputs(lines(t))
	}
}

// release releases v1.0.0 after build, with the change of the run.
func (w *world) release(change func(*run)) (*run, error) {
	w.t.Helper()
	begin := afterBuild(w.t)
	w.strangers()
	return w.pushed(w.t.Context(), stranger, "v1.0.0", func(r *run) {
		begin(r)
		if change != nil {
			change(r)
		}
	})
}

// inputs are those of each case: one Envoy, the compiler that each machine has, and the
// sigstore of this world.
func (w *world) inputs(workflow string) string {
	return adding(`envoy-versions: "1.40.0"`, "compiler: go", "fulcio-url: "+w.signer.FulcioURL, "rekor-url: "+w.signer.RekorURL, "trusted-root: "+w.signer.TrustedRoot)(workflow)
}

// output runs a command on a machine of this world.
func (w *world) output(dir, name string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, w.machine
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// lines are the workflow that deploy/README.md gives to others.
func lines(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../deploy/README.md")
	must(t, err)
	_, section, _ := strings.Cut(string(page), "\n## Release from GitHub Actions\n")
	_, block, found := strings.Cut(section, "```yaml\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("deploy/README.md has no workflow")
	}
	return block
}

// adding adds inputs to the call of filters.yml.
func adding(inputs ...string) func(string) string {
	return func(workflow string) string {
		return strings.Replace(workflow, "    with:\n", "    with:\n      "+strings.Join(inputs, "\n      ")+"\n", 1)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	must(t, os.WriteFile(name, []byte(content), 0o644))
}

// passed fails the test unless every job succeeded.
func passed(t *testing.T, r *run, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v: %v\n%s", err, r.ended, tail(r.log.String()))
	}
}

// failed fails the test unless a job failed, with a text in its log, and none after it
// ran.
func failed(t *testing.T, r *run, err error, job, want string) {
	t.Helper()
	if err == nil || r.ended[job].result != "failure" || !strings.Contains(r.log.String(), want) {
		t.Fatalf("%v: %v; want %s to fail with %q\n%s", err, r.ended, job, want, tail(r.log.String()))
	}
}

func tail(text string) string { return text[max(0, len(text)-12000):] }

// TestRelease: all filters.
func TestRelease(t *testing.T) {
	w := newWorld(t)
	w.publishSlipway(nil)
	r, err := w.release(nil)
	passed(t, r, err)
	w.published()
	t.Logf("the log:\n%s", r.log.String())
}

// published checks that v1.0.0 is released, once and with everything.
func (w *world) published() {
	w.t.Helper()
	first := w.github.release("v1.0.0")
	var names []string
	for _, asset := range first.Assets {
		names = append(names, asset.Name)
	}
	slices.Sort(names)
	if first.Draft || w.github.latest != first.ID || strings.Join(names, " ") != "greeting.wasm hello.wasm release.json release.json.sigstore.json" {
		w.t.Errorf("the release is %+v with %v; the latest is %d", first, names, w.github.latest)
	}
	if len(w.github.unknown) > 0 {
		w.t.Errorf("gh asks what this API does not know: %v", w.github.unknown)
	}
}

// TestKilled: publish is killed when it has pushed the first manifest. The failed jobs run
// again, and the release is complete.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	w.publishSlipway(nil)
	w.asked = func(r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			w.asked = nil
			go w.kill()
		}
	}
	r, err := w.release(nil)
	failed(t, r, err, "filters/publish", "signal: killed")
	if r.ended["filters/attest"].result != "skipped" || len(w.github.releases) > 0 {
		t.Errorf("after the kill: %v, and %d releases", r.ended, len(w.github.releases))
	}
	passed(t, r, r.again(t.Context(), false))
	w.published()
}

// TestStorage: a module is replaced on the server between attest and verify, which fails.
// Nothing is announced. With the right module, the failed jobs run again.
func TestStorage(t *testing.T) {
	w := newWorld(t)
	w.publishSlipway(nil)
	module := filepath.Join(w.storage, "hello", "1.0.0", "hello.wasm")
	var right []byte
	r, err := w.release(func(r *run) {
		r.lines = adding("storage: https://"+storageHost, "storage-public: https://"+storageHost)(r.lines) + storageSecrets
		r.secrets = map[string]any{"STORAGE_USERNAME": storageUsername, "STORAGE_PASSWORD": storagePassword}
		r.before["filters/verify"] = func() {
			var err error
			if right, err = os.ReadFile(module); err != nil {
				t.Fatal(err)
			}
			must(t, os.WriteFile(module, append(slices.Clone(right), 0, 1, 0), 0o644)) // an empty custom section more
		}
	})
	failed(t, r, err, "filters/verify", "hello.wasm")
	if r.ended["filters/announce"].result != "skipped" || len(w.github.releases) > 0 {
		t.Errorf("after a wrong module: %v, and %d releases", r.ended, len(w.github.releases))
	}
	must(t, os.WriteFile(module, right, 0o644))
	delete(r.before, "filters/verify")
	passed(t, r, r.again(t.Context(), false))
	w.published()
}

const storageSecrets = `    secrets:
      storage-username: ${{ secrets.STORAGE_USERNAME }}
      storage-password: ${{ secrets.STORAGE_PASSWORD }}
`

// TestMissing: a workflow that lacks what a job needs fails, in the job that needs it.
func TestMissing(t *testing.T) {
	for name, c := range map[string]struct{ from, without, job, want string }{
		"packages: write in publish":  {"publish", "      packages: write # the filters\n", "filters/publish", "permission_denied: write_package"},
		"id-token: write in attest":   {"attest", "      id-token: write # the identity that signs\n", "filters/attest", ""},
		"needs in verify":             {"verify", "    needs: attest\n", "filters/verify", ""},
		"contents: write in announce": {"announce", "      contents: write # the GitHub release\n", "filters/announce", ""},
		"contents: read in publish":   {"publish", "      contents: read\n", "filters/publish", "may not read contents"},
		"the password in publish":     {"publish", "          REGISTRY_PASSWORD: ${{ secrets.registry-password || github.token }}\n", "filters/publish", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.publishSlipway(func(file, text string) string {
				if file != "filters.yml" {
					return text
				}
				before, section, found := strings.Cut(text, "\n  "+c.from+":\n")
				changed := strings.Replace(section, c.without, "", 1)
				if !found || changed == section {
					t.Fatalf("filters.yml has no %q in %s", c.without, c.from)
				}
				return before + "\n  " + c.from + ":\n" + changed
			})
			r, err := w.release(nil)
			failed(t, r, err, c.job, c.want)
			for _, release := range w.github.releases {
				if !release.Draft {
					t.Errorf("%s is published", release.Tag)
				}
			}
		})
	}
}

// TestCallerRights: a caller that may less than the called jobs starts nothing.
func TestCallerRights(t *testing.T) {
	w := newWorld(t)
	w.publishSlipway(nil)
	w.strangers()
	for _, right := range []string{"contents: write", "id-token: write", "packages: write"} {
		r, err := w.pushed(t.Context(), stranger, "v1.0.0", func(r *run) {
			r.lines = strings.Replace(lines(t), right, strings.Replace(right, "write", "none", 1), 1)
		})
		if name, _, _ := strings.Cut(right, ":"); err == nil || !strings.Contains(err.Error(), "is requesting '"+name) || len(r.ended) > 0 {
			t.Errorf("without %s: %v, %v", right, err, r.ended)
		}
	}
}
