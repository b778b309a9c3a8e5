// Package gitinfo reads the facts about a checkout that a published filter
// carries: which commit it was built from, when that was made, and where the
// sources are.
//
// It runs git, which is there wherever a checkout is, instead of linking an
// implementation of git.
package gitinfo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Info is what is known about a checkout.
type Info struct {
	// Commit is the full hash of the commit that is checked out.
	Commit string
	// Dirty says that files differ from the commit, or are not in it.
	Dirty bool
	// Changed names those of the files that Read was asked about, relative to the
	// checkout's top if they lie in it, sorted. Where it names any, Dirty is true.
	Changed []string
	// Time is when the commit was made, in UTC, to the second.
	Time time.Time
	// Source is the URL of the remote "origin" as a browser takes it, without
	// credentials; empty if there is none.
	Source string
}

// Revision is the commit, with "-dirty" after it if the files differ from it, as
// docker buildx writes it.
func (i Info) Revision() string {
	if i.Dirty {
		return i.Commit + "-dirty"
	}
	return i.Commit
}

// Read returns the facts about the checkout that dir lies in; an empty dir is the
// working directory.
//
// files are those that decide what is published, as absolute paths. Each has to be
// that of the commit, byte for byte or after what git does to line ends and the like: a
// file that git ignores, or was told to assume unchanged, is in no status. What lies
// outside of the checkout is in no commit.
func Read(ctx context.Context, dir string, files ...string) (Info, error) {
	head, err := Git(ctx, GitOptions{Dir: dir}, "log", "-1", "--no-show-signature", "--format=%H %ct")
	if err != nil {
		return Info{}, fmt.Errorf("read the commit that is published: %w; run this in a git checkout with at least one commit", err)
	}
	var info Info
	var seconds int64
	if _, err := fmt.Sscan(head, &info.Commit, &seconds); err != nil {
		return Info{}, fmt.Errorf("read the commit that is published: git log printed %q: %w", head, err)
	}
	info.Time = time.Unix(seconds, 0).UTC()
	// Who sets status.showUntrackedFiles does not mean releases.
	status, err := Git(ctx, GitOptions{Dir: dir}, "status", "--porcelain", "--untracked-files=normal")
	if err == nil {
		info.Changed, err = changed(ctx, dir, info.Commit, files)
	}
	if err != nil {
		return Info{}, fmt.Errorf("compare the checkout with its commit: %w", err)
	}
	info.Dirty = status != "" || len(info.Changed) > 0
	// It fails when there is no origin, and then there is no source to name.
	if remote, err := Git(ctx, GitOptions{Dir: dir}, "config", "--get", "remote.origin.url"); err == nil {
		info.Source = browserURL(remote)
	}
	return info, nil
}

// GitOptions say where git runs, and with what.
type GitOptions struct {
	// Dir is the working directory. Default: the process's own.
	Dir string
	// Env is added to the environment.
	Env []string
	// Stdin is what git reads. Default: nothing.
	Stdin string
}

// Git runs git and returns what it prints, without the last line's end. If git runs
// and fails, the error holds what it said, and the *exec.ExitError in its chain how it
// ended.
func Git(ctx context.Context, o GitOptions, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = o.Dir
	cmd.Env = append(cmd.Environ(), o.Env...)
	cmd.Stdin = strings.NewReader(o.Stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// scpURL is ssh's short form, user@host:path.
var scpURL = regexp.MustCompile(`^(?:[^@/]+@)?([^:/]+):([^/].*)$`)

// browserURL turns git's address of a repository into the one that people open,
// and never lets a password or token through. What has no such address, a local
// path for example, gives an empty string.
func browserURL(remote string) string {
	if scp := scpURL.FindStringSubmatch(remote); scp != nil && !strings.Contains(remote, "://") {
		remote = "https://" + scp[1] + "/" + scp[2]
	}
	u, err := url.Parse(remote)
	if err != nil {
		return ""
	}
	switch u.Scheme {
	case "ssh", "git", "git+ssh":
		u.Scheme, u.Host = "https", u.Hostname()
	case "http", "https":
	default:
		return ""
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), ".git")
}
