package stores

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/slipway-wasm/slipway/test/stores/server"
)

// start runs a program until the test ends, and waits until it listens on addr. Its
// output is shown if the test fails.
func start(t *testing.T, addr string, cmd *exec.Cmd) {
	t.Helper()
	process, err := server.Start(t.Context(), addr, cmd)
	running(t, process, err)
}

// running ends a server with the test, and returns its address. If its program is
// missing, the test is skipped.
func running(t *testing.T, process *server.Process, err error) string {
	t.Helper()
	if missing := new(server.Missing); errors.As(err, &missing) {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Stop()
		if t.Failed() {
			t.Log(process.Output())
		}
	})
	return process.Addr
}

// goTool builds a tool of the module in dir, unless the build cache has it, and
// returns the program's path.
func goTool(t *testing.T, dir, name string) string {
	t.Helper()
	path, err := server.GoTool(t.Context(), dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program finds a program that is no Go tool.
func program(t *testing.T, name, howTo string) string {
	t.Helper()
	path, err := server.Find(name, howTo)
	if err != nil {
		t.Skip(err)
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
