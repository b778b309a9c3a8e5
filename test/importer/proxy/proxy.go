// Package proxy gives the working tree to the go command as published modules, so that a
// repository in a test can require Slipway as every other repository does.
package proxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	modversion "golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/slipway-wasm/slipway/deploy/gotest"
)

// slipway is the path of Slipway's module. Those of its other modules begin with it.
const slipway = "github.com/slipway-wasm/slipway"

// Released is what the module proxy has.
type Released struct {
	// Version is that of each module. It changes with the files, because the go command's
	// cache keeps a version for ever.
	Version string
	// Environment makes the go command ask that proxy first.
	Environment []string
}

// Run publishes the modules of the working tree in the folder root as files of a module
// proxy, runs the tests, and removes what the go command has cached of them. It returns
// the code of run.
//
// Reference: https://go.dev/ref/mod#goproxy-protocol
func Run(root string, run func(Released) int) (code int, err error) {
	dir, err := os.MkdirTemp("", "slipway-proxy-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if root, err = filepath.Abs(root); err != nil {
		return 0, err
	}
	files, err := Files(root)
	if err != nil {
		return 0, err
	}
	sum, err := sumOf(root, files)
	if err != nil {
		return 0, err
	}
	var released Released
	released.Version = fmt.Sprintf("v0.0.0-test.h%x", sum[:8])
	modules, err := gotest.Modules(root)
	if err != nil {
		return 0, err
	}
	for _, module := range modules {
		if !strings.HasPrefix(module, "test") {
			if err := publish(dir, root, module, released.Version, files); err != nil {
				return 0, fmt.Errorf("publish module %s: %w", module, err)
			}
		}
	}
	ordinary, err := exec.CommandContext(context.Background(), "go", "env", "GOPROXY").Output()
	if err != nil {
		return 0, err
	}
	released.Environment = []string{
		"GOPROXY=file://" + filepath.ToSlash(dir) + "," + strings.TrimSpace(string(ordinary)),
		"GONOSUMDB=" + slipway, // nobody else has these versions
	}
	defer func() { err = errors.Join(err, forget(released.Version)) }()
	return run(released), nil
}

// Files lists the files that git has in a working tree or would add, sorted.
func Files(root string) ([]string, error) {
	cmd := exec.CommandContext(context.Background(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	files := strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	slices.Sort(files)
	return slices.DeleteFunc(slices.Compact(files), func(name string) bool {
		info, err := os.Lstat(filepath.Join(root, name))
		return err != nil || !info.Mode().IsRegular() // removed, but not in the index
	}), nil
}

// sumOf returns the sum of the files' names and content.
func sumOf(root string, files []string) ([]byte, error) {
	hash := sha256.New()
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(hash, "%s %x\n", name, sha256.Sum256(content))
	}
	return hash.Sum(nil), nil
}

// publish writes one module into the proxy's folder. As for the public proxy, what is in the
// modules below it is left out.
func publish(proxy, root, module, version string, files []string) error {
	name := path.Join(slipway, filepath.ToSlash(module))
	versions := filepath.Join(proxy, filepath.FromSlash(name), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	base := filepath.Join(versions, version)
	info := fmt.Sprintf(`{"Version": %q, "Time": "2026-01-01T00:00:00Z"}`, version)
	if err := os.WriteFile(base+".info", []byte(info), 0o644); err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(root, module, "go.mod"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".mod", mod, 0o644); err != nil {
		return err
	}
	archive, err := os.Create(base + ".zip")
	if err != nil {
		return err
	}
	var contained []zip.File
	for _, file := range files {
		if inModule, err := filepath.Rel(module, filepath.FromSlash(file)); err == nil && filepath.IsLocal(inModule) {
			contained = append(contained, treeFile{filepath.Join(root, file), filepath.ToSlash(inModule)})
		}
	}
	err = zip.Create(archive, modversion.Version{Path: name, Version: version}, contained)
	return errors.Join(err, archive.Close())
}

// treeFile is a file of the working tree.
type treeFile struct{ file, inModule string }

func (f treeFile) Path() string                 { return f.inModule }
func (f treeFile) Lstat() (os.FileInfo, error)  { return os.Lstat(f.file) }
func (f treeFile) Open() (io.ReadCloser, error) { return os.Open(f.file) }

// forget removes a version from the go command's module cache, and what Slipway wrote for
// it, so that the caches do not grow with each run.
func forget(version string) error {
	cache, err := exec.CommandContext(context.Background(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	mine, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	modules := strings.TrimSpace(string(cache))
	var errs []error
	for _, pattern := range []string{
		filepath.Join(modules, slipway+"@"+version),
		filepath.Join(modules, slipway, "*@"+version),
		filepath.Join(modules, slipway, "*", "*@"+version),
		filepath.Join(modules, slipway, "*", "*", "*@"+version),
		filepath.Join(mine, "slipway", "modules", version+"-*"),
	} {
		found, err := filepath.Glob(pattern)
		errs = append(errs, err)
		for _, dir := range found {
			errs = append(errs, removeReadOnly(dir))
		}
	}
	downloads := filepath.Join(modules, "cache", "download", slipway)
	errs = append(errs, filepath.WalkDir(downloads, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasPrefix(entry.Name(), version+".") {
			err = os.Remove(name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}))
	return errors.Join(errs...)
}

// removeReadOnly removes a folder of the module cache, whose folders are read-only.
func removeReadOnly(dir string) error {
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(name, 0o755)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}
