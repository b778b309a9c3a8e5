package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
)

// What can be wrong with a request for a release.
var (
	// ErrNoTag says that the release has no git tag.
	ErrNoTag = errors.New("no git tag")
	// ErrNotPinned says that a module was built with a TinyGo that is neither the
	// pinned one nor Options.TinyGoVersion.
	ErrNotPinned = errors.New("not the pinned")
	// ErrShapes says that Options.Shapes does not contain oci.Artifact.
	ErrShapes = errors.New("missing, and rendered manifests refer to it")
)

// check finds every error that can be found before any work is done.
func (r *run) check(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if r.git, err = gitinfo.Read(ctx, ""); err != nil {
		return "", false, err
	}
	if r.git.Dirty {
		files, err := gitinfo.Git(ctx, gitinfo.GitOptions{}, "status", "--short", "--untracked-files=normal")
		if err != nil {
			return "", false, err
		}
		return "", false, fmt.Errorf("files differ from commit %s, and a release is made of a commit; commit, stash or ignore them:\n%s", r.git.Commit, files)
	}
	if r.sources, err = catalog.Load(catalog.LoadOptions{Names: r.Filters}); err != nil {
		return "", false, err
	}
	tag := r.Version.Tag()
	tagged, err := taggedCommit(ctx, tag)
	if err != nil {
		return "", false, err
	}
	switch {
	case tagged == "" && !r.rehearsal():
		return "", false, fmt.Errorf("there is %[1]w %[2]s; make it with \"git tag %[2]s\" and push it with \"git push origin %[2]s\"", ErrNoTag, tag)
	case tagged == "":
		return fmt.Sprintf("commit %s is clean; a rehearsal needs no tag", r.git.Commit), false, nil
	case tagged != r.git.Commit:
		return "", false, fmt.Errorf("git tag %s is at commit %s, and the checkout at %s; run \"git checkout %s\", or choose a new version", tag, tagged, r.git.Commit, tag)
	}
	return fmt.Sprintf("commit %s is clean and has the tag %s", r.git.Commit, tag), false, nil
}

// taggedCommit is the commit that a git tag points to; empty if there is no such tag.
func taggedCommit(ctx context.Context, tag string) (string, error) {
	// An annotated tag is an object of its own, which points to the commit.
	commit, err := gitinfo.Git(ctx, gitinfo.GitOptions{}, "rev-parse", "--verify", "--quiet", "refs/tags/"+tag+"^{commit}")
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for tag %s: %w", tag, err)
	}
	return commit, nil
}
