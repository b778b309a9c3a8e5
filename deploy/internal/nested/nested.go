// Package nested runs the programs that are modules of their own below Slipway's,
// because of what they link.
package nested

import (
	"context"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
)

// slipway is the module that the programs' modules are below.
const slipway = "github.com/slipway-wasm/slipway"

// Root is the folder of Slipway's source, which this was compiled from; the working
// directory may be another repository's. It need not exist any more.
func Root() string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "..", "..", "..")
}

// Command is how to run the program in a package of a module below Slipway's, such
// as "." in "deploy/manifest/render". Where the source is a module's archive, which
// does not carry the modules below it, the program is the tool that the go.mod in
// the working directory names.
func Command(ctx context.Context, module, pkg string) *exec.Cmd {
	dir := filepath.Join(Root(), filepath.FromSlash(module))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return exec.CommandContext(ctx, "go", "run", path.Join(slipway, module, pkg))
	}
	cmd := exec.CommandContext(ctx, "go", "run", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}
