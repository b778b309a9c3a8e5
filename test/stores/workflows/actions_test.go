package workflows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// use does to the files what an action does. Actions are pinned by their commits, so the
// tag that an action's version has on GitHub is not asked for.
func (r *running) use(ctx context.Context, action string, with map[string]string) error {
	name, commit, _ := strings.Cut(action, "@")
	if len(commit) != 40 {
		return fmt.Errorf("%s is not pinned by a commit", action)
	}
	known := map[string]struct {
		inputs []string
		do     func(context.Context, map[string]string) error
	}{
		"actions/checkout":          {[]string{"repository", "ref", "path", "persist-credentials", "fetch-depth"}, r.checkout},
		"actions/setup-go":          {[]string{"go-version-file", "cache", "cache-dependency-path"}, r.setUpGo},
		"actions/upload-artifact":   {[]string{"name", "path", "if-no-files-found", "retention-days", "overwrite"}, r.uploadArtifact},
		"actions/download-artifact": {[]string{"name", "path", "pattern", "merge-multiple"}, r.downloadArtifact},
	}
	a, ok := known[name]
	if !ok {
		return fmt.Errorf("this runner does not know the action %s", name)
	}
	for input := range with {
		if !slices.Contains(a.inputs, input) {
			return fmt.Errorf("this runner does not know the input %s of %s", input, name)
		}
	}
	return a.do(ctx, with)
}

// checkout is a shallow clone, as the action makes it.
func (r *running) checkout(ctx context.Context, with map[string]string) error {
	if with["persist-credentials"] != "false" {
		return errors.New("checkout would leave the job's token in .git/config; give it persist-credentials: false")
	}
	repository, ref := with["repository"], with["ref"]
	if repository == "" || repository == r.repository {
		repository = r.repository
		if !r.may("contents", "read") {
			return errors.New("remote: Repository not found: the job may not read contents")
		}
		if ref == "" {
			ref = r.sha
		}
	}
	origin, ok := r.world.repositories[repository]
	if !ok {
		return fmt.Errorf("remote: Repository not found: %s", repository)
	}
	if !strings.HasPrefix(ref, "refs/") && len(ref) != 40 {
		return fmt.Errorf("this runner knows refs in full, and no %q", ref)
	}
	dir := filepath.Join(r.workspace, with["path"])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	to := ref
	if len(ref) == 40 {
		to = "refs/remotes/pull/commit"
		if strings.HasPrefix(r.ref, "refs/tags/") && ref == r.sha {
			to = r.ref
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"fetch", "--quiet", "--no-tags", "--depth=1", "file://" + origin, "+" + ref + ":" + to},
		{"checkout", "--quiet", "--detach", to},
		{"remote", "add", "origin", "https://github.com/" + repository},
	} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

// setUpGo leaves the Go that is there, which has to be the one that go.mod names.
func (r *running) setUpGo(_ context.Context, with map[string]string) error {
	if _, err := os.Stat(filepath.Join(r.workspace, with["go-version-file"])); err != nil || with["go-version-file"] == "" {
		return fmt.Errorf("the specified go version file at: %s does not exist", with["go-version-file"])
	}
	return nil
}

// uploadArtifact keeps the files below the deepest folder that holds all paths. Hidden
// files are left out.
//
// Reference: https://github.com/actions/upload-artifact#upload-using-multiple-paths-and-exclusions
func (r *running) uploadArtifact(_ context.Context, with map[string]string) error {
	name := with["name"]
	if name == "" {
		name = "artifact"
	}
	folder := filepath.Join(r.artifacts, name)
	if _, err := os.Stat(folder); err == nil {
		if with["overwrite"] != "true" {
			return fmt.Errorf("failed to CreateArtifact: (409) Conflict: an artifact with this name already exists on the workflow run: %s", name)
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	var found, bases []string
	for pattern := range strings.Lines(with["path"]) {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" {
			continue
		}
		if strings.Contains(pattern, "**") || strings.HasPrefix(pattern, "!") {
			return fmt.Errorf("this runner does not know the pattern %s", pattern)
		}
		pattern = filepath.Join(r.workspace, pattern)
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		base := pattern
		for strings.ContainsAny(base, "*?[") {
			base = filepath.Dir(base)
		}
		for _, match := range matches {
			inside, err := filesBelow(match)
			if err != nil {
				return err
			}
			found = append(found, inside...)
		}
		if info, err := os.Stat(base); err == nil && !info.IsDir() {
			base = filepath.Dir(base)
		}
		bases = append(bases, base)
	}
	if len(found) == 0 {
		switch with["if-no-files-found"] {
		case "error":
			return fmt.Errorf("no files were found with the provided path: %s", with["path"])
		default:
			return nil
		}
	}
	root := bases[0]
	for _, base := range bases {
		for base != root && !strings.HasPrefix(base, root+"/") {
			root = filepath.Dir(root)
		}
	}
	for _, file := range found {
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if err := copyFile(file, filepath.Join(folder, relative)); err != nil {
			return err
		}
	}
	return nil
}

// filesBelow lists a file, or the files of a folder, without what is hidden.
func filesBelow(name string) (files []string, err error) {
	err = filepath.WalkDir(name, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return filepath.SkipDir
			}
		case !entry.IsDir():
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// copyFile forgets the file's permissions, as artifacts do.
func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// downloadArtifact copies one artifact into the folder, or those whose names fit a
// pattern: merged, or each into a folder of its name.
func (r *running) downloadArtifact(_ context.Context, with map[string]string) error {
	to := filepath.Join(r.workspace, with["path"])
	if with["name"] != "" {
		if _, err := os.Stat(filepath.Join(r.artifacts, with["name"])); err != nil {
			return fmt.Errorf("unable to download artifact(s): artifact not found for name: %s", with["name"])
		}
		return os.CopyFS(to, os.DirFS(filepath.Join(r.artifacts, with["name"])))
	}
	pattern := with["pattern"]
	if pattern == "" {
		pattern = "*"
	}
	found, err := filepath.Glob(filepath.Join(r.artifacts, pattern))
	if err != nil {
		return err
	}
	for _, artifact := range found {
		files, err := filesBelow(artifact)
		if err != nil {
			return err
		}
		for _, file := range files {
			relative, err := filepath.Rel(r.artifacts, file)
			if err != nil {
				return err
			}
			if with["merge-multiple"] == "true" {
				_, relative, _ = strings.Cut(relative, "/")
			}
			if err := copyFile(file, filepath.Join(to, relative)); err != nil {
				return err
			}
		}
	}
	return nil
}
