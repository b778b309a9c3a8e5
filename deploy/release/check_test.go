package release_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
)

// TestCheckFindsAll: one run says everything that would end the release, before anything is
// built, and before anything is published.
func TestCheckFindsAll(t *testing.T) {
	t.Parallel()
	p, at := newProject(t), newPlaces(t)
	host, _, _ := strings.Cut(at.registry, "/")
	proxy := faultproxytest.Start(t, host, faultproxytest.Rule{Match: "^POST .*/headers/blobs/uploads/", Fault: faultproxytest.Status(http.StatusForbidden)})
	p.write(t, map[string]string{"filter/headers/main.go": "package main // changed\n"})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := at.job(p, "1.4.0")
	j.Registry, j.Storage, j.Key = proxy.Addr+"/acme", file+"/below", file
	out := j.fail(t, "step check: ")
	for _, want := range []string{
		"files differ from commit ",
		"there is no git tag v1.4.0",
		proxy.Addr + "/acme/headers cannot be pushed to: POST ",
		"file://" + file + "/below cannot be written: ",
		"open private key " + file + ": it is no encrypted private key of cosign",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "build ...") || strings.Contains(out, "build    done") {
		t.Errorf("something was built:\n%s", out)
	}
	if tags := at.tags(t, "headers"); len(tags) > 0 {
		t.Errorf("there are tags: %v", tags)
	}
	if left, err := os.ReadDir(at.storage); err != nil || len(left) > 0 {
		t.Errorf("the storage has %v, %v", left, err)
	}
}

// TestTaken: a version that is published from another commit is found before anything is built,
// and the error says how to go on after a release of one filter.
func TestTaken(t *testing.T) {
	t.Parallel()
	p, at := newProject(t), newPlaces(t)
	p.git(t, "tag", "headers/v1.4.0")
	j := at.job(p, "headers/v1.4.0")
	j.must(t)
	j.Preview = true
	j.must(t) // the same commit goes on
	p.write(t, map[string]string{"filter/authtoken/main.go": "package main // changed\n"})
	p.commit(t, "Change")
	p.git(t, "tag", "v1.4.0")
	p.git(t, "tag", "--force", "headers/v1.4.0")
	j.fail(t, "a published version never changes: choose a new version\n")
	j.Version = "v1.4.0"
	out := j.fail(t, "release each of the others by a tag of its own, such as NAME/v1.4.0")
	if !strings.Contains(out, "/headers:1.4.0 is published from commit ") || strings.Contains(out, "would:") {
		t.Errorf("it says\n%s", out)
	}
}

// TestNoSigner: where signatures are asked for, a release that cannot sign publishes nothing.
func TestNoSigner(t *testing.T) {
	t.Parallel()
	p, at := newProject(t), newPlaces(t)
	p.git(t, "tag", "v1.4.0")
	key, err := filepath.Abs("../attest/sigstore/signing/testdata/cosign.pub")
	if err != nil {
		t.Fatal(err)
	}
	j := at.job(p, "v1.4.0")
	j.VerifyKey = key
	j.fail(t, "is not published yet: nobody says who signs")
	if tags := at.tags(t, "headers"); len(tags) > 0 {
		t.Errorf("there are tags: %v", tags)
	}
	j.Until = "upload" // another run signs
	j.must(t)
	j.Until = "attest"
	j.fail(t, "step attest: nobody says who signs")
}

// TestPreviewWritesNothing: a preview opens everything, and writes nowhere.
func TestPreviewWritesNothing(t *testing.T) {
	t.Parallel()
	p, at := newProject(t), newPlaces(t)
	p.git(t, "tag", "v1.4.0")
	j := at.job(p, "1.4.0")
	j.Preview = true
	j.mustWriteNothing(t, at)
}

// mustWriteNothing runs the job, which must succeed and write nowhere.
func (j *job) mustWriteNothing(t *testing.T, at places) {
	t.Helper()
	host, _, _ := strings.Cut(at.registry, "/")
	proxy := faultproxytest.Start(t, host)
	j.Registry = proxy.Addr + "/acme"
	j.must(t)
	if writes := proxy.Requests("^(PUT|POST|PATCH|DELETE) "); len(writes) > 0 {
		t.Errorf("the registry got %q", writes)
	}
	if left, err := os.ReadDir(at.storage); err != nil || len(left) > 0 {
		t.Errorf("the storage has %v, %v", left, err)
	}
}

// TestJobsWriteWhatTheyMay: a job that only builds and tests writes nowhere, and one that comes
// after the upload needs no way to write to the storage.
func TestJobsWriteWhatTheyMay(t *testing.T) {
	t.Parallel()
	p, at := newProject(t), newPlaces(t)
	p.git(t, "tag", "v1.4.0")
	j := at.job(p, "1.4.0")
	j.Until = "e2e"
	j.mustWriteNothing(t, at)
	state := p.read(t, "dist/release/state.json")
	j.Until = "upload"
	j.must(t)
	// The next job has the state of the first, and another folder for the storage, which it
	// cannot write, but the same public address.
	p.write(t, map[string]string{"dist/release/state.json": state})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j.Until, j.Storage = "attest", file+"/below"
	if out, _ := j.run(t); strings.Contains(out, "step check") {
		t.Errorf("it wanted to write:\n%s", out)
	}
}

// TestReleaseWithImmutableTags: where no tag can move, every release completes, and says so once.
func TestReleaseWithImmutableTags(t *testing.T) {
	t.Parallel()
	p, at := newProject(t), newPlaces(t)
	host, _, _ := strings.Cut(at.registry, "/")
	proxy := faultproxytest.Start(t, host, faultproxytest.Rule{Match: "^PUT .*/manifests/[^:]*$", Fault: faultproxytest.ImmutableTags(http.StatusBadRequest, "tag is immutable")})
	for i, v := range []string{"1.4.0", "1.4.1"} {
		p.git(t, "tag", "v"+v)
		j := at.job(p, v)
		j.Registry = proxy.Addr + "/acme"
		out := j.must(t)
		if said := strings.Count(out, "the registry lets no tag move"); said != i {
			t.Errorf("%s says it %d times:\n%s", v, said, out)
		}
		if record := p.record(t); record.Version != v {
			t.Errorf("the record is of %s", record.Version)
		}
	}
	tags := at.tags(t, "headers")
	if tags["latest"] == "" || tags["latest"] != tags["1.4.0"] || tags["1.4.1"] == "" {
		t.Errorf("tags: %v", tags)
	}
}

// TestReleaseToFolder: a folder without a public address is read back itself, and nothing is
// rendered that would need a URL.
func TestReleaseToFolder(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.render(t)
	p.git(t, "tag", "v1.4.0")
	dir := t.TempDir()
	out := job{Dir: p.dir, Version: "1.4.0", Storage: dir}.must(t)
	if !strings.Contains(out, "headers: no manifests, because it is published in a folder, and no public address was given from which proxies fetch") {
		t.Errorf("told:\n%s", out)
	}
	if url := p.record(t).Filters[1].URL; url != "file://"+dir+"/headers/1.4.0/headers.wasm" {
		t.Errorf("the record says %s", url)
	}
}

// TestFilterInSubmodule: a filter in a git submodule is refused before it is built.
func TestFilterInSubmodule(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.git(t, "rm", "-rq", "filter/headers")
	lone := project{t.TempDir()}
	lone.write(t, map[string]string{"main.go": "package main\n", "filter.yaml": metadata})
	lone.git(t, "init", "-q", "-b", "main")
	lone.commit(t, "filter")
	p.git(t, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lone.dir, "filter/headers")
	p.commit(t, "submodules")
	out := job{Dir: p.dir, Version: "1.4.0"}.fail(t, "step check: filter headers is in a git submodule of ")
	if strings.Contains(out, "build ...") {
		t.Errorf("something was built:\n%s", out)
	}
}
