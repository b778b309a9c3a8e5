package gitinfo

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// changed names the files that differ from a commit, or are not in it.
func changed(ctx context.Context, dir, commit string, files []string) ([]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	top, err := Git(ctx, GitOptions{Dir: dir}, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	var names, inside []string
	for _, file := range files {
		name, err := inCheckout(top, file)
		if err != nil {
			return nil, err
		}
		if filepath.IsLocal(name) {
			inside = append(inside, name)
		} else {
			names = append(names, file)
		}
	}
	differ, err := notCommitted(ctx, top, commit, inside)
	if err != nil {
		return nil, err
	}
	names = append(names, differ...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// inCheckout returns the path of a file relative to the checkout's top, which git has
// resolved.
func inCheckout(top, file string) (string, error) {
	resolved, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", err
	}
	return filepath.Rel(top, resolved)
}

// notCommitted names the files that differ from a commit, or are not in it. The files are
// given relative to the checkout's top.
func notCommitted(ctx context.Context, top, commit string, files []string) ([]string, error) {
	committed, err := blobs(ctx, top, commit)
	if err != nil {
		return nil, err
	}
	// Two forms count as committed. The first is the bytes as they are: git would convert even
	// a file that was committed unconverted. The second is what git would commit: in the
	// checkout the line ends may differ, or a filter such as LFS may have changed the content.
	for _, how := range []string{"--no-filters", "--"} {
		if len(files) == 0 {
			return nil, nil
		}
		hashes, err := Git(ctx, GitOptions{Dir: top, Stdin: strings.Join(files, "\n") + "\n"}, "hash-object", "--stdin-paths", how)
		if err != nil {
			return nil, err
		}
		all := strings.Fields(hashes)
		if len(all) != len(files) {
			return nil, fmt.Errorf("git hash-object printed %d hashes of %d files", len(all), len(files))
		}
		var differ []string
		for i, file := range files {
			if committed[filepath.ToSlash(file)] != all[i] {
				differ = append(differ, file)
			}
		}
		files = differ
	}
	return files, nil
}

// blobs returns the files of a commit: a map from the path, relative to the checkout's top, to
// git's hash of the content.
//
// Reference: https://git-scm.com/docs/git-ls-tree#_output_format
func blobs(ctx context.Context, top, commit string) (map[string]string, error) {
	// A replacement of the commit exists on this machine only.
	list, err := Git(ctx, GitOptions{Dir: top}, "--no-replace-objects", "ls-tree", "-r", "-z", "--full-tree", commit)
	if err != nil {
		return nil, err
	}
	blobs := map[string]string{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		description, path, _ := strings.Cut(entry, "\t")
		// A mode, a type and a hash. The content of a link is its target.
		if fields := strings.Fields(description); len(fields) == 3 && strings.HasPrefix(fields[0], "100") {
			blobs[path] = fields[2]
		}
	}
	return blobs, nil
}
