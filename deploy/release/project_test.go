package release_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// inProject is set in a child process of the tests. A release works in the working
// directory, so tests that run side by side need a process each.
const inProject = "SLIPWAY_TEST_RELEASE"

// project is a checkout with two small filters, and what is published from it.
type project struct {
	dir string // of the checkout
}

// metadata is a filter.yaml. By default no manifests are rendered from it, because
// rendering takes most of the time of a release of such small filters: see render.
const metadata = "title: T\ndescription: D.\nlicense: Apache-2.0\n"

func newProject(t *testing.T) project {
	t.Helper()
	p := project{t.TempDir()}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(repository, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, map[string]string{
		".gitignore": "/dist/\n*_ignored.go\n",
		// The program that renders is found as a module that the project requires.
		"go.mod": "module example.com/filters\n\ngo 1.26.2\n\nrequire github.com/slipway-wasm/slipway v0.0.0\n\n" +
			"replace github.com/slipway-wasm/slipway => " + repository + "\n",
		"go.sum":                       string(sums),
		"filter/authtoken/main.go":     "package main\n",
		"filter/authtoken/filter.yaml": metadata,
		"filter/headers/main.go":       "package main\n",
		"filter/headers/filter.yaml":   metadata,
	})
	p.git(t, "init", "-q", "-b", "main")
	p.commit(t, "first")
	return p
}

// render makes the project's releases render manifests.
func (p project) render(t *testing.T) {
	t.Helper()
	p.write(t, map[string]string{
		"filter/authtoken/filter.yaml": metadata + "apply: {failStrategy: FAIL_OPEN}\n",
		"filter/headers/filter.yaml":   metadata + "apply: {failStrategy: FAIL_CLOSE}\n",
	})
	p.commit(t, "render")
}

func (p project) write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (p project) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// git runs git. Its commits are the same each time.
func (p project) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-03-29T01:30:00Z", "GIT_COMMITTER_DATE=2026-03-29T01:30:00Z")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (p project) commit(t *testing.T, message string) {
	t.Helper()
	p.git(t, "add", ".")
	p.git(t, "commit", "-q", "-m", message)
}

// clone returns a clone of the project, at the same commit.
func (p project) clone(t *testing.T) project {
	t.Helper()
	c := project{filepath.Join(t.TempDir(), "clone")}
	p.git(t, "clone", "-q", p.dir, c.dir)
	return c
}

// job describes a child's work, as JSON in inProject.
type job struct {
	// TinyGo is the version that the modules claim to be built with; empty for the
	// pinned one. Consent is the version that the options allow instead.
	TinyGo, Consent string

	Dir       string // the project's
	Version   string
	Filters   []string
	Until     string
	Shard     string
	Parts     string // a folder
	Preview   bool
	Registry  string // an address; empty for the embedded stores in dist
	Storage   string // a folder that the project's storage is in; empty for none or the embedded one
	Public    string // its public address
	KillAt    string // kill the process after a line with this prefix was printed
	KillHTTP  int    // kill it at this request, counted from 1
	Broken    string // what goes wrong: "test" and "e2e" fail, a "scenario" does or "nothing" is played, "build" makes other bytes each time, tests change "checkout" or "dist", and others change a "tag" in Registry
	Different string // content that is added to the modules
	Key       string // a private key to sign with
	VerifyKey string // the public key whose signatures count
	Forget    bool   // let e2e run modules other than those released
}

// start starts a child.
func (j job) start(t *testing.T) *child {
	t.Helper()
	data, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	c.cmd.Dir = j.Dir
	c.cmd.Env = append(os.Environ(), inProject+"="+string(data), "DOCKER_CONFIG="+t.TempDir())
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs a child to its end.
func (j job) run(t *testing.T) (out string, err error) {
	t.Helper()
	return j.start(t).wait()
}

// must runs a child, which has to succeed.
func (j job) must(t *testing.T) string {
	t.Helper()
	out, err := j.run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// fail runs a child, which has to fail with a certain text in its error.
func (j job) fail(t *testing.T, want string) string {
	t.Helper()
	out, err := j.run(t)
	if err == nil || !strings.Contains(out, want) {
		t.Errorf("%+v: error %v, want %q in:\n%s", j, err, want, out)
	}
	return out
}

type child struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func (c *child) wait() (string, error) {
	err := c.cmd.Wait()
	return c.out.String(), err
}

func TestMain(m *testing.M) {
	if description := os.Getenv(inProject); description != "" {
		os.Exit(work(description))
	}
	// Releases mostly wait for stores to settle, so more can run side by side than
	// there are processors.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// work is the child's main.
func work(description string) int {
	var j job
	err := json.Unmarshal([]byte(description), &j)
	if err == nil {
		requests := j.arm()
		defer func() { fmt.Println("requests:", requests.Load()) }()
		run := func(ctx context.Context, opts release.Options) error {
			_, err := release.Release(ctx, opts)
			return err
		}
		if j.Preview {
			run = release.Preview
		}
		var opts release.Options
		if opts, err = j.options(); err == nil {
			err = run(context.Background(), opts)
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func (j job) options() (opts release.Options, err error) {
	opts = release.Options{
		TinyGoVersion: j.Consent,

		Shapes: []oci.Shape{oci.Artifact, oci.Compat},
		Maker:  faultyMaker{j},
		Until:  j.Until,
		Parts:  j.Parts,
		Out:    &killer{prefix: j.KillAt, out: &meddler{job: j, out: os.Stdout}},
	}
	if opts.Version, opts.Filters, err = version.Read(j.Version, j.Filters); err != nil {
		return opts, err
	}
	if opts.Shard, err = release.ParseShard(j.Shard); err != nil {
		return opts, err
	}
	if j.Key != "" {
		opts.Signer = &attest.Signer{Key: j.Key}
	}
	opts.Policy.Key = j.VerifyKey
	policy := retry.Policy{Tries: 3, Delay: time.Millisecond}
	if j.Registry != "" {
		opts.Registry = &oci.RegistryOptions{Address: j.Registry, Retry: policy}
	}
	if j.Storage != "" {
		opts.Storage = &storage.Options{URL: "file://" + j.Storage, PublicURL: j.Public, Retry: policy}
	}
	return opts, nil
}

// faultyMaker makes small modules at once, where a compiler would take minutes, and
// fails as the job says.
type faultyMaker struct{ job job }

func (m faultyMaker) Build(ctx context.Context, opts build.Options) ([]build.Module, error) {
	return m.job.build(ctx, opts)
}

func (m faultyMaker) Test(ctx context.Context, opts gotest.Options) error {
	fmt.Fprintln(opts.Out, "a line of a test")
	for _, folder := range []string{"filter/authtoken", "filter/headers/inner", "filter", "test/e2e"} {
		if opts.Packages == nil || opts.Packages(folder) {
			fmt.Fprintln(opts.Out, "tests", folder)
		}
	}
	switch m.job.Broken {
	case "test":
		return errors.New("a test failed")
	case "checkout":
		return os.WriteFile("filter/headers/main.go", nil, 0o600)
	case "dist":
		m.job.Different = "by the way"
		filters, err := catalog.Load(catalog.LoadOptions{})
		if err == nil {
			_, err = m.job.build(ctx, build.Options{Filters: filters, Dist: opts.Dist})
		}
		return err
	}
	return nil
}

func (m faultyMaker) E2E(ctx context.Context, opts gotest.Options) (scenario.Report, error) {
	return m.job.e2e(ctx, opts.Dist, opts.Filters, opts.Out)
}

// meddler overwrites a tag in the registry when the release prints that it attests.
type meddler struct {
	job job
	out io.Writer
}

func (m *meddler) Write(p []byte) (int, error) {
	if m.job.Broken == "tag" && strings.HasPrefix(string(p), release.StepAttest+" ...") {
		if err := replaceTag(context.Background(), m.job.Registry, "headers", m.job.Version); err != nil {
			return 0, err
		}
	}
	return m.out.Write(p)
}

// build makes modules whose bytes depend on the sources only, where a compiler would
// take minutes. Everything else is as build.Build leaves it.
func (j job) build(ctx context.Context, opts build.Options) ([]build.Module, error) {
	if err := os.MkdirAll(opts.Dist, 0o755); err != nil {
		return nil, err
	}
	// A job that publishes another job's build has no TinyGo.
	toolchain := build.Toolchain{Name: build.TinyGo, Version: cmp.Or(j.TinyGo, tinygo.Version), GoVersion: build.GoToolchain, Flags: []string{"-no-debug"}, BuildTags: []string{"tinygo"}}
	sources, err := build.ReadSources(ctx, opts.Filters, toolchain)
	if err != nil {
		return nil, err
	}
	var modules []build.Module
	for i, f := range opts.Filters {
		var inputs []byte
		for _, file := range sources[i].Own {
			if filepath.Dir(file) != f.Dir {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, content...)
		}
		options := wasmtest.Filter()
		options.Custom = f.Name + string(inputs) + j.Different
		if j.Broken == "build" {
			options.Custom += time.Now().String()
		}
		wasm := wasmtest.Encode(options)
		report, err := inspect.Module(context.Background(), wasm)
		if err != nil {
			return nil, err
		}
		path, err := filepath.Abs(filepath.Join(opts.Dist, f.Name+".wasm"))
		if err != nil {
			return nil, err
		}
		module := build.Module{Path: path, Record: build.Record{
			RecordVersion: build.RecordVersion,
			Name:          f.Name,
			WasmSHA256:    checksum.Bytes(wasm),
			Size:          int64(len(wasm)),
			Compiler:      toolchain,
			Inputs:        sources[i].Inputs,
			Report:        *report,
		}}
		record, err := json.Marshal(module.Record)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(os.WriteFile(path, wasm, 0o600), os.WriteFile(strings.TrimSuffix(path, ".wasm")+".json", record, 0o600)); err != nil {
			return nil, err
		}
		modules = append(modules, module)
	}
	return build.Load(opts.Dist, names(modules))
}

func names(modules []build.Module) []string {
	var names []string
	for _, m := range modules {
		names = append(names, m.Name)
	}
	return names
}

// e2e reports which modules it found in dist, as the real one does.
func (j job) e2e(_ context.Context, dist string, filters []string, _ io.Writer) (played scenario.Report, err error) {
	played = scenario.Report{Modules: map[string]string{}, EnvoyVersions: []string{"1.36.4", "1.40.0"}}
	for _, filter := range filters {
		wasm, err := os.ReadFile(filepath.Join(dist, filter+".wasm"))
		if err != nil {
			return played, err
		}
		played.Modules[filter] = checksum.Bytes(wasm)
		for _, version := range played.EnvoyVersions {
			// A time of its own, which is not in the record.
			result := scenario.Result{Scenario: "answers | 200", Filter: filter, EnvoyVersion: version, Outcome: scenario.Passed, Steps: 2, Duration: time.Since(time.Time{})}
			if j.Broken == "scenario" && filter == "headers" {
				result.Outcome, result.Reason = scenario.Failed, "503 was seen"
			}
			played.Results = append(played.Results, result)
		}
	}
	if j.Broken == "nothing" {
		played.Results = nil
	}
	if j.Broken == "e2e" {
		err = errors.New("a scenario failed")
	}
	if j.Forget {
		played.Modules["headers"] = checksum.Bytes(nil)
	}
	return played, err
}

// replaceTag points a tag to a manifest with the same meaning and other bytes.
func replaceTag(ctx context.Context, registry, filter, tag string) error {
	host, path, _ := strings.Cut(registry, "/")
	address := fmt.Sprintf("http://%s/v2/%s/%s/manifests/%s", host, path, filter, tag)
	response, err := http.Get(address)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	manifest, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(append(manifest, '\n')))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", response.Header.Get("Content-Type"))
	if response, err = http.DefaultClient.Do(request); err != nil {
		return err
	}
	return response.Body.Close()
}
