package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/internal/versions"
)

// What is wrong with what a release is asked for.
var (
	// ErrNoTag says that what is to be released has no git tag.
	ErrNoTag = errors.New("no git tag")
	// ErrOtherFilters says that a git tag is one filter's, and Options.Filters are not.
	ErrOtherFilters = errors.New("others are asked for")
	// ErrNotPinned says that a module was built with another TinyGo than a release is, and
	// than Options.TinyGoVersion.
	ErrNotPinned = errors.New("not the pinned")
	// ErrShapes says that Options.Shapes lack oci.Artifact.
	ErrShapes = errors.New("not among those that are pushed, and manifests refer to it")
)

// parseVersion reads what a release is asked for: a version, or its git tag, which
// may be that of one filter.
func parseVersion(text string, filters []string) (version *semver.Version, tag string, names []string, err error) {
	if version, err = versions.Parse(text); err == nil {
		return version, versions.Tag("", text), filters, nil
	}
	if !strings.HasPrefix(text, "v") && !strings.Contains(text, "/") {
		return nil, "", nil, err
	}
	filter, version, err := versions.ParseTag(text)
	switch {
	case err != nil:
		return nil, "", nil, err
	case filter == "":
		return version, text, filters, nil
	case len(filters) > 0 && !slices.Equal(filters, []string{filter}):
		return nil, "", nil, fmt.Errorf("tag %s releases %s, and %w: %s", text, filter, ErrOtherFilters, strings.Join(filters, ", "))
	}
	return version, text, []string{filter}, nil
}

// check finds everything that can be found wrong before any work is done.
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
	if r.filters, err = catalog.Load(catalog.LoadOptions{Names: r.names}); err != nil {
		return "", false, err
	}
	tagged, err := taggedCommit(ctx, r.tag)
	if err != nil {
		return "", false, err
	}
	switch {
	case tagged == "" && !r.Rehearsal:
		return "", false, fmt.Errorf("there is %[1]w %[2]s; make it with \"git tag %[2]s\" and push it with \"git push origin %[2]s\"", ErrNoTag, r.tag)
	case tagged == "":
		return fmt.Sprintf("commit %s is clean; a rehearsal needs no tag", r.git.Commit), false, nil
	case tagged != r.git.Commit:
		return "", false, fmt.Errorf("git tag %s is at commit %s, and the checkout at %s; run \"git checkout %s\", or choose a new version", r.tag, tagged, r.git.Commit, r.tag)
	}
	return fmt.Sprintf("commit %s is clean and has the tag %s", r.git.Commit, r.tag), false, nil
}

// taggedCommit is the commit that a git tag stands for; empty if there is no such
// tag.
func taggedCommit(ctx context.Context, tag string) (string, error) {
	// An annotated tag is an object of its own.
	commit, err := gitinfo.Git(ctx, gitinfo.GitOptions{}, "rev-parse", "--verify", "--quiet", "refs/tags/"+tag+"^{commit}")
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for tag %s: %w", tag, err)
	}
	return commit, nil
}
