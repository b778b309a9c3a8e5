// Package distributiontest runs the CNCF's distribution registry as a process, for
// tests. Most self-hosted registries are based on it. Everything about it is real,
// passwords included.
package distributiontest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// Username and Password are accepted by a registry with Options.Auth.
const (
	Username = "publisher"
	Password = "correct-horse-battery-staple"
	// passwordHash is Password as "htpasswd -B -C 4" writes it.
	passwordHash = "$2a$04$rm0JEqrb5N5KjYrcPAGck.QjZJjI8XPldjg0YuKwqasnXI3CPoUB6"
)

// Options says how a registry runs.
type Options struct {
	// Auth asks every client for Username and Password.
	Auth bool
}

// Start runs a registry until the test ends and returns its host and port. The first
// call of a test binary builds it, which takes a minute or two if none of its packages
// are in Go's build cache.
func Start(t testing.TB, opts Options) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatalf("build the distribution registry: %v", err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(config, []byte(configuration(t, dir, opts)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	log := &log{address: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the distribution registry: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("the end of the distribution registry's log:\n%s", log.String())
		}
	})
	select {
	case address := <-log.address:
		return address
	case <-time.After(time.Minute):
		t.Fatalf("the distribution registry does not listen after a minute; its log:\n%s", log.String())
		return ""
	}
}

// configuration of a registry, as
// https://distribution.github.io/distribution/about/configuration/ describes it.
func configuration(t testing.TB, dir string, opts Options) string {
	t.Helper()
	config := fmt.Sprintf(`version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http: {addr: "127.0.0.1:0"}
`, filepath.Join(dir, "data"))
	if !opts.Auth {
		return config
	}
	passwords := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(passwords, []byte(Username+":"+passwordHash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config + fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", passwords)
}

// build returns the registry's binary, for all tests of a process.
var build = sync.OnceValues(func() (string, error) {
	_, self, _, _ := runtime.Caller(0)
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "slipway", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Tests of several packages run at once, and one of them builds for all.
	lock := flock.New(filepath.Join(dir, "distribution-registry.lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer func() { _ = lock.Unlock() }()
	binary := filepath.Join(dir, "distribution-registry")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-o", binary, ".")
	cmd.Dir = filepath.Join(filepath.Dir(self), "..", "..", "..", "test", "stores", "registry")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
})

// log keeps the registry's output and finds the address in it.
type log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	found   bool
	address chan string
}

var listening = regexp.MustCompile(`listening on ([0-9.]+:[0-9]+)`)

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(p)
	if l.found {
		return n, err
	}
	if match := listening.FindSubmatch(l.text.Bytes()); match != nil {
		l.found = true
		l.address <- string(match[1])
	}
	return n, err
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.text.String())
	return text[max(0, len(text)-4000):]
}
