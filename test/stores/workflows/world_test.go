package workflows

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/sigstore/virtual"
	"github.com/slipway-wasm/slipway/test/importer/proxy"
	"github.com/slipway-wasm/slipway/test/stores/server"
)

// The hosts that the machines of the jobs reach. They have a certificate that the machines
// trust.
const (
	ghcr            = "ghcr.io"
	otherRegistry   = "registry.acme.example"
	storageHost     = "files.acme.example"
	storageUsername = "uploader"
	storagePassword = "storage-s3cret"
	readerPassword  = "reader-s3cret" // of otherRegistry
)

const slipway = "slipway-wasm/slipway"

// world is GitHub, a registry, a storage and sigstore, with the machines that run jobs.
type world struct {
	t            *testing.T
	dir          string
	repositories map[string]string // their folders, by owner and name
	private      bool              // whether the stranger's repository is
	privateNew   bool              // whether only who logs in reads packages, as after the first push
	labels       []string          // of the machines
	machine      []string          // the environment of each
	path         string            // PATH in it
	signer       attest.Signer     // sigstore's addresses
	identity     []string          // what a job has more with id-token: write
	dispatched   map[string]any    // inputs of workflow_dispatch
	github       *api
	registry     http.Handler
	storage      string // the folder that it serves

	mutex   sync.Mutex
	grants  map[string]grant // by token
	current *exec.Cmd
	asked   func(*http.Request) // of each request to a registry
}

// grant is what a token allows.
type grant struct {
	repository  string
	permissions map[string]string
}

// base is the folder for all machines. It is always the same one, because Go's build
// cache knows packages by their folders.
var base string

// released is the working tree in a module proxy.
var released proxy.Released

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (code int, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return 0, err
	}
	base = filepath.Join(cache, "slipway", "workflows")
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return 0, err
	}
	lock := flock.New(base + ".lock") // another run of these tests
	if err := lock.Lock(); err != nil {
		return 0, err
	}
	if err := errors.Join(removeAll(base), os.Mkdir(base, 0o755)); err != nil { // what a killed run left
		return 0, err
	}
	defer func() { err = errors.Join(err, removeAll(base), lock.Unlock()) }()
	return proxy.Run("../../..", func(r proxy.Released) int {
		released = r
		return m.Run()
	})
}

// removeAll removes a folder in which folders may be read-only.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(name, 0o755)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}

func (w *world) workspace() string { return filepath.Join(base, "work") }
func (w *world) temp() string      { return filepath.Join(base, "temp") }

// newWorld starts the servers until the test ends.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), repositories: map[string]string{}, grants: map[string]grant{},
		labels:   []string{"ubuntu-24.04"},
		registry: registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))),
	}
	w.github = &api{world: w}
	gh, err := exec.LookPath("gh")
	if err != nil {
		t.Skip(`needs gh: "apt-get install gh" does that on Debian`)
	}

	nginx := filepath.Join(w.dir, "nginx")
	must(t, os.Mkdir(nginx, 0o755))
	store, err := server.Nginx(t.Context(), server.NginxOptions{Dir: nginx, Username: storageUsername, Password: storagePassword})
	if missing := (*server.Missing)(nil); errors.As(err, &missing) {
		t.Skipf("needs nginx: %v", err)
	}
	must(t, err)
	t.Cleanup(store.Stop)
	w.storage = filepath.Join(nginx, "root")
	address := &url.URL{Scheme: "http", Host: store.Addr}
	front := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address); r.Out.Host = r.In.Host }}

	hosts := map[string]http.Handler{
		ghcr: http.HandlerFunc(w.packages), otherRegistry: http.HandlerFunc(w.otherPackages), storageHost: front,
		"api.github.com": w.github, "uploads.github.com": w.github,
	}
	trusted := filepath.Join(w.dir, "trusted.pem")
	tlsServer := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		hosts[r.Host].ServeHTTP(rw, r)
	}))
	certificate, text := selfSigned(t, hosts)
	tlsServer.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that were killed
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	public, err := os.ReadFile(cmp.Or(os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"))
	must(t, err)
	must(t, os.WriteFile(trusted, append(public, text...), 0o644))
	tunnel := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		to := r.Host
		if _, ours := hosts[host]; ours {
			to = tlsServer.Listener.Addr().String()
		}
		connect(rw, r, to)
	}))
	t.Cleanup(tunnel.Close)

	vouched := virtual.StartFor(t, virtual.Job{
		WorkflowRef: slipway + "/.github/workflows/filters.yml@refs/tags/v1.4.0", Repository: "https://github.com/" + stranger,
	})
	w.signer = vouched.Signer
	for _, name := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		w.identity = append(w.identity, name+"="+os.Getenv(name))
	}
	bin := filepath.Join(w.dir, "bin")
	must(t, os.Mkdir(bin, 0o755))
	must(t, os.Symlink(gh, filepath.Join(bin, "gh")))
	cache, err := os.UserCacheDir()
	must(t, err)
	goEnv, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPATH").Output()
	must(t, err)
	caches := strings.Split(strings.TrimSpace(string(goEnv)), "\n")
	w.path = bin + ":" + os.Getenv("PATH")
	home := filepath.Join(w.dir, "home")
	must(t, os.Mkdir(home, 0o755))
	w.machine = append([]string{
		"PATH=" + w.path, "HOME=" + home, "TMPDIR=" + os.TempDir(), "CI=true", "GITHUB_ACTIONS=true", "USER=runner",
		"XDG_CACHE_HOME=" + cache, "GOCACHE=" + caches[0], "GOMODCACHE=" + caches[1], "GOPATH=" + caches[2],
		"SSL_CERT_FILE=" + trusted, "HTTPS_PROXY=" + tunnel.URL,
		"ENVOY_PATH=" + os.Getenv("ENVOY_PATH"),
	}, released.Environment...)
	return w
}

// selfSigned makes a certificate for all hosts.
func selfSigned(t *testing.T, hosts map[string]http.Handler) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "workflows"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for host := range hosts {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// connect is the proxy of the machines: it connects a client that asks for a host with an
// address.
func connect(rw http.ResponseWriter, r *http.Request, address string) {
	if r.Method != http.MethodConnect {
		http.Error(rw, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", address)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = far.Close() }()
	near, buffered, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = near.Close() }()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(far, buffered)
		_ = far.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(near, far)
}

// grant makes a job's token, which is worth nothing after end.
func (w *world) grant(repository string, permissions map[string]string) (token string, end func()) {
	token = "ghs_" + rand.Text()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.grants[token] = grant{repository, maps.Clone(permissions)}
	return token, func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		delete(w.grants, token)
	}
}

func (w *world) granted(token string) (grant, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	g, ok := w.grants[token]
	return g, ok
}

// start runs a step's command to its end, unless killed ends it.
func (w *world) start(cmd *exec.Cmd) error {
	w.mutex.Lock()
	err := cmd.Start()
	w.current = cmd
	w.mutex.Unlock()
	if err != nil {
		return err
	}
	err = cmd.Wait()
	w.mutex.Lock()
	w.current = nil
	w.mutex.Unlock()
	return err
}

// kill ends the running step with SIGKILL.
func (w *world) kill() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.current != nil {
		_ = syscall.Kill(-w.current.Process.Pid, syscall.SIGKILL)
	}
}

// packageName is an OCI repository's name.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
var packageName = regexp.MustCompile(`^/v2/([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)/(manifests|blobs|tags|referrers)/`)

// packages is GHCR's door: a job's token writes the packages of its repository's owner
// with packages: write, and reads those that are not public with packages: read.
func (w *world) packages(rw http.ResponseWriter, r *http.Request) {
	w.mutex.Lock()
	asked := w.asked
	w.mutex.Unlock()
	if asked != nil {
		asked(r)
	}
	_, password, given := r.BasicAuth()
	g, ok := w.granted(password)
	switch owner, name := strings.ToLower(filepath.Dir(g.repository)), packageName.FindStringSubmatch(r.URL.Path); {
	case given && !ok:
		refuse(rw, http.StatusForbidden, "DENIED", "denied: the token is not valid")
	case r.URL.Path == "/v2/":
		rw.WriteHeader(http.StatusOK)
	case name == nil:
		refuse(rw, http.StatusBadRequest, "NAME_INVALID", "invalid repository name")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		if w.privateNew && levels[g.permissions["packages"]] < 1 {
			unauthorized(rw)
			return
		}
		w.registry.ServeHTTP(rw, r)
	case !given:
		unauthorized(rw)
	case levels[g.permissions["packages"]] < 2 || !strings.HasPrefix(name[1], owner+"/"):
		refuse(rw, http.StatusForbidden, "DENIED", "permission_denied: write_package")
	default:
		w.registry.ServeHTTP(rw, r)
	}
}

// otherPackages is a registry that asks everybody for its own password.
func (w *world) otherPackages(rw http.ResponseWriter, r *http.Request) {
	if username, password, ok := r.BasicAuth(); !ok || username != "reader" || password != readerPassword {
		unauthorized(rw)
		return
	}
	w.registry.ServeHTTP(rw, r)
}

func unauthorized(rw http.ResponseWriter) {
	rw.Header().Set("WWW-Authenticate", `Basic realm="packages"`)
	refuse(rw, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
}

func refuse(rw http.ResponseWriter, status int, code, message string) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	fmt.Fprintf(rw, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

// publishSlipway makes Slipway's repository from the working tree, with the tag v1.4.0.
// change changes its workflows.
func (w *world) publishSlipway(change func(name, text string) string) {
	w.t.Helper()
	dir := filepath.Join(w.dir, "slipway")
	files, err := proxy.Files("../../..")
	must(w.t, err)
	for _, name := range files {
		from, to := filepath.Join("../../..", name), filepath.Join(dir, name)
		content, err := os.ReadFile(from)
		must(w.t, err)
		if change != nil && filepath.Dir(name) == ".github/workflows" {
			content = []byte(change(filepath.Base(name), string(content)))
		}
		info, err := os.Stat(from)
		must(w.t, err)
		must(w.t, os.MkdirAll(filepath.Dir(to), 0o755))
		must(w.t, os.WriteFile(to, content, info.Mode().Perm()))
	}
	w.commit(slipway, dir, "v1.4.0")
}

// commit makes a commit of a folder, with a tag, and returns it. A second one adds to the
// first.
func (w *world) commit(repository, dir, tag string) (sha string) {
	w.t.Helper()
	if _, there := w.repositories[repository]; !there {
		w.git(dir, "init", "--quiet", "--initial-branch=main")
		w.git(dir, "config", "uploadpack.allowAnySHA1InWant", "true")
		w.git(dir, "config", "core.autocrlf", "false")
		w.repositories[repository] = dir
	}
	w.git(dir, "add", "--all", "--force")
	w.git(dir, "commit", "--quiet", "--allow-empty", "--message", "Commit")
	w.git(dir, "tag", "--force", tag)
	return w.git(dir, "rev-parse", "HEAD")
}

// git runs git with the same dates each time, so that the same files make the same commit.
func (w *world) git(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=octocat", "GIT_AUTHOR_EMAIL=octocat@example.com", "GIT_COMMITTER_NAME=octocat", "GIT_COMMITTER_EMAIL=octocat@example.com",
		"GIT_AUTHOR_DATE=2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE=2026-01-01T00:00:00Z")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("git %v: %v: %s", args, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// pushed runs the workflow release.yml of a repository after a push of a tag.
func (w *world) pushed(ctx context.Context, repository, tag string, change func(*run)) (*run, error) {
	w.t.Helper()
	dir := w.repositories[repository]
	r := &run{
		world: w, repository: repository, sha: w.git(dir, "rev-parse", tag+"^{commit}"), event: "push", ref: "refs/tags/" + tag, name: "release.yml",
		secrets: map[string]any{}, vars: map[string]any{}, artifacts: w.t.TempDir(), ended: map[string]ended{}, before: map[string]func(){},
	}
	if change != nil {
		change(r)
	}
	if r.event == "push" {
		f, err := r.own()
		if err != nil {
			return r, err
		}
		if !f.triggered(tag) {
			return r, errNotStarted
		}
	}
	return r, r.play(ctx)
}

// errNotStarted says that an event starts no workflow.
var errNotStarted = errors.New("nothing starts")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
