package targets

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/verify"
)

// project changes to a checkout with two built filters. No compiler made their modules;
// everything else is as a build leaves it.
func project(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("DOCKER_CONFIG", dir)
	write(t, "go.mod", "module example.com/filters\n\ngo 1.22\n")
	write(t, "go.sum", "")
	for _, name := range []string{"authtoken", "headers"} {
		write(t, filepath.Join("filter", name, "main.go"), "package main\n")
		write(t, filepath.Join("filter", name, "filter.yaml"), "title: T\ndescription: D.\nlicense: Apache-2.0\n")
	}
	write(t, ".gitignore", "dist/\n*_ignored.go\n")
	writeBuilt(t, wasmtest.Filter())
	git(t, "init", "-q")
	git(t, "add", ".")
	git(t, "commit", "-q", "-m", "first")
}

// startRegistry starts an empty registry, and returns its address.
func startRegistry(t *testing.T) string {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server.Addr()
}

// writeBuilt writes to dist what a build of all filters would leave, with such modules.
func writeBuilt(t *testing.T, options wasmtest.Options) {
	t.Helper()
	filters, err := catalog.Load(catalog.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	toolchain := build.Toolchain{Name: build.TinyGo, Version: "0.41.1", GoVersion: build.GoToolchain, BuildTags: []string{"tinygo"}}
	sources, err := build.ReadSources(t.Context(), filters, toolchain)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range filters {
		options := options
		options.Custom += f.Name
		wasm := wasmtest.Encode(options)
		record := build.Record{
			RecordVersion: build.RecordVersion,
			Name:          f.Name,
			WasmSHA256:    checksum.Bytes(wasm),
			Size:          int64(len(wasm)),
			Compiler:      toolchain,
			Inputs:        sources[i].Inputs,
		}
		data, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join("dist", f.Name+".wasm"), string(wasm))
		write(t, filepath.Join("dist", f.Name+".json"), string(data))
	}
}

func git(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a target and returns what it printed as its result.
func run(t *testing.T, target func(Output) error) string {
	t.Helper()
	var out, log bytes.Buffer
	if err := target(Output{Out: &out, Err: &log}); err != nil {
		t.Fatalf("%v\n%s%s", err, log.String(), out.String())
	}
	return out.String()
}

func runJSON[T any](t *testing.T, target func(Output) error) T {
	t.Helper()
	var value T
	out := run(t, func(o Output) error { o.JSON = true; return target(o) })
	if err := json.Unmarshal([]byte(out), &value); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return value
}

// TestTargetsWithoutARegistry runs every target right after a clone, without
// configuration. Each target starts and ends an embedded registry of its own.
func TestTargetsWithoutARegistry(t *testing.T) {
	project(t)
	ctx, c := t.Context(), variables.Values{Shapes: []string{"artifact", "compat"}}
	first := runJSON[[]oci.Published](t, func(o Output) error { return push(ctx, c, "1.4.0", o) })
	if len(first) != 4 || first[0].Filter != "authtoken" || first[0].Unchanged || first[3].Tag != "compat-1.4.0" {
		t.Errorf("push: %+v", first)
	}
	again := run(t, func(o Output) error { return push(ctx, c, "1.4.0", o) })
	if strings.Count(again, "was there already") != 4 || !strings.Contains(again, "go tool mage registry") {
		t.Errorf("push again:\n%s", again)
	}
	if list := run(t, func(o Output) error { return listVersions(ctx, c, o) }); strings.Count(list, "1.4.0") != 4 {
		t.Errorf("list:\n%s", list)
	}
	if sbom := run(t, func(o Output) error { return attachSBOMs(ctx, c, "1.4.0", o) }); strings.Count(sbom, "attached ") != 4 {
		t.Errorf("sbom:\n%s", sbom)
	}
	write(t, "report.xml", "<?xml version=\"1.0\"?><testsuites/>")
	run(t, func(o Output) error { return attachFile(ctx, c, "headers:1.4.0", "test-report", "report.xml", o) })
	tree := run(t, func(o Output) error { return listReferrers(ctx, c, "headers:latest", o) })
	if !strings.Contains(tree, oci.TypeSBOM) || !strings.Contains(tree, oci.TypeTestReport+" report.xml") {
		t.Errorf("referrers:\n%s", tree)
	}
	if verified := run(t, func(o Output) error { return verifyPublished(ctx, c, "1.4.0", false, o) }); strings.Count(verified, ": ok\n") != 4 {
		t.Errorf("verify:\n%s", verified)
	}
	one := runJSON[verify.Report](t, func(o Output) error { return verifyPublished(ctx, c, "headers@"+first[2].ManifestDigest, false, o) })
	if m := one.Manifests; len(m) != 1 || m[0].WasmSHA256 != first[2].WasmSHA256 || len(m[0].Problems) > 0 {
		t.Errorf("verify by digest: %+v", one)
	}
	run(t, func(o Output) error { return pull(ctx, c, "headers:compat-1.4.0", "pulled.wasm", o) })
	pulled, err := os.ReadFile("pulled.wasm")
	built, err2 := os.ReadFile("dist/headers.wasm")
	if errors.Join(err, err2) != nil || !bytes.Equal(pulled, built) {
		t.Errorf("pulled %d bytes of %d; %v, %v", len(pulled), len(built), err, err2)
	}
}

// TestPullToStandardOutput: only the module is written to standard output.
func TestPullToStandardOutput(t *testing.T) {
	project(t)
	c := variables.Values{Filters: []string{"headers"}}
	run(t, func(o Output) error { return push(t.Context(), c, "1.4.0", o) })
	for _, json := range []bool{false, true} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan []byte)
		go func() {
			content, _ := io.ReadAll(reader)
			read <- content
		}()
		var log bytes.Buffer
		err = pull(t.Context(), c, "headers:1.4.0", fmt.Sprintf("/dev/fd/%d", writer.Fd()), Output{Out: writer, Err: &log, JSON: json})
		if err = errors.Join(err, writer.Close()); err != nil {
			t.Fatal(err)
		}
		got := <-read
		if built, err := os.ReadFile("dist/headers.wasm"); err != nil || !bytes.Equal(got, built) {
			t.Errorf("JSON %t: %d bytes of %d, %v", json, len(got), len(built), err)
		}
		if !strings.Contains(log.String(), "sha256:") {
			t.Errorf("JSON %t: it says %q", json, log.String())
		}
	}
}

func TestTargetsRefuse(t *testing.T) {
	project(t)
	const secret = "s3cret-t0ken"
	ctx := t.Context()
	server := startRegistry(t)
	configured := variables.Values{Registry: server + "/acme", RegistryUsername: "me", RegistryPassword: secret}
	with := func(change func(*variables.Values)) variables.Values {
		c := configured
		change(&c)
		return c
	}
	changed := func(o Output) error {
		write(t, "dist/headers.wasm", "\x00asm\x01\x00\x00\x00")
		return push(ctx, configured, "1.0.0", o)
	}
	for _, c := range []struct {
		name   string
		target func(Output) error
		want   string
	}{
		{"version", func(o Output) error { return push(ctx, configured, "v1.0.0", o) }, "write it without the v"},
		{"shape", func(o Output) error {
			return push(ctx, with(func(c *variables.Values) { c.Shapes = []string{"round"} }), "1.0.0", o)
		}, `SHAPES: shape "round"`},
		{"filter", func(o Output) error {
			return push(ctx, with(func(c *variables.Values) { c.Filters = []string{"nope"} }), "1.0.0", o)
		}, `filter "nope"`},
		{"registry", func(o Output) error {
			return push(ctx, with(func(c *variables.Values) { c.Registry = "https://me:" + secret + "@ghcr.io" }), "1.0.0", o)
		}, "without scheme"},
		{"half of the credentials", func(o Output) error {
			return listVersions(ctx, with(func(c *variables.Values) { c.Registry, c.RegistryUsername = "127.0.0.1:1", "" }), o)
		}, "give the user name and the password of this registry, both; check REGISTRY_USERNAME"},
		{"deadline", func(o Output) error {
			return listVersions(ctx, with(func(c *variables.Values) { c.Registry, c.TransferTimeout = "127.0.0.1:1/x", 100*time.Millisecond }), o)
		}, "TRANSFER_TIMEOUT"},
		{"what to verify", func(o Output) error { return verifyPublished(ctx, configured, "headers", false, o) }, "or a reference, such as headers:1.4.0"},
		{"not published", func(o Output) error { return verifyPublished(ctx, configured, "9.9.9", false, o) }, "not found"},
		{"no such file", func(o Output) error { return attachFile(ctx, configured, "headers:1.0.0", "sbom", "missing", o) }, "missing"},
		{"changed module", changed, `; run "go tool mage build"`},
	} {
		var out, log bytes.Buffer
		err := advice.Add(c.target(Output{Out: &out, Err: &log}))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if all := fmt.Sprint(err, out.String(), log.String()); strings.Contains(all, secret) {
			t.Errorf("%s: the password is in %q", c.name, all)
		}
	}
	if err := os.RemoveAll("dist"); err != nil {
		t.Fatal(err)
	}
	if err := push(ctx, configured, "1.0.0", Output{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}); !errors.Is(err, build.ErrNotBuilt) {
		t.Errorf("no dist: %v", err)
	}
}

// TestPasswordStaysHome: the credentials of REGISTRY are not for a reference in
// another registry.
func TestPasswordStaysHome(t *testing.T) {
	t.Parallel()
	c := variables.Values{Registry: "ghcr.io/acme", RegistryUsername: "me"} // with only one of them, using them is an error
	if _, _, err := openRegistry(t.Context(), c, "ghcr.io/other/headers:1", Output{}); err == nil {
		t.Error("the credentials are not used for the same host")
	}
	if _, _, err := openRegistry(t.Context(), c, "quay.io/acme/headers:1", Output{}); err != nil {
		t.Errorf("the credentials are used for another host: %v", err)
	}
}

// TestPlainHTTPStaysHome: REGISTRY_PLAIN_HTTP is only for REGISTRY. Another registry is
// asked with TLS, so that a server without TLS learns nothing, not even docker's
// password for it.
func TestPlainHTTPStaysHome(t *testing.T) {
	var mu sync.Mutex
	var requests, passwords []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r.Method+" "+r.URL.Path)
		if password := r.Header.Get("Authorization"); password != "" {
			passwords = append(passwords, password)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	write(t, filepath.Join(dir, "config.json"), `{"auths": {"other.example:5000": {"username": "docker", "password": "s3cret"}}}`)
	// Both names lead to the server, because on loopback addresses TLS is not used
	// anyway.
	to := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	ask := func(c variables.Values, reference string) error {
		mu.Lock()
		requests, passwords = nil, nil
		mu.Unlock()
		r, _, err := openRegistryWith(t.Context(), c, reference, oci.RegistryOptions{Transport: to, Retry: retry.Policy{Tries: 1}})
		if err != nil {
			t.Fatal(err)
		}
		ref, err := r.ParseReference(reference)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.ReadModule(t.Context(), ref)
		return err
	}
	const reference = "other.example:5000/acme/headers:1.4.0"
	for _, registry := range []string{"", "own.example:5000/acme", "other.example/acme"} {
		c := variables.Values{Registry: registry, RegistryPlainHTTP: true, RegistryUsername: "me", RegistryPassword: "own-s3cret"}
		err := advice.Add(ask(c, reference))
		if len(requests)+len(passwords) > 0 {
			t.Errorf("REGISTRY=%s: the other registry saw %q %q", registry, requests, passwords)
		}
		if err == nil || !strings.Contains(err.Error(), "set REGISTRY to this registry and REGISTRY_PLAIN_HTTP=true") {
			t.Errorf("REGISTRY=%s: error %v", registry, err)
		}
	}
	// If REGISTRY is this server, plain HTTP is used, with the given password, or else
	// with docker's.
	for _, c := range []struct{ username, password, want string }{{"me", "own-s3cret", "me:own-s3cret"}, {"", "", "docker:s3cret"}} {
		if err := ask(variables.Values{Registry: "other.example:5000/acme", RegistryPlainHTTP: true, RegistryUsername: c.username, RegistryPassword: c.password}, reference); err == nil {
			t.Error("401 is no error")
		}
		if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.want)); !slices.Contains(passwords, want) {
			t.Errorf("with its own settings the registry saw %q %q, want %s", requests, passwords, want)
		}
	}
}

func TestServeRegistry(t *testing.T) {
	project(t)
	var out lines
	address := regexp.MustCompile(`REGISTRY=(\S+)`)
	var published []oci.Published
	ctx, done := out.until(t.Context(), func(line string) bool {
		match := address.FindStringSubmatch(line)
		if match == nil {
			return false
		}
		published = runJSON[[]oci.Published](t, func(o Output) error {
			return push(t.Context(), variables.Values{Registry: match[1]}, "1.0.0", o)
		})
		return true
	})
	defer done()
	if err := serveRegistry(ctx, "127.0.0.1:0", false, Output{Out: &out, Err: &out}); err != nil {
		t.Fatal(err)
	}
	if len(published) != 2 {
		t.Errorf("published %+v", published)
	}
	if list := run(t, func(o Output) error { return listVersions(t.Context(), variables.Values{}, o) }); strings.Count(list, "1.0.0") != 2 {
		t.Errorf("afterwards:\n%s", list)
	}
}

// TestServeRegistryToOthers: one line says who can do what.
func TestServeRegistryToOthers(t *testing.T) {
	project(t)
	for writable, want := range map[bool]string{
		false: "can read what is in it, and nobody can write (-writable would let everybody)",
		true:  "can read and overwrite what is in it: it has neither TLS nor a password",
	} {
		var out lines
		var said strings.Builder
		ctx, done := out.until(t.Context(), func(line string) bool {
			said.WriteString(line)
			return strings.Contains(line, "listens")
		})
		defer done()
		if err := serveRegistry(ctx, "0.0.0.0:0", writable, Output{Out: &out, Err: &out}); err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(said.String(), "\n"); !strings.HasPrefix(first, "warning: everybody who reaches ") || !strings.Contains(first, want) {
			t.Errorf("writable %t: it says %s", writable, said.String())
		}
	}
}

// TestLowestEnvoyTested: the annotation of every image names a version that the gate
// runs.
func TestLowestEnvoyTested(t *testing.T) {
	t.Parallel()
	gate, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`ENVOY_VERSIONS="?` + regexp.QuoteMeta(LowestEnvoyTested) + `[,"\s]`).Match(gate) {
		t.Errorf(".ci/run does not begin ENVOY_VERSIONS with %s", LowestEnvoyTested)
	}
}

// lines is an output that a test reacts to while it is written.
type lines struct {
	act func(line string)
}

func (l *lines) Write(p []byte) (int, error) {
	l.act(string(p))
	return len(p), nil
}

// until returns a context that ends when seen returns true for the text that was
// written.
func (l *lines) until(ctx context.Context, seen func(string) bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	l.act = func(line string) {
		if seen(line) {
			cancel()
		}
	}
	return ctx, cancel
}
