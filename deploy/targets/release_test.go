package targets

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// canaries are secrets in the environment. None may appear anywhere.
var canaries = map[string]string{
	"REGISTRY_USERNAME":              "canary-user",
	"REGISTRY_PASSWORD":              "canary+registry/password",
	"STORAGE_USERNAME":               "canary-storer",
	"STORAGE_PASSWORD":               "canary+storage/password",
	"COSIGN_PASSWORD":                "canary-cosign-password",
	"AWS_SECRET_ACCESS_KEY":          "canary-aws-secret",
	"AZURE_STORAGE_KEY":              "canary-azure-key",
	"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-actions-token",
	"GITHUB_TOKEN":                   "canary-github-token",
	"GH_ENTERPRISE_TOKEN":            "canary-gh-token",
	"SIGSTORE_ID_TOKEN":              "canary-sigstore-token",
	"DOCKER_AUTH_CONFIG":             "canary-docker-password",
	"KUBECONFIG":                     "/canary/kubeconfig",
	"NPM_TOKEN":                      "canary-npm-token",
	"SSH_AUTH_SOCK":                  "/canary/agent",
	"GOOGLE_APPLICATION_CREDENTIALS": "/canary/google.json", // begins like Go's own variables
	"FOO_SECRET":                     "canary-of-nobody-knows-what",
}

// leaks returns the secrets that a text contains, in any of the encodings in which they
// are sent.
func leaks(text string) []string {
	var found []string
	look := func(name, secret string) {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(text, form) && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	for name, secret := range canaries {
		// User names are not secret, except as a part of the header.
		if !strings.HasSuffix(name, "_USERNAME") {
			look(name, secret)
		}
	}
	for _, kind := range []string{"REGISTRY", "STORAGE"} {
		look(kind+"'s Authorization", canaries[kind+"_USERNAME"]+":"+canaries[kind+"_PASSWORD"])
	}
	return found
}

// writeEnvironment is a test that writes down everything it can learn.
const writeEnvironment = `package %[1]s

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvironment(t *testing.T) {
	file := filepath.Join(os.Getenv("SLIPWAY_DIST"), "%[1]s.environment")
	if err := os.WriteFile(file, []byte(strings.Join(os.Environ(), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	%[2]s
	fmt.Println("done")
}
`

// checkFilters says that e2e gets the filters of the release.
const checkFilters = `if os.Getenv("FILTERS") != "headers" {
		t.Fatal(os.Getenv("FILTERS"))
	}`

// secretProject changes to a checkout with one filter, whose tests print what they
// know. It returns a build function that returns the prebuilt module.
func secretProject(t *testing.T) func(context.Context, build.Options) ([]build.Module, error) {
	t.Helper()
	sources := map[string][]byte{}
	for _, name := range []string{"go.mod", "go.sum"} { // they name the tool that runs tests
		content, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = content
	}
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("DOCKER_CONFIG", dir)
	for name, content := range sources {
		write(t, name, string(content))
	}
	write(t, "filter/headers/main.go", "package main\n\nfunc main() {}\n")
	write(t, "filter/headers/filter.yaml", "title: T\ndescription: D.\nlicense: Apache-2.0\n")
	write(t, "knows_test.go", fmt.Sprintf(writeEnvironment, "knows", ""))
	module := buildtest.Filter(t, "headers", "").Module
	write(t, "test/e2e/knows_test.go", fmt.Sprintf(writeEnvironment, "e2e", checkFilters))
	write(t, ".gitignore", "/dist/\n")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-q", "-m", "first"}, {"tag", "v1.4.0"}} {
		git(t, args...)
	}
	filters, err := catalog.Load(catalog.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	module.Compiler.GoVersion = build.GoToolchain // the version that go.mod asks for
	made, err := build.ReadSources(t.Context(), filters, module.Compiler)
	if err != nil {
		t.Fatal(err)
	}
	module.Inputs = made[0].Inputs
	wasm, err := os.ReadFile(module.Path)
	record, err2 := json.Marshal(module.Record)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, opts build.Options) ([]build.Module, error) {
		if err := errors.Join(
			os.MkdirAll(opts.Dist, 0o755),
			os.WriteFile(filepath.Join(opts.Dist, "headers.wasm"), wasm, 0o600),
			os.WriteFile(filepath.Join(opts.Dist, "headers.json"), record, 0o600),
		); err != nil {
			return nil, err
		}
		return build.Load(opts.Dist, []string{"headers"})
	}
}

// prebuilt is the real Maker without its compiler.
type prebuilt struct {
	rel.Real
	build func(context.Context, build.Options) ([]build.Module, error)
}

func (m prebuilt) Build(ctx context.Context, opts build.Options) ([]build.Module, error) {
	return m.build(ctx, opts)
}

// TestReleaseKeepsSecrets releases with secrets in the environment. Some stores take
// the secrets; others refuse them and repeat them in the answer. The secrets appear
// neither in the output, in errors, in files, nor in the arguments of any process, and
// the tests do not get them.
func TestReleaseKeepsSecrets(t *testing.T) {
	builder := secretProject(t)
	for name, secret := range canaries {
		t.Setenv(name, secret)
	}
	registry := startRegistry(t)
	folder := t.TempDir()
	store, err := httpstore.Serve(httpstore.ServeOptions{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	closed := httptest.NewServer(passwordProtected(&url.URL{Scheme: "http", Host: registry}))
	t.Cleanup(closed.Close)
	parrot := httptest.NewServer(http.HandlerFunc(repeatSecrets))
	t.Cleanup(parrot.Close)
	protected, repeats := strings.TrimPrefix(closed.URL, "http://"), strings.TrimPrefix(parrot.URL, "http://")

	for _, test := range []struct {
		name      string
		variables map[string]string
		wantErr   string
	}{
		{"storage that repeats them", map[string]string{"STORAGE_URL": parrot.URL}, "step check: "},
		{"registry that repeats them", map[string]string{"REGISTRY": repeats + "/acme"}, "step check: "},
		{"registry's address with a password", map[string]string{"REGISTRY": "user:" + canaries["REGISTRY_PASSWORD"] + "@" + protected + "/acme"}, "write a host and the path"},
		{"storage's address with a password", map[string]string{"STORAGE_URL": "https://user:" + canaries["STORAGE_PASSWORD"] + "@127.0.0.1:1/filters"}, "storage"},
		{"both take them", map[string]string{
			"REGISTRY": protected + "/acme", "STORAGE_URL": "file://" + folder, "STORAGE_PUBLIC_URL": strings.TrimSuffix(store.URL(""), "/"),
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.variables {
				t.Setenv(name, value)
			}
			c, err := variables.FromEnv()
			if err != nil {
				t.Fatal(err)
			}
			c.TransferTimeout = 0
			var out bytes.Buffer
			output := Output{Out: &out, Err: &out}
			recorded, watched := recordArguments(t), watchArguments()
			options, err := releaseOptions(c, "1.4.0", releaseChoices{Suite: gotest.Options{RefuseSkips: true}}, output)
			if err == nil {
				options.Maker = prebuilt{build: builder}
				_, err = rel.Release(t.Context(), options)
			}
			arguments := append(watched(), recorded())
			if test.wantErr == "" && !strings.Contains(recorded(), "rev-parse --verify") {
				t.Errorf("the arguments were not recorded: %s", recorded())
			}
			if test.wantErr == "" && err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("error %v, want %q", err, test.wantErr)
			}
			for what, text := range map[string]string{"output": out.String(), "error": fmt.Sprint(err), "arguments": strings.Join(arguments, "\n")} {
				if found := leaks(text); len(found) > 0 {
					t.Errorf("the %s has %v:\n%s", what, found, text)
				}
			}
			for file, text := range filesIn(t, "dist") {
				if found := leaks(text); len(found) > 0 {
					t.Errorf("%s has %v", file, found)
				}
			}
		})
	}
	for _, tests := range []string{"knows", "e2e"} {
		environment, err := os.ReadFile(filepath.Join("dist", tests+".environment"))
		if err != nil || !bytes.Contains(environment, []byte("SLIPWAY_DIST=")) {
			t.Fatalf("%s did not say what it knows: %v\n%s", tests, err, environment)
		}
		if bytes.Contains(environment, []byte("REGISTRY=")) || bytes.Contains(environment, []byte("canary")) || !bytes.Contains(environment, []byte("HOME=")) {
			t.Errorf("%s knows where to publish:\n%s", tests, environment)
		}
	}
}

// passwordProtected passes on only requests that have the password.
func passwordProtected(server *url.URL) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(server)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != canaries["REGISTRY_USERNAME"] || password != canaries["REGISTRY_PASSWORD"] {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// repeatSecrets is a server that refuses everything, and repeats what it was sent, both
// decoded and not.
func repeatSecrets(w http.ResponseWriter, r *http.Request) {
	user, password, ok := r.BasicAuth()
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	text := fmt.Sprintf("%s %s:%s %s", r.Header.Get("Authorization"), user, password, url.QueryEscape(password))
	w.Header().Set("X-Reason", text)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, `{"errors": [{"code": "DENIED", "message": %q}]}`, text)
}

// recordArguments puts scripts before the programs that a release runs. Each writes
// down its arguments and then runs the program. arguments reads them.
func recordArguments(t *testing.T) (arguments func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "arguments")
	for _, program := range []string{"git", "go"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$*\" >> '%s'\nexec '%s' \"$@\"\n", log, path)
		if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return func() string {
		data, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return string(data)
	}
}

// watchArguments watches the arguments of this process' descendants until arguments is
// called. It misses processes that are too short, and sees none without /proc.
func watchArguments() (arguments func() []string) {
	stop := make(chan struct{})
	seen := map[string]bool{}
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			for _, pid := range descendants() {
				if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
					seen[strings.ReplaceAll(string(line), "\x00", " ")] = true
				}
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	return func() []string {
		close(stop)
		done.Wait()
		var all []string
		for line := range seen {
			all = append(all, line)
		}
		return all
	}
}

// descendants returns the children of this process, their children, and so on.
func descendants() []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may contain any characters.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	all := slices.Clone(children[os.Getpid()])
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
