package importer

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

// This is how an author begins a filter in another repository. new writes one that
// builds, and whose tests pass on its source and as a module. dev and run start Envoy
// with it.
func TestAuthor(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	if printed := run(t, dir, "go", "tool", "mage", "new", "hello"); !strings.Contains(printed, "go tool mage dev hello") {
		t.Errorf("new prints\n%s", printed)
	}
	run(t, dir, "go", "tool", "mage", "build")
	run(t, dir, "go", "-C", "filter", "test", "-count=1", "./hello")
	run(t, dir, "go", "-C", "filter", "mod", "tidy", "-diff")
	if printed := run(t, dir, "go", "tool", "mage", "e2e", "-run=hello"); !strings.Contains(printed, "puts-header") || !strings.Contains(printed, "2 scenarios, 3 steps, 0 failed") {
		t.Errorf("e2e prints\n%s", printed)
	}
	expectAnother(t, dir)

	// One after the other: mage compiles the magefile in the same folder.
	for target, args := range map[string][]string{"dev": {"hello"}, "run": {"-filter=hello"}} {
		t.Run(target, func(t *testing.T) {
			address := envoytest.MustFreeAddress(t)
			args := append([]string{"tool", "mage", target}, args...)
			args = append(args, "-listener="+address, "-backend="+envoytest.MustFreeAddress(t), "-admin="+envoytest.MustFreeAddress(t))
			program := start(t, dir, args...)
			program.eventually(func() error { return greeted(address) })
			program.interrupt()
		})
	}
}

// expectAnother changes an expectation, which turns e2e red with the difference.
func expectAnother(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "filter", "hello", "scenarios", "puts-header.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "x-hello: hello world", "x-hello: another", 1))
	printed, err := command(t, dir, "go", "tool", "mage", "e2e", "-run=hello/puts").CombinedOutput()
	for _, want := range []string{`step "the client sees the header"`, `- "another"`, `+ "hello world"`, "1 scenarios, 1 steps, 1 failed", "curl: curl -i http://"} {
		if err == nil || !strings.Contains(string(printed), want) {
			t.Errorf("e2e ends with %v, and lacks %q:\n%s", err, want, printed)
		}
	}
	write(t, file, string(text))
}

// greeted says whether a request meets the filter.
func greeted(address string) error {
	response, err := http.Get("http://" + address + "/hello")
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if got := response.Header.Get("x-hello"); got != "hello world" {
		return fmt.Errorf("a request is answered with %s and x-hello %q", response.Status, got)
	}
	return nil
}

// program is a target that runs until it is interrupted.
type program struct {
	*testing.T
	cmd     *exec.Cmd
	out     envoytest.Output
	running context.Context
	wait    func() error
}

func start(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	p := &program{T: t, cmd: command(t, dir, "go", args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	// A group of its own, which gets Ctrl-C as from a terminal.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.running, p.wait = envoytest.Go(p.cmd.Wait)
	return p
}

// eventually waits until see returns nil.
func (p *program) eventually(see func() error) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.running, 5*time.Minute) // for Envoy's first download, and V8 on a busy machine
	defer cancel()
	if err := envoytest.Until(ctx, see); err != nil {
		if out := p.out.String(); p.running.Err() != nil && strings.Contains(out, "no Envoy found") {
			p.Skipf("needs an Envoy: go online, or set ENVOY_PATH:\n%s", out)
		}
		p.Fatalf("%v\n%s", err, &p.out)
	}
}

// interrupt sends Ctrl-C's signal and waits for the end, which must be without an
// error.
func (p *program) interrupt() {
	p.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		p.Fatal(err)
	}
	select {
	case <-p.running.Done():
		if err := p.wait(); err != nil {
			p.Errorf("interrupted, it ends with %v\n%s", err, p.out.String())
		}
	case <-time.After(time.Minute):
		p.Fatalf("interrupted, it does not end\n%s", p.out.String())
	}
}
