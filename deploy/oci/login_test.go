package oci

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// TestLogin finds the credentials, or says where they are missing, whatever the machine is like.
func TestLogin(t *testing.T) {
	open := faultproxytest.Rule{Match: "^NEVER$"}
	closed := faultproxytest.Rule{Fault: faultproxytest.Challenges("ann", "secret", `Basic realm="acme"`)}
	for _, c := range []struct {
		name   string
		rule   faultproxytest.Rule
		config string            // docker's config.json; %s is the registry
		files  map[string]string // programs
		env    map[string]string
		err    string // empty: it works
	}{
		{name: "no home, and nobody asks", rule: open, env: map[string]string{"HOME": "", "DOCKER_CONFIG": ""}},
		{name: "no home, and somebody asks", rule: closed, env: map[string]string{"HOME": "", "DOCKER_CONFIG": ""}, err: "credentials are missing, and the docker credential store cannot be found without a home folder: $HOME is not defined"},
		{name: "a helper", rule: closed, config: `{"credHelpers": {"%s": "answers"}}`, files: map[string]string{"docker-credential-answers": `echo '{"Username": "ann", "Secret": "secret"}'`}},
		{name: "a helper that hangs", rule: closed, config: `{"credHelpers": {"%s": "hangs"}}`, files: map[string]string{"docker-credential-hangs": "sleep 3"}, err: "docker-credential-hangs does not say within 200ms how to log in to "},
		{name: "a helper that fails", rule: closed, config: `{"credHelpers": {"%s": "fails"}}`, files: map[string]string{"docker-credential-fails": "echo the keychain is locked; exit 1"}, err: "docker-credential-fails: the keychain is locked"},
		{name: "no such helper", rule: closed, config: `{"credHelpers": {"%s": "none"}}`, err: "docker-credential-none"},
		{name: "wrong credentials", rule: closed, config: `{"auths": {"%s": {"auth": "Ym9iOm9sZA=="}}}`, err: "docker login"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}), c.rule)
			t.Setenv("DOCKER_CONFIG", dir)
			if c.config != "" {
				writeFile(t, filepath.Join(dir, "config.json"), fmt.Sprintf(c.config, proxy.Addr))
			}
			for name, script := range c.files {
				writeFile(t, filepath.Join(dir, name), "#!/bin/sh\n"+script+"\n")
			}
			t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			r := openTest(t, proxy.Addr)
			r.helperTimeout = 200 * time.Millisecond
			if c.files != nil && c.err == "" {
				r.helperTimeout = helperTimeout
			}
			_, err := r.Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "")}, buildtest.Release("1.0.0")), PushOptions{})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// identityTokens takes an identity token, as "docker login" with an organization's account leaves
// one, and gives a bearer token for it.
func identityTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && r.Method == http.MethodPost && r.FormValue("grant_type") == "refresh_token" && r.FormValue("refresh_token") == "identity":
			fmt.Fprint(w, `{"access_token": "given"}`)
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("Authorization") == "Bearer given":
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// TestIdentityToken logs in with an identity token.
func TestIdentityToken(t *testing.T) {
	backend := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: startRegistry(t, embedded.Options{})})
	server := httptest.NewServer(identityTokens(backend))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	address := strings.TrimPrefix(server.URL, "http://")
	writeFile(t, filepath.Join(dir, "config.json"), fmt.Sprintf(`{"auths": {%q: {"identitytoken": "identity"}}}`, address))
	if _, err := openTest(t, address).Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "")}, buildtest.Release("1.0.0")), PushOptions{}); err != nil {
		t.Error(err)
	}
}

// TestAddresses: a registry may have an IPv6 literal and a long path. What it cannot have is
// refused before anything is done.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ghcr.io/Acme/filters":                     "its path has upper-case letters, which no registry takes; write it in lowercase",
		"https://ghcr.io/acme":                     "without scheme or tag",
		"ghcr.io/acme/filters:1.0.0":               "without scheme or tag",
		"[::1]:5000/acme/filters":                  "",
		"acme.jfrog.io/docker-local/team/filters/": "",
	} {
		_, err := Open(RegistryOptions{Address: address})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", address, err, want)
		}
	}
	for name, opts := range map[string]RegistryOptions{
		"password": {Address: "ghcr.io/acme", Username: "ann", Password: "secret\n"},
		"user":     {Address: "ghcr.io/acme", Username: "ann\r\n", Password: "secret"},
	} {
		if _, err := Open(opts); !errors.Is(err, ErrWrongCredentials) || !strings.Contains(err.Error(), "ends with a line break") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestIPv6 pushes to a registry with an IPv6 literal.
func TestIPv6(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6 loopback address, and the test needs one: %v", err)
	}
	backend := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: startRegistry(t, embedded.Options{})})
	server := httptest.NewUnstartedServer(backend)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	r := openWith(t, RegistryOptions{Address: listener.Addr().String() + "/a/registry/below/a/path"})
	filter := buildtest.Filter(t, "headers", "")
	published := push(t, r, "1.0.0", filter)
	if _, err := r.AttachSBOMs(t.Context(), buildtest.Release("1.0.0", filter)); err != nil {
		t.Error(err)
	}
	if _, err := r.VerifyVersion(t.Context(), "headers", version.MustParse("1.0.0")); err != nil {
		t.Error(err)
	}
	ref, err := r.ParseReference(published[0].Reference())
	if err != nil || ref.Digest != published[0].ManifestDigest {
		t.Errorf("%s is read as %+v, %v", published[0].Reference(), ref, err)
	}
}
