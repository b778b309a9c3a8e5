package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// What can be wrong with a request for a release.
var (
	// ErrNoTag says that the release has no git tag.
	ErrNoTag = errors.New("no git tag")
	// ErrNotPinned says that a module was built with a TinyGo that is neither the
	// pinned one nor Options.TinyGoVersion.
	ErrNotPinned = errors.New("not the pinned")
	// ErrTaken says that a filter's version is published from another commit.
	ErrTaken = errors.New("a published version never changes")
	// ErrShapes says that Options.Shapes does not contain oci.Artifact.
	ErrShapes = errors.New("missing, and rendered manifests refer to it")
)

// check finds every error that can be found before any work is done, and returns all of them.
func (r *run) check(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	note, commitErr := r.checkCommit(ctx)
	var sourcesErr error
	r.sources, sourcesErr = catalog.Load(catalog.LoadOptions{Names: r.Filters})
	if sourcesErr == nil && commitErr == nil {
		_, scenariosErr := scenario.Load(r.sources)
		sourcesErr = errors.Join(r.narrow(), r.checkSubmodules(ctx), scenariosErr)
		commitErr = r.loadState()
	}
	if sourcesErr == nil && commitErr == nil && r.Parts != "" && !r.previewing {
		sourcesErr = r.join()
	}
	if err := errors.Join(commitErr, sourcesErr, r.checkStores(ctx, out), r.checkKeys(ctx)); err != nil {
		return "", false, err
	}
	if r.state.Checked == r.destination() || r.previewing || !r.reaches[StepUpload] {
		return note, false, nil
	}
	r.state.Checked = r.destination()
	return note, false, r.saveState()
}

// checkCommit finds out whether a release can be made of the checkout.
func (r *run) checkCommit(ctx context.Context) (note string, err error) {
	if r.git, err = gitinfo.Read(ctx, ""); err != nil {
		return "", err
	}
	var dirty error
	if r.git.Dirty {
		files, err := gitinfo.Git(ctx, gitinfo.GitOptions{}, "status", "--short", "--untracked-files=normal")
		if err != nil {
			return "", err
		}
		dirty = fmt.Errorf("files differ from commit %s, and a release is made of a commit; commit, stash or ignore them:\n%s", r.git.Commit, files)
	}
	note, err = r.checkTag(ctx)
	return note, errors.Join(dirty, err)
}

// checkSubmodules refuses filters in git submodules: the commit has only their commits' names,
// and so the second build would find no file.
func (r *run) checkSubmodules(ctx context.Context) error {
	var problems []error
	for _, f := range r.sources {
		above, err := gitinfo.Git(ctx, gitinfo.GitOptions{Dir: f.Dir}, "rev-parse", "--show-superproject-working-tree")
		if err == nil && above != "" {
			err = fmt.Errorf("filter %s is in a git submodule of %s, whose commit does not hold its files; release it from the submodule's own repository, or move it here", f.Name, above)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (r *run) checkTag(ctx context.Context) (note string, err error) {
	tag := r.Version.Tag()
	tagged, err := taggedCommit(ctx, tag)
	switch {
	case err != nil:
		return "", err
	case tagged == "" && !r.rehearsal():
		return "", fmt.Errorf("there is %[1]w %[2]s; make it with \"git tag %[2]s\" and push it with \"git push origin %[2]s\"", ErrNoTag, tag)
	case tagged == "":
		return fmt.Sprintf("commit %s is clean; a rehearsal needs no tag", r.git.Commit), nil
	case tagged != r.git.Commit:
		return "", fmt.Errorf("git tag %s is at commit %s, and the checkout at %s; run \"git checkout %s\", or choose a new version", tag, tagged, r.git.Commit, tag)
	}
	return fmt.Sprintf("commit %s is clean and has the tag %s", r.git.Commit, tag), nil
}

// destination names where the release goes, for the state: an earlier run that got past the
// check need not write its probes there again.
func (r *run) destination() string {
	var parts []string
	if r.Registry != nil {
		parts = append(parts, r.Registry.Address)
	}
	if r.Storage != nil {
		parts = append(parts, redact.Address(r.Storage.URL))
	}
	return strings.Join(append(parts, r.Version.String()), " ")
}

// checkStores finds out whether the stores can be opened and written. A preview writes
// nothing. A rehearsal's stores are its own.
func (r *run) checkStores(ctx context.Context, out io.Writer) error {
	if r.rehearsal() {
		return nil
	}
	ctx, cancel := r.transfer(ctx)
	defer cancel()
	problems := []error{r.open(ctx, out)}
	done := r.state != nil && r.state.Checked == r.destination()
	if r.stores == nil || r.previewing || done {
		return problems[0]
	}
	if r.stores.registry != nil && len(r.sources) > 0 && r.reaches[StepPush] {
		err := r.stores.registry.Prepare(ctx, catalog.NamesOf(r.sources), r.Version)
		if errors.Is(err, oci.ErrFixedTags) {
			r.Notice(err)
			err = nil
		}
		problems = append(problems, err)
	}
	if r.stores.storage != nil && len(r.sources) > 0 && r.reaches[StepUpload] {
		problems = append(problems, storage.Prepare(ctx, r.stores.storage, catalog.NamesOf(r.sources), r.Version))
	}
	return errors.Join(problems...)
}

// checkKeys opens the keys that sign and verify.
func (r *run) checkKeys(ctx context.Context) error {
	if !r.reaches[StepAttest] || r.rehearsal() && (r.Signer == nil || r.Signer.Rehearsal) {
		return nil // a rehearsal makes its key when it signs
	}
	if err := attest.CheckKeys(ctx, r.Signer, r.policy()); err != nil || r.Signer != nil || r.policy().IsZero() {
		return err
	}
	// A run that comes after the one that signed needs no signer.
	if r.stores == nil || r.stores.registry == nil {
		return nil
	}
	for _, f := range r.sources {
		versions, err := r.stores.registry.Versions(ctx, f.Name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(versions, r.Version.Equal) {
			return fmt.Errorf("signatures are asked for, and %s %s is not published yet: %w", f.Name, r.Version, attest.ErrNoSigner)
		}
	}
	return nil
}

// checkTaken refuses versions that are published from another commit. It says how to go on
// when that is so for some filters only, after a release of one filter.
func (r *run) checkTaken(ctx context.Context) error {
	var taken []error
	for _, f := range r.sources {
		if !slices.ContainsFunc(r.versions[f.Name], r.Version.Equal) {
			continue
		}
		subjects, err := r.stores.registry.Subjects(ctx, f.Name, r.Version)
		if err != nil {
			return err
		}
		if revision := subjects[0].Annotations[ocispec.AnnotationRevision]; revision != r.git.Commit {
			taken = append(taken, fmt.Errorf("%s is published from commit %s, and the checkout is at %s", subjects[0].Reference, revision, r.git.Commit))
		}
	}
	if len(taken) == 0 {
		return nil
	}
	advice := "choose a new version"
	if len(taken) < len(r.sources) {
		advice = fmt.Sprintf("choose a new version for all filters, or release each of the others by a tag of its own, such as NAME/v%s", r.Version)
	}
	return fmt.Errorf("%w\n%w: %s", errors.Join(taken...), ErrTaken, advice)
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
