package gitinfo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBrowserURL(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"https://github.com/acme/filters.git":               "https://github.com/acme/filters",
		"https://user:s3cret@github.com/acme/filters":       "https://github.com/acme/filters",
		"https://s3cret@github.com/acme/filters?token=s3cr": "https://github.com/acme/filters",
		"git@github.com:acme/filters.git":                   "https://github.com/acme/filters",
		"github.com:acme/filters.git":                       "https://github.com/acme/filters",
		"ssh://git@git.acme.example:2222/filters.git":       "https://git.acme.example/filters",
		"http://git.acme.example:8080/filters.git":          "http://git.acme.example:8080/filters",
		"/srv/git/filters.git":                              "",
		"../filters":                                        "",
		"file:///srv/git/filters.git":                       "",
		"":                                                  "",
	} {
		if got := browserURL(remote); got != want {
			t.Errorf("browserURL(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-03-29T03:30:00+02:00")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	run("init", "-q")
	if _, err := Read(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "at least one commit") {
		t.Fatalf("a repository without a commit: %v", err)
	}
	run("commit", "-q", "--allow-empty", "-m", "first")
	info, err := Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC); !info.Time.Equal(want) || info.Time.Location() != time.UTC {
		t.Errorf("time %v, want %v", info.Time, want)
	}
	if len(info.Commit) != 40 || info.Revision() != info.Commit || info.Source != "" {
		t.Errorf("info of a clean checkout without origin: %+v", info)
	}
	run("remote", "add", "origin", "https://user:s3cret@github.com/acme/filters.git")
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err = Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Revision() != info.Commit+"-dirty" || info.Source != "https://github.com/acme/filters" {
		t.Errorf("info of a dirty checkout: %+v, revision %s", info, info.Revision())
	}
}

func TestReadOutsideACheckout(t *testing.T) {
	t.Parallel()
	if _, err := Read(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "run this in a git checkout") {
		t.Fatalf("error %v", err)
	}
}
