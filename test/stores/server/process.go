// Package server starts stores as processes: web servers that take uploads, and an S3
// server. The tests beside it use it, and so do other modules, through the command in
// ../serve.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

// Process is a running server.
type Process struct {
	// Addr is where it listens, host and port.
	Addr string

	cmd    *exec.Cmd
	output envoytest.Output
	end    chan struct{}
	ended  error
}

// Missing says that a program is not installed.
type Missing struct {
	// Program is the missing program, and HowTo says how to get it, for people.
	Program, HowTo string
}

func (m *Missing) Error() string { return fmt.Sprintf("%s is not installed; %s", m.Program, m.HowTo) }

// Find returns the path of a program. It also looks in /usr/sbin. Its error is a
// *Missing.
func Find(name, howTo string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		return "", &Missing{Program: name, HowTo: howTo}
	}
	return path, nil
}

// Start starts a server and waits until it listens on addr. If this process is killed,
// the kernel ends the server.
func Start(ctx context.Context, addr string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Addr: addr, cmd: cmd, end: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // the server ends its workers
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.end)
		p.ended = cmd.Wait()
	}()
	if err := p.wait(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// wait waits until the server listens.
func (p *Process) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("gave up after a minute"))
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.end:
			return fmt.Errorf("%s ended: %w\n%s", p.cmd.Path, p.ended, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w: %w\n%s", p.cmd.Path, p.Addr, context.Cause(ctx), err, p.Output())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server, by force if it does not end by itself.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.end:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.end
	}
}

// Output returns the end of what the server printed, after its name.
func (p *Process) Output() string {
	text := p.output.String()
	return filepath.Base(p.cmd.Path) + ":\n" + text[max(0, len(text)-4000):]
}

// building limits the go command to one build at a time. Later builds then come from
// its cache.
var building sync.Mutex

// GoTool builds a tool of the module in dir, unless the build cache has it, and
// returns the program's path.
func GoTool(ctx context.Context, dir, name string) (string, error) {
	building.Lock()
	defer building.Unlock()
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", name)
	cmd.Dir = dir
	var problem bytes.Buffer
	cmd.Stderr = &problem
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s in %s: %w\n%s", name, dir, err, problem.String())
	}
	return string(bytes.TrimSpace(path)), nil
}
