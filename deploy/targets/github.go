package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/magefile/mage/mg"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/oci"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Github makes the GitHub release of a git tag, with gh.
type Github mg.Namespace

// Draft makes a draft of the GitHub release of a git tag, from dist/release.md, dist/release.json with its signature, and the modules.
//
// It updates an existing draft, and leaves a published release as it is. gh has to be
// installed, and logged in by "gh auth login" or GH_TOKEN.
//
// Example:
//
//	go tool mage github:draft v1.4.0
func (Github) Draft(ctx context.Context, tag string) error {
	return ended(draftOnGitHub(ctx, tag, newOutput(nil)))
}

// Publish shows the drafted GitHub release of a git tag to everybody.
//
// Example:
//
//	go tool mage github:publish v1.4.0
func (Github) Publish(ctx context.Context, tag string) error {
	return ended(publishOnGitHub(ctx, tag, newOutput(nil)))
}

// Preflight finds out, without changing anything, what would stop the workflow's release of a git tag: it is the workflow's first job.
//
// It looks at the tag, the storage, the signer and what is published, and prints what the
// release would do. -publicLog says that the name of a private repository may get into
// sigstore's public log.
//
// Example:
//
//	go tool mage github:preflight v1.4.0
func (Github) Preflight(ctx context.Context, tag string, publicLog *bool) error {
	return do(nil, func(c variables.Values, out Output) error {
		return checkOnGitHub(ctx, c, tag, given(publicLog), out)
	})
}

// Tag tags the commit of a release of all filters for Go: filter/v1.4.0 is the version of the module in filter/, and so on.
//
// A tag that is there at this commit stays. The workflow does it in Slipway's own release.
//
// Example:
//
//	go tool mage github:tag v1.4.0
func (Github) Tag(ctx context.Context, tag string) error {
	return ended(tagModules(ctx, tag, newOutput(nil)))
}

// checkOnGitHub finds what would stop a release of a tag in the workflow, before anything is
// built.
func checkOnGitHub(ctx context.Context, c variables.Values, tag string, publicLog bool, out Output) error {
	if err := gitHubCheck(ctx, c, tag, publicLog, out); err != nil {
		return fmt.Errorf("check the release of %s: %w", tag, err)
	}
	return nil
}

func gitHubCheck(ctx context.Context, c variables.Values, tag string, publicLog bool, out Output) error {
	if err := errors.Join(checkRef(tag), checkServer(), checkStorage(c)); err != nil {
		return err
	}
	options, err := releaseOptions(c, tag, releaseChoices{Until: rel.StepAttest}, out)
	if err != nil {
		return err
	}
	if err := checkSigner(ctx, c, options, publicLog); err != nil {
		return err
	}
	err = rel.Preview(ctx, options)
	if errors.Is(err, oci.ErrNoCredentials) || errors.Is(err, oci.ErrWrongCredentials) {
		// On GHCR a package that does not exist is refused like one that nobody may read.
		return printable.Fprintf(out.Err, "What is published was not looked at; the job publish does that: %v\n", err)
	}
	return err
}

// checkRef finds out whether the workflow runs on a release's tag.
func checkRef(tag string) error {
	if os.Getenv("GITHUB_REF_TYPE") == "branch" {
		return fmt.Errorf(`%s is a branch, and a release is made of a tag; start the workflow on one, as with "gh workflow run release.yml --ref v1.4.0"`, tag)
	}
	v, err := version.ParseTag(tag)
	if err == nil && v.Filter() == "filter" {
		err = fmt.Errorf(`tag %s is Go's, for the module in filter/, and releases no filter; take it out of the workflow's tags, with "!filter/v*"`, tag)
	}
	return err
}

// checkServer refuses a server without the artifacts that jobs hand on.
//
// Reference: https://github.com/actions/upload-artifact#v4---whats-new
func checkServer() error {
	server := os.Getenv("GITHUB_SERVER_URL")
	if server == "" || server == "https://github.com" || strings.HasSuffix(server, ".ghe.com") {
		return nil
	}
	return fmt.Errorf("%s is GitHub Enterprise Server, which lacks the artifacts that the jobs of this workflow hand on; run the targets in a workflow with one job", redact.Address(server))
}

// checkStorage refuses a storage that the workflow has no credentials for.
func checkStorage(c variables.Values) error {
	if c.StorageURL == "" || strings.HasPrefix(c.StorageURL, "https://") {
		return nil
	}
	return fmt.Errorf("storage %s: this workflow uploads to https:// only, because no login of a cloud reaches it; for a bucket, run the targets in a workflow that logs in", redact.Address(c.StorageURL))
}

// checkSigner finds what signatures lack, and asks before a private name gets into a public log.
func checkSigner(ctx context.Context, c variables.Values, options rel.Options, publicLog bool) error {
	if options.Signer == nil {
		return nil
	}
	if options.Policy.IsZero() {
		return fmt.Errorf("%w; the workflow's input verify-key names the public key's file", attest.ErrPolicy)
	}
	if options.Signer.Key != "" {
		return nil
	}
	private, err := privateRepository()
	if err != nil {
		return err
	}
	if private && c.FulcioURL == "" && !publicLog {
		return errors.New("the repository is private, and keyless signatures write its name into sigstore's public log for ever; give the workflow public-log: true if everybody may know it, sign: key, or the addresses of a private sigstore")
	}
	err = attest.CheckIdentity(ctx, options.Policy)
	if errors.Is(err, attest.ErrIdentity) {
		return fmt.Errorf(`%w; the input slipway has to be what follows the @ of "uses", in full`, err)
	}
	return err
}

// privateRepository reports whether GitHub says that not everybody may read the repository.
//
// Reference: https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
func privateRepository() (bool, error) {
	file := os.Getenv("GITHUB_EVENT_PATH")
	if file == "" {
		return false, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	var event struct{ Repository struct{ Private bool } }
	if err := json.Unmarshal(data, &event); err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	return event.Repository.Private, nil
}

// tagModules tags the commit of a release for each Go module below the repository's.
func tagModules(ctx context.Context, tag string, out Output) error {
	if err := gitHubTag(ctx, tag, out); err != nil {
		return fmt.Errorf("tag the Go modules of %s: %w", tag, err)
	}
	return nil
}

func gitHubTag(ctx context.Context, tag string, out Output) error {
	v, err := version.ParseTag(tag)
	if err != nil {
		return err
	}
	if v.Filter() != "" {
		return printable.Fprintf(out.Out, "%s releases one filter, and no Go module.\n", tag)
	}
	git, err := gitinfo.Read(ctx, "")
	if err != nil {
		return err
	}
	modules, err := gotest.Modules("")
	if err != nil {
		return err
	}
	for _, module := range modules {
		name := path.Join(filepath.ToSlash(module), tag)
		if name == tag {
			continue // the release's own
		}
		there, err := ghOutput(ctx, "api", "repos/{owner}/{repo}/git/ref/tags/"+name, "--jq=.object.sha")
		switch {
		case err == nil && there == git.Commit:
			printable.Fprintf(out.Out, "%s is there already.\n", name)
			continue
		case err == nil:
			return fmt.Errorf("%s is at %s, and the release at %s; a version of a Go module never changes", name, there, git.Commit)
		case !strings.Contains(err.Error(), "HTTP 404"):
			return err
		}
		if _, err := ghOutput(ctx, "api", "repos/{owner}/{repo}/git/refs", "--method=POST", "--raw-field=ref=refs/tags/"+name, "--raw-field=sha="+git.Commit); err != nil {
			return err
		}
		printable.Fprintln(out.Out, name)
	}
	return nil
}

// draftOnGitHub makes a draft of the GitHub release of a git tag, with the record and
// the modules as its files and the notes as its text. It updates an existing draft, and
// leaves a published release as it is.
//
// It runs gh, which is logged in by GH_TOKEN or "gh auth login".
func draftOnGitHub(ctx context.Context, tag string, out Output) error {
	if err := gitHubDraft(ctx, tag, out); err != nil {
		return fmt.Errorf("draft the GitHub release %s: %w", tag, err)
	}
	return nil
}

func gitHubDraft(ctx context.Context, tag string, out Output) error {
	v, err := version.ParseTag(tag)
	if err != nil {
		return err
	}
	record, err := rel.ReadRecord(filepath.Join(dist, rel.RecordFile))
	if err != nil {
		return err
	}
	if record.Tag != tag || record.Rehearsal {
		return fmt.Errorf(`the record in %s is that of %s; run "go tool mage release %s" first`, dist, record.Tag, tag)
	}
	files := []string{filepath.Join(dist, rel.RecordFile)}
	if bundle := filepath.Join(dist, rel.BundleFile); exists(bundle) {
		files = append(files, bundle)
	}
	for _, f := range record.Filters {
		file := filepath.Join(dist, f.Name+".wasm")
		sum, err := checksum.File(os.Open, file)
		if err != nil {
			return err
		}
		if sum != f.WasmSHA256 {
			return fmt.Errorf(`%s has wasm sha256 %s, and was released with %s according to %s; run "go tool mage release %s" again`, file, sum, f.WasmSHA256, files[0], tag)
		}
		files = append(files, file)
	}
	state, err := gitHubState(ctx, tag)
	if err != nil {
		return err
	}
	notes := "--notes-file=" + filepath.Join(dist, rel.NotesFile)
	switch state {
	case statePublished:
		err = printable.Fprintf(out.Out, "%s is published already.\n", tag)
		return err
	case stateDraft:
		if err := gh(ctx, out, "release", "edit", tag, "--draft", "--title="+tag, notes); err != nil {
			return err
		}
		return gh(ctx, out, append([]string{"release", "upload", tag, "--clobber"}, files...)...)
	}
	args := []string{"release", "create", tag, "--draft", "--verify-tag", "--title=" + tag, notes}
	if v.Prerelease() {
		args = append(args, "--prerelease")
	}
	return gh(ctx, out, append(args, files...)...)
}

// publishOnGitHub publishes the draft of a git tag's GitHub release. If it is published
// already, that is a success.
func publishOnGitHub(ctx context.Context, tag string, out Output) error {
	if err := gitHubPublish(ctx, tag, out); err != nil {
		return fmt.Errorf("publish the GitHub release %s: %w", tag, err)
	}
	return nil
}

func gitHubPublish(ctx context.Context, tag string, out Output) error {
	v, err := version.ParseTag(tag)
	if err != nil {
		return err
	}
	state, err := gitHubState(ctx, tag)
	switch {
	case err != nil:
		return err
	case state == statePublished:
		return printable.Fprintf(out.Out, "%s is published already.\n", tag)
	case state != stateDraft:
		return fmt.Errorf(`there is no draft; run "go tool mage github:draft %s" first`, tag)
	}
	latest, err := becomesLatest(ctx, v)
	if err != nil {
		return err
	}
	// Without the flag, GitHub makes every release that is published "Latest".
	return gh(ctx, out, "release", "edit", tag, "--draft=false", fmt.Sprintf("--latest=%t", latest))
}

// becomesLatest reports whether a release becomes the one that GitHub shows first: the newest
// of all filters that is no pre-release.
func becomesLatest(ctx context.Context, v version.Version) (bool, error) {
	if v.Filter() != "" || v.Prerelease() {
		return false, nil
	}
	var release struct {
		TagName string `json:"tagName"`
	}
	found, err := gitHubRelease(ctx, &release, "--json=tagName")
	if err != nil || !found {
		return err == nil, err
	}
	shown, err := version.ParseTag(release.TagName)
	if err != nil || shown.Filter() != "" {
		return true, nil //nolint:nilerr // it should not be there
	}
	return v.Compare(shown) > 0, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The states of a GitHub release.
const (
	stateNone = iota
	stateDraft
	statePublished
)

// gitHubState asks whether a release exists, and whether everybody sees it.
func gitHubState(ctx context.Context, tag string) (int, error) {
	var release struct {
		IsDraft *bool `json:"isDraft"`
	}
	found, err := gitHubRelease(ctx, &release, tag, "--json=isDraft")
	switch {
	case err != nil || !found:
		return stateNone, err
	case release.IsDraft == nil:
		return stateNone, errors.New("gh release view does not say whether it is a draft; update gh")
	case *release.IsDraft:
		return stateDraft, nil
	}
	return statePublished, nil
}

// gitHubRelease reads what gh says about a release, without a tag about the latest. found is
// false if there is none.
func gitHubRelease(ctx context.Context, release any, args ...string) (found bool, err error) {
	text, err := ghOutput(ctx, append([]string{"release", "view"}, args...)...)
	if err != nil {
		// gh has one exit code for all failures.
		if strings.Contains(err.Error(), "release not found") {
			return false, nil
		}
		return false, err
	}
	if err := json.Unmarshal([]byte(text), release); err != nil {
		return false, fmt.Errorf("gh release view: %w", err)
	}
	return true, nil
}

// gh runs gh with at least two arguments, and shows what it says.
func gh(ctx context.Context, out Output, args ...string) error {
	return runGH(ctx, out.Out, out.Err, args...)
}

// ghOutput runs gh as gh does, and returns what it prints.
func ghOutput(ctx context.Context, args ...string) (string, error) {
	var text strings.Builder
	err := runGH(ctx, &text, io.Discard, args...)
	return strings.TrimSpace(text.String()), err
}

func runGH(ctx context.Context, stdout, stderr io.Writer, args ...string) error {
	path, err := exec.LookPath("gh")
	if err != nil {
		return errors.New("gh is not on PATH; install it from https://cli.github.com")
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "GH_PROMPT_DISABLED=1")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = stdout, io.MultiWriter(stderr, &said)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("gh %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}
