package storage

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// start runs a program until the test ends, and waits until it listens on addr. Its
// output is shown if the test fails.
func start(t *testing.T, addr string, cmd *exec.Cmd) {
	t.Helper()
	var output lockedBuffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// The kernel ends the program, and the program its workers, if this process is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ended error
	end := make(chan struct{})
	go func() {
		defer close(end)
		ended = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-end:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-end
		}
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), output.tail())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-end:
			t.Fatalf("%s ended: %v\n%s", cmd.Path, ended, output.tail())
		case <-ctx.Done():
			t.Fatalf("%s does not listen on %s: %v\n%s", cmd.Path, addr, err, output.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

type lockedBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *lockedBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.data.Bytes())
}

func (b *lockedBuffer) tail() string {
	text := string(b.bytes())
	return text[max(0, len(text)-4000):]
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// building keeps the go command to one build at a time, as its cache does for the
// tests that come after the first.
var building sync.Mutex

// goTool builds a tool of the module in dir, unless the build cache has it, and
// returns the program's path.
func goTool(t *testing.T, dir, name string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-n", name)
	cmd.Dir = dir
	var problem bytes.Buffer
	cmd.Stderr = &problem
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("build %s in %s: %v\n%s", name, dir, err, problem.String())
	}
	return strings.TrimSpace(string(path))
}

// program finds a program that is no Go tool.
func program(t *testing.T, name, howTo string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		t.Skipf("%s is not installed; %s", name, howTo)
	}
	return path
}

// writeFile writes a configuration.
func writeFile(t *testing.T, dir, name, format string, args ...any) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
