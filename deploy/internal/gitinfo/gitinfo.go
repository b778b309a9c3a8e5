// Package gitinfo reads the facts about a checkout that a published filter carries: the commit
// that it was built from, the commit's time, and the address of the sources.
//
// It runs git, which is installed wherever there is a checkout, and does not link an
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

	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// Info are the facts about a checkout.
type Info struct {
	// Commit is the full hash of the commit that is checked out.
	Commit string
	// Dirty says that files differ from the commit, or are not in it.
	Dirty bool
	// Changed names those of the files given to Read that differ from the commit, sorted.
	// Names of files in the checkout are relative to its top. If there are any, Dirty is true.
	Changed []string
	// Time is when the commit was made, in UTC, to the second.
	Time time.Time
	// Source is the URL of the remote "origin" for a browser, without credentials; empty if
	// there is none.
	Source string
}

// Revision returns the commit. If files differ from it, "-dirty" follows, as docker buildx
// writes it.
func (i Info) Revision() string {
	if i.Dirty {
		return i.Commit + "-dirty"
	}
	return i.Commit
}

// Read returns the facts about the checkout that dir lies in; an empty dir is the
// working directory.
//
// files are the files that decide what is published, as absolute paths. Read compares each
// with the commit, byte for byte or after git's own conversions, such as line ends: git's
// status does not show files that git ignores or was told to assume unchanged. A file outside
// the checkout counts as changed.
func Read(ctx context.Context, dir string, files ...string) (Info, error) {
	head, err := Git(ctx, GitOptions{Dir: dir}, "log", "-1", "--no-show-signature", "--format=%H %ct")
	if err != nil {
		if strings.Contains(err.Error(), "safe.directory") {
			// git says what to do, and the checkout is there.
			return Info{}, fmt.Errorf("read the commit that is published: %w", err)
		}
		return Info{}, fmt.Errorf("read the commit that is published: %w; run this in a git checkout with at least one commit", err)
	}
	var info Info
	var seconds int64
	if _, err := fmt.Sscan(head, &info.Commit, &seconds); err != nil {
		return Info{}, fmt.Errorf("read the commit that is published: git log printed %q: %w", head, err)
	}
	info.Time = time.Unix(seconds, 0).UTC()
	// A user's status.showUntrackedFiles must not hide files from a release.
	status, err := Git(ctx, GitOptions{Dir: dir}, "status", "--porcelain", "--untracked-files=normal")
	if err == nil {
		info.Changed, err = changed(ctx, dir, info.Commit, files)
	}
	if err != nil {
		return Info{}, fmt.Errorf("compare the checkout with its commit: %w", err)
	}
	info.Dirty = status != "" || len(info.Changed) > 0
	// The command fails if there is no origin. Then Source stays empty.
	if remote, err := Git(ctx, GitOptions{Dir: dir}, "config", "--get", "remote.origin.url"); err == nil {
		info.Source = browserURL(remote)
	}
	return info, nil
}

// GitOptions say where git runs, and with which input.
type GitOptions struct {
	// Dir is the working directory. Default: the process's own.
	Dir string
	// Env is added to the environment.
	Env []string
	// Stdin is git's standard input. Default: empty.
	Stdin string
}

// Git runs git and returns its output without the final line break. If git fails, the error
// holds git's message, and has the *exec.ExitError in its chain.
func Git(ctx context.Context, o GitOptions, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = o.Dir
	cmd.Env = append(children.Environment(cmd.Environ(), children.Repositories...), o.Env...)
	cmd.Stdin = strings.NewReader(o.Stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// scpURL matches ssh's short form, user@host:path.
var scpURL = regexp.MustCompile(`^(?:[^@/]+@)?([^:/]+):([^/].*)$`)

// browserURL turns git's address of a repository into the address for a browser. It never lets
// a password or token through. If there is no such address, as for a local path, it returns an
// empty string.
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
