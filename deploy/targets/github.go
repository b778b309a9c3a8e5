package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/magefile/mage/mg"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Github makes the GitHub release of a git tag, with gh.
type Github mg.Namespace

// Draft makes a draft of the GitHub release of a git tag, from dist/release.md, dist/release.json and the modules.
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
		return true, nil // it should not be there
	}
	return v.Compare(shown) > 0, nil
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
	cmd, err := ghCommand(ctx, append([]string{"release", "view"}, args...)...)
	if err != nil {
		return false, err
	}
	var said strings.Builder
	cmd.Stderr = &said
	data, err := cmd.Output()
	if err != nil {
		// gh has one exit code for all failures.
		if strings.Contains(said.String(), "release not found") {
			return false, nil
		}
		return false, fmt.Errorf("gh release view: %w: %s", err, strings.TrimSpace(said.String()))
	}
	if err := json.Unmarshal(data, release); err != nil {
		return false, fmt.Errorf("gh release view: %w", err)
	}
	return true, nil
}

func gh(ctx context.Context, out Output, args ...string) error {
	cmd, err := ghCommand(ctx, args...)
	if err != nil {
		return err
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = out.Out, io.MultiWriter(out.Err, &said)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("gh %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}

func ghCommand(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath("gh")
	if err != nil {
		return nil, errors.New("gh is not on PATH; install it from https://cli.github.com")
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "GH_PROMPT_DISABLED=1")
	return cmd, nil
}
