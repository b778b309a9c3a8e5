package release_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// places are a registry and a storage that outlive a release.
type places struct{ registry, storage, public string }

func newPlaces(t *testing.T) places {
	t.Helper()
	registry, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	storage, err := httpstore.Serve(httpstore.ServeOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = registry.Close(), storage.Close() })
	return places{registry.Addr() + "/acme", dir, strings.TrimSuffix(storage.URL(""), "/")}
}

// job releases a version to these places.
func (p places) job(from project, version string) job {
	return job{Dir: from.dir, Version: version, Registry: p.registry, Storage: p.storage, Public: p.public}
}

// tags are the manifest digests that a filter's tags point to.
func (p places) tags(t *testing.T, filter string) map[string]string {
	t.Helper()
	r, err := oci.Open(oci.RegistryOptions{Address: p.registry})
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.List(t.Context(), []string{filter})
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, l := range list {
		for _, tag := range append(l.Moving, l.Tag) {
			tags[tag] = l.ManifestDigest
		}
	}
	return tags
}

func (p project) record(t *testing.T) *release.Record {
	t.Helper()
	record, err := release.ReadRecord(filepath.Join(p.dir, "dist", release.RecordFile))
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// TestConfirm runs a finished release again: it only confirms.
func TestConfirm(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.render(t)
	rehearsal := job{Dir: p.dir, Version: "1.4.0"}
	first := rehearsal.must(t)
	if !strings.Contains(first, "Rehearsed 1.4.0 in ") || !strings.Contains(first, "headers    191   new     127.0.0.1:5000/headers:1.4.0 ") {
		t.Errorf("no summary in:\n%s", first)
	}
	record, outcome := p.read(t, "dist/release.json"), p.outcome(t)
	again := rehearsal.must(t)
	for _, step := range []string{"build", "rebuild", "test", "e2e", "push", "upload", "tags", "record"} {
		if !strings.Contains(again, fmt.Sprintf("%-8s confirmed", step)) {
			t.Errorf("%s was done again:\n%s", step, again)
		}
	}
	if record != p.read(t, "dist/release.json") {
		t.Error("a release that was confirmed has another record")
	}
	if diff := cmp.Diff(outcome, p.outcome(t)); diff != "" {
		t.Errorf("it changed something:\n%s", diff)
	}

	// Other bytes are tested again, and then refused, because the version is taken.
	rehearsal.Different = "other"
	if err := os.Remove(filepath.Join(p.dir, "dist", "headers.wasm")); err != nil {
		t.Fatal(err)
	}
	out := rehearsal.fail(t, "a published version never changes: choose a new version")
	if !strings.Contains(out, "remove dist/registry and dist/storage") || !strings.Contains(out, "step look: ") {
		t.Errorf("it does not say how to rehearse anew, or comes late:\n%s", out)
	}
}

// TestTested: passed tests count only for the same commit and the same bytes.
func TestTested(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	rehearse := func(version string, until string) string {
		return job{Dir: p.dir, Version: version, Until: until}.must(t)
	}
	const done, confirmed = "test     done", "test     confirmed"
	if out := rehearse("1.4.0", "e2e"); !strings.Contains(out, done) || !strings.Contains(out, "Stopped after e2e") {
		t.Errorf("first:\n%s", out)
	}
	if out := rehearse("1.5.0", "e2e"); !strings.Contains(out, confirmed) {
		t.Errorf("another version of the same commit:\n%s", out)
	}
	p.write(t, map[string]string{"README.md": "words\n"})
	p.commit(t, "second")
	if out := rehearse("1.4.0", "e2e"); !strings.Contains(out, done) {
		t.Errorf("another commit:\n%s", out)
	}
	// The modules are no longer those that the state describes.
	if err := os.Remove(filepath.Join(p.dir, "dist", "headers.json")); err != nil {
		t.Fatal(err)
	}
	out := job{Dir: p.dir, Version: "1.4.0", Until: "e2e", Different: "other"}.must(t)
	if !strings.Contains(out, "build    done") || !strings.Contains(out, "rebuild  done") || !strings.Contains(out, done) {
		t.Errorf("other bytes:\n%s", out)
	}
	p.write(t, map[string]string{"dist/release/state.json": "{"})
	if out := rehearse("1.4.0", "e2e"); !strings.Contains(out, done) {
		t.Errorf("half a state:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "dist", "registry", "manifests")); err == nil {
		t.Error("something was published")
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	places := newPlaces(t)
	for name, test := range map[string]struct {
		job     job
		change  func(p project)
		want    string
		visible string // what the output must contain as well
	}{
		"no version":        {job: job{Version: "1.4"}, want: "not a semantic version"},
		"no tag's form":     {job: job{Version: "headers/1.4.0"}, want: "a release's tag is v1.4.0"},
		"two filters":       {job: job{Version: "headers/v1.4.0", Filters: []string{"authtoken"}}, want: "others are asked for: authtoken"},
		"unknown filter":    {job: job{Version: "nothing/v1.4.0"}, want: `find filter "nothing"`},
		"unknown step":      {job: job{Version: "1.4.0", Until: "lunch"}, want: `no step "lunch"`},
		"no git tag":        {job: places.job(project{}, "1.4.0"), want: `there is no git tag v1.4.0; make it with "git tag v1.4.0"`},
		"no tag of one":     {job: places.job(project{}, "headers/v1.4.0"), want: "there is no git tag headers/v1.4.0"},
		"test fails":        {job: job{Version: "1.4.0", Broken: "test"}, want: "step test: a test failed; all of its output is in dist/release/test.log", visible: "    a line of a test"},
		"e2e fails":         {job: job{Version: "1.4.0", Broken: "e2e"}, want: "step e2e: a scenario failed"},
		"a scenario fails":  {job: job{Version: "1.4.0", Broken: "scenario"}, want: `step e2e: scenario "answers | 200" of headers in Envoy 1.36.4: the outcome is "failed"`},
		"nothing is played": {job: job{Version: "1.4.0", Broken: "nothing"}, want: "in any Envoy"},
		"test edits":        {job: job{Version: "1.4.0", Broken: "checkout"}, want: "step test: the checkout was changed while the release ran"},
		"test builds":       {job: job{Version: "1.4.0", Broken: "dist"}, want: "the modules in dist changed while the release ran"},
		"e2e runs others":   {job: job{Version: "1.4.0", Forget: true}, want: "it ran other modules than those that are released"},
		"not reproducible":  {job: job{Version: "1.4.0", Broken: "build"}, want: "differ", visible: "the compiler makes other bytes of the same sources"},
		"another TinyGo":    {job: job{Version: "1.4.0", TinyGo: "0.40.1"}, want: "authtoken was built with TinyGo 0.40.1, which is not the pinned " + tinygo.Version},
		"not the one named": {job: job{Version: "1.4.0", TinyGo: "0.40.1", Consent: "0.40.0"}, want: "and its version was not asked for"},
		"ignored source": {job: job{Version: "1.4.0"}, change: func(p project) {
			p.write(t, map[string]string{"filter/headers/extra_ignored.go": "package main\n"})
		}, want: "step build: the modules were built from files that are not in commit", visible: "differ from it: filter/headers/extra_ignored.go; commit or remove"},
		"hidden source": {job: job{Version: "1.4.0"}, change: func(p project) {
			p.git(t, "update-index", "--skip-worktree", "go.mod")
			p.write(t, map[string]string{"go.mod": p.read(t, "go.mod") + "\n"})
		}, want: "step build: the modules were built from files that are not in commit", visible: "differ from it: go.mod; commit or remove"},
		"filtered source": {job: job{Version: "1.4.0"}, change: func(p project) {
			// As with Git LFS: the files in the checkout differ from those in the
			// commit.
			p.git(t, "config", "filter.pointer.clean", "printf pointer")
			p.write(t, map[string]string{
				".gitattributes":           "*.txt filter=pointer\n",
				"filter/headers/main.go":   "package main\n\nimport _ \"embed\"\n\n//go:embed table.txt\nvar table string\n",
				"filter/headers/table.txt": "large",
			})
			p.commit(t, "second")
		}, want: "step rebuild: headers: two builds of commit", visible: "their sources are not the same: example.com/filters/filter/headers/table.txt"},
		"changed file":    {job: job{Version: "1.4.0"}, change: func(p project) { p.write(t, map[string]string{"filter/headers/main.go": "package main // x\n"}) }, want: "files differ from commit", visible: " M filter/headers/main.go"},
		"file not in git": {job: job{Version: "1.4.0"}, change: func(p project) { p.write(t, map[string]string{"filter/headers/new.go": "package main\n"}) }, want: "?? filter/headers/new.go"},
		"tag of another":  {job: job{Version: "1.4.0"}, change: func(p project) { p.git(t, "tag", "v1.4.0"); p.git(t, "commit", "-q", "--allow-empty", "-m", "x") }, want: "git tag v1.4.0 is at commit"},
		"annotated another": {job: job{Version: "1.4.0"}, change: func(p project) {
			p.git(t, "tag", "-a", "-m", "m", "v1.4.0")
			p.git(t, "commit", "-q", "--allow-empty", "-m", "x")
		}, want: "git tag v1.4.0 is at commit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			if test.change != nil {
				test.change(p)
			}
			test.job.Dir = p.dir
			if out := test.job.fail(t, test.want); !strings.Contains(out, test.visible) {
				t.Errorf("no %q in:\n%s", test.visible, out)
			}
			for _, path := range []string{"dist/registry/manifests", "dist/storage/headers", "dist/release.json"} {
				if _, err := os.Stat(filepath.Join(p.dir, path)); err == nil {
					t.Errorf("%s is there", path)
				}
			}
		})
	}
	if tags := places.tags(t, "headers"); len(tags) > 0 {
		t.Errorf("published: %v", tags)
	}
}

// TestConsent releases modules by a TinyGo that was named.
func TestConsent(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	job{Dir: p.dir, Version: "1.4.0", TinyGo: "0.40.1", Consent: "0.40.1", Until: "build"}.must(t)
}

// TestResume removes the cause of a failed release, and goes on: steps that passed are
// not repeated.
func TestResume(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	j := job{Dir: p.dir, Version: "1.4.0", Broken: "e2e"}
	j.fail(t, "a scenario failed")
	j.Broken = ""
	out := j.must(t)
	if !strings.Contains(out, "test     confirmed") || !strings.Contains(out, "e2e      done") {
		t.Error(out)
	}
	const note = "with exactly these bytes: 2 scenarios in Envoy 1.36.4, 1.40.0"
	if !strings.Contains(out, note) {
		t.Errorf("no %q in:\n%s", note, out)
	}
	record := p.record(t)
	want := attest.Tests{{Scenario: "answers | 200", EnvoyVersion: "1.36.4", Outcome: scenario.Passed}, {Scenario: "answers | 200", EnvoyVersion: "1.40.0", Outcome: scenario.Passed}}
	if got := record.Filters[1].Scenarios; !slices.Equal(got, want) {
		t.Errorf("the record has %v", got)
	}
	if out := j.must(t); !strings.Contains(out, "e2e      confirmed") || !strings.Contains(out, "record   confirmed") || !strings.Contains(out, note) {
		t.Errorf("again:\n%s", out)
	}
	// A state that says of no scenario that it passed is not enough.
	state := p.read(t, "dist/release/state.json")
	p.write(t, map[string]string{"dist/release/state.json": strings.ReplaceAll(state, `"passed"`, `"failed"`)})
	if out := j.must(t); !strings.Contains(out, "test     confirmed") || !strings.Contains(out, "e2e      done") || !reflect.DeepEqual(p.record(t), record) {
		t.Errorf("with another state:\n%s", out)
	}
}

// TestChangedMeanwhile: somebody else overwrites a version that was just published. The
// release notices before any tag but the exact version's points to it.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	p, there := newProject(t), newPlaces(t)
	p.git(t, "tag", "v1.4.0")
	j := there.job(p, "1.4.0")
	j.Broken = "tag"
	out := j.fail(t, "step verify: ")
	if !strings.Contains(out, there.registry+"/headers:1.4.0 has manifest digest") {
		t.Error(out)
	}
	if tags := there.tags(t, "headers"); tags["latest"] != "" {
		t.Errorf("headers:latest is there: %v", tags)
	}
	j.Broken = ""
	j.fail(t, "choose a new version")
}

// TestReleases releases filters several times to a configured registry and storage: all
// of them, a single one, a back-port, a pre-release.
func TestReleases(t *testing.T) {
	t.Parallel()
	p, there := newProject(t), newPlaces(t)
	tagged := func(tag, content string) string {
		t.Helper()
		p.write(t, map[string]string{"filter/headers/main.go": "package main // " + content + "\n"})
		p.git(t, "add", ".")
		p.git(t, "commit", "-q", "--allow-empty", "-m", tag)
		p.git(t, "tag", "-a", "-m", tag, tag)
		return there.job(p, tag).must(t)
	}
	if out := tagged("v1.0.0", "a"); !strings.Contains(out, "Released 1.0.0 in ") {
		t.Error(out)
	}
	first := there.tags(t, "headers")
	record := p.record(t)
	if record.Rehearsal || record.Tag != "v1.0.0" || len(record.Filters) != 2 || record.Commit != p.git(t, "rev-parse", "HEAD") {
		t.Errorf("record %+v", record)
	}
	if m := record.Filters[1].Manifests; len(m) != 2 || m[0].ManifestDigest != first["1.0.0"] || m[0].ManifestDigest != first["latest"] || m[0].Repository != there.registry+"/headers" || m[1].Shape != oci.Compat {
		t.Errorf("manifests %+v, tags %v", m, first)
	}
	if url := there.public + "/headers/1.0.0/headers.wasm"; record.Filters[1].URL != url {
		t.Errorf("URL %s, want %s", record.Filters[1].URL, url)
	}
	var index struct {
		Versions []struct{ OCIReference string }
	}
	data, err := os.ReadFile(filepath.Join(there.storage, "headers", "index.json"))
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	if want := there.registry + "/headers@" + first["1.0.0"]; err != nil || len(index.Versions) != 1 || index.Versions[0].OCIReference != want {
		t.Errorf("index.json has %s, %v; want its reference to be %s", data, err, want)
	}

	tagged("headers/v2.0.0", "a longer one")
	record = p.record(t)
	if len(record.Filters) != 1 || record.Filters[0].Name != "headers" {
		t.Errorf("record of one filter: %+v", record)
	}
	if notes := p.read(t, "dist/release.md"); !strings.Contains(notes, "+11 (+") || !strings.Contains(notes, " %) since 1.0.0 |") {
		t.Errorf("notes:\n%s", notes)
	}
	if tags := there.tags(t, "authtoken"); tags["2.0.0"] != "" || tags["latest"] != tags["1.0.0"] {
		t.Errorf("a release of headers published authtoken: %v", tags)
	}

	out := tagged("v1.0.1", "mended")
	tags := there.tags(t, "headers")
	if tags["latest"] != tags["2.0.0"] || tags["1"] != tags["1.0.1"] || tags["1.0"] != tags["1.0.1"] || tags["1.0.0"] != first["1.0.0"] || tags["2"] != tags["2.0.0"] {
		t.Errorf("after a back-port: %v", tags)
	}
	if tags := there.tags(t, "authtoken"); tags["latest"] != tags["1.0.1"] {
		t.Errorf("authtoken, which has no 2.0.0: %v", tags)
	}
	if !strings.Contains(out, "a back-port, because headers 2.0.0 is there: latest stays") {
		t.Errorf("it does not say that it is a back-port:\n%s", out)
	}
	if notes := p.read(t, "dist/release.md"); !strings.Contains(notes, " since 1.0.0 |") {
		t.Errorf("before 1.0.1 was another:\n%s", notes)
	}

	tagged("v3.0.0-rc.1", "soon")
	if tags := there.tags(t, "headers"); tags["latest"] != tags["2.0.0"] || tags["3.0.0-rc.1"] == "" {
		t.Errorf("after a pre-release: %v", tags)
	}
	tagged("v3.0.0", "now")
	if notes := p.read(t, "dist/release.md"); !strings.Contains(notes, " since 2.0.0 |") {
		t.Errorf("before 3.0.0 was another:\n%s", notes)
	}
}

// TestLookEarly: a conflict in the storage is found before anything is pushed.
func TestLookEarly(t *testing.T) {
	t.Parallel()
	p, there := newProject(t), newPlaces(t)
	p.git(t, "tag", "v1.4.0")
	j := there.job(p, "1.4.0")
	j.Public = "http://127.0.0.1:1" // nobody listens there
	j.fail(t, "step look: verify 1.4.0 at http://127.0.0.1:1")

	// Somebody else has released to the storage only.
	theirs := there.job(p.clone(t), "1.4.0")
	theirs.Registry, theirs.Different = "", "theirs"
	theirs.must(t)
	j.Public = there.public
	j.fail(t, "step look: "+there.public+"/authtoken/1.4.0/authtoken.wasm exists with wasm sha256")
	if tags := there.tags(t, "headers"); len(tags) > 0 {
		t.Errorf("pushed: %v", tags)
	}
	// Or the stored module was changed since.
	if err := os.WriteFile(filepath.Join(there.storage, "authtoken", "1.4.0", "authtoken.wasm"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	j.fail(t, "step look: ")
}

// TestPlaces releases to a registry alone and to a storage alone.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"registry", "storage"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, there := newProject(t), newPlaces(t)
			for _, version := range []string{"1.0.0", "1.1.0"} {
				p.git(t, "tag", "v"+version)
				j := there.job(p, version)
				if name == "registry" {
					j.Storage, j.Public = "", ""
				} else {
					j.Registry = ""
				}
				j.must(t)
				f := p.record(t).Filters[0]
				if (len(f.Manifests) > 0) != (name == "registry") || (f.URL != "") != (name == "storage") {
					t.Errorf("record %+v", f)
				}
				if notes := p.read(t, "dist/release.md"); version == "1.1.0" && !strings.Contains(notes, "| same as 1.0.0 |") {
					t.Errorf("before %s was another:\n%s", version, notes)
				}
			}
		})
	}
}

// TestPreview: it says what would happen, and changes nothing.
func TestPreview(t *testing.T) {
	t.Parallel()
	p, there := newProject(t), newPlaces(t)
	out := job{Dir: p.dir, Version: "1.4.0", Preview: true}.must(t)
	if !strings.Contains(out, "push to the embedded registry in dist/registry") {
		t.Errorf("rehearsal:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "dist")); err == nil {
		t.Error("dist is there")
	}
	there.job(p, "1.4.0").fail(t, "no git tag v1.4.0")
	p.git(t, "tag", "v1.4.0")
	there.job(p, "1.4.0").must(t)
	p.git(t, "tag", "v1.3.0")
	published, before, index := there.tags(t, "headers"), tree(t, p.dir, "dist"), tree(t, there.storage, "headers")
	j := there.job(p, "1.3.0")
	j.Preview = true
	out = j.must(t)
	for _, want := range []string{
		"test     nothing, if the bytes are those that an earlier run had",
		"push " + there.registry + "/headers:1.3.0 as artifact, compat\n",
		"upload " + there.public + "/headers/1.3.0/headers.wasm",
		"headers: 1.3, 1 stays at 1.4.0, latest stays at 1.4.0",
		"Nothing was changed.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if diff := cmp.Diff([]any{published, before, index}, []any{there.tags(t, "headers"), tree(t, p.dir, "dist"), tree(t, there.storage, "headers")}); diff != "" {
		t.Errorf("it changed something:\n%s", diff)
	}
	j.Version = "1.9.0"
	j.fail(t, "release 1.9.0 would fail: there is no git tag v1.9.0")
}

// TestTwoAtOnce starts two releases of one version together. In one folder, the second
// is refused. With two commits, one is released as a whole, and the other is refused.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("one folder", func(t *testing.T) {
		t.Parallel()
		p := newProject(t)
		both(t, "another release runs in this folder", job{Dir: p.dir, Version: "1.4.0"}, job{Dir: p.dir, Version: "1.4.0"})
		job{Dir: p.dir, Version: "1.4.0"}.must(t)
	})
	t.Run("two commits", func(t *testing.T) {
		t.Parallel()
		for range 2 {
			there := newPlaces(t)
			ours, theirs := newProject(t), newProject(t)
			theirs.git(t, "commit", "-q", "--allow-empty", "-m", "another")
			var jobs []job
			for _, p := range []project{ours, theirs} {
				p.git(t, "tag", "v1.4.0")
				j := there.job(p, "1.4.0")
				j.Different = p.git(t, "rev-parse", "HEAD")
				jobs = append(jobs, j)
				// They meet in the steps that publish.
				j.Until = "e2e"
				j.must(t)
			}
			winner := both(t, "choose a new version", jobs...)
			record := []project{ours, theirs}[winner].record(t)
			for _, f := range record.Filters {
				if tags := there.tags(t, f.Name); tags["1.4.0"] != f.Manifests[0].ManifestDigest || tags["latest"] != tags["1.4.0"] || tags["compat-1.4.0"] != f.Manifests[1].ManifestDigest {
					t.Errorf("%s has tags %v, and the winner's are %+v", f.Name, tags, f.Manifests)
				}
			}
			// Run again, both give the same answer as before.
			jobs[1-winner].fail(t, "choose a new version")
			jobs[winner].must(t)
		}
	})
	t.Run("one commit", func(t *testing.T) {
		t.Parallel()
		there, ours := newPlaces(t), newProject(t)
		ours.git(t, "tag", "v1.4.0")
		theirs := ours.clone(t)
		first, second := there.job(ours, "1.4.0").start(t), there.job(theirs, "1.4.0").start(t)
		for _, c := range []*child{first, second} {
			if out, err := c.wait(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
		a, b := ours.record(t), theirs.record(t)
		if a.Source, b.Source = "", ""; !reflect.DeepEqual(a, b) {
			t.Errorf("two records of one release:\n%+v\n%+v", a, b)
		}
	})
}

// both runs two releases together. One has to win, and the other has to fail with the
// wanted error. It returns the winner's index.
func both(t *testing.T, want string, jobs ...job) (winner int) {
	t.Helper()
	children := []*child{jobs[0].start(t), jobs[1].start(t)}
	var failures [2]error
	var out [2]string
	for i, c := range children {
		out[i], failures[i] = c.wait()
	}
	if (failures[0] == nil) == (failures[1] == nil) {
		t.Fatalf("one has to win; errors are %v and %v:\n%s\n%s", failures[0], failures[1], out[0], out[1])
	}
	if failures[0] != nil {
		winner = 1
	}
	if loser := out[1-winner]; !strings.Contains(loser, want) {
		t.Errorf("the loser is not told %q:\n%s", want, loser)
	}
	return winner
}
