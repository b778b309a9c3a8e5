package gitinfo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKnowsNoSecret: git, and what it starts, sees no secret.
func TestKnowsNoSecret(t *testing.T) {
	t.Setenv("REGISTRY_PASSWORD", "s3cret")
	t.Setenv("GIT_AUTHOR_NAME", "Ann")
	out, err := Git(t.Context(), GitOptions{Dir: t.TempDir()}, "-c", "alias.environment=!env", "environment")
	if err != nil || !strings.Contains(out, "GIT_AUTHOR_NAME=Ann") || strings.Contains(out, "s3cret") {
		t.Errorf("git knows %q, error %v", out, err)
	}
}

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
	run("config", "status.showUntrackedFiles", "no") // which is for the terminal
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

// TestReadOfAnother: git's advice about a checkout of another user stands alone.
func TestReadOfAnother(t *testing.T) {
	dir := t.TempDir()
	if _, err := Git(t.Context(), GitOptions{Dir: dir}, "init", "-q"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1") // of git itself, for its own tests
	_, err := Read(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "safe.directory") || strings.Contains(err.Error(), "run this in a git checkout") {
		t.Errorf("error %v", err)
	}
}

// TestReadFiles: each published file must be the one of the commit, even if git's status does
// not show that it differs.
func TestReadFiles(t *testing.T) {
	t.Parallel()
	const source = "package main\n"
	for name, test := range map[string]struct {
		// change makes a checkout that git's status calls clean.
		change func(c checkout)
		want   string // the files in Changed; empty if all are as in the commit
	}{
		"nothing":      {func(checkout) {}, ""},
		"ignored":      {func(c checkout) { c.write("new.ignored.go", source) }, "new.ignored.go"},
		"info/exclude": {func(c checkout) { c.write(".git/info/exclude", "new.go\n"); c.write("new.go", source) }, "new.go"},
		"not shown":    {func(c checkout) { c.git("config", "status.showUntrackedFiles", "no"); c.write("new.go", source) }, "new.go"},
		"assumed": {func(c checkout) {
			c.git("update-index", "--assume-unchanged", "main.go")
			c.write("main.go", source+"\n")
		}, "main.go"},
		"skipped": {func(c checkout) {
			c.git("update-index", "--skip-worktree", "main.go")
			c.write("main.go", source+"\n")
		}, "main.go"},
		"in a folder": {func(c checkout) { c.write("a b/new.ignored.go", source) }, filepath.Join("a b", "new.ignored.go")},
		"replaced": {func(c checkout) {
			c.git("checkout", "-q", "--detach")
			c.write("main.go", source+"\n")
			c.git("commit", "-q", "-am", "other")
			c.git("replace", "main", "HEAD")
			c.git("checkout", "-q", "main")
		}, "main.go"},
		// Git's own conversions do not count as a change.
		"line ends": {func(c checkout) {
			c.git("config", "core.autocrlf", "true")
			c.write("main.go", strings.ReplaceAll(source, "\n", "\r\n"))
			c.git("add", ".")
		}, ""},
		"line ends as committed": {func(c checkout) {
			c.write("dos.go", "package main\r\n")
			c.git("add", ".")
			c.git("commit", "-q", "-m", "second")
			c.git("config", "core.autocrlf", "true")
		}, ""},
		"filter": {func(c checkout) {
			c.write("table.txt", "large")
			c.write(".gitattributes", "*.txt filter=pointer\n")
			c.git("config", "filter.pointer.clean", "printf pointer")
			c.git("add", ".")
			c.git("commit", "-q", "-m", "second")
		}, ""},
		"link": {func(c checkout) {
			c.link("main.go", "linked.go")
			c.git("add", ".")
			c.git("commit", "-q", "-m", "second")
		}, ""},
		"link to ignored": {func(c checkout) {
			c.write("new.ignored.go", source)
			c.link("new.ignored.go", "linked.go")
			c.git("add", ".")
			c.git("commit", "-q", "-m", "second")
		}, "new.ignored.go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := checkout{t, t.TempDir()}
			c.git("init", "-q", "-b", "main")
			c.write(".gitignore", "*.ignored.go\n")
			c.write("main.go", source)
			c.git("add", ".")
			c.git("commit", "-q", "-m", "first")
			test.change(c)
			if _, unknown := c.read(); name != "not shown" && unknown.Dirty {
				t.Fatalf("git's status is not clean: %s", c.git("status", "--short"))
			}
			files, info := c.read("*.go", "*.txt", "a b/*.go")
			if len(files) == 0 {
				t.Fatal("there are no files")
			}
			if got := strings.Join(info.Changed, ","); got != test.want || info.Dirty != (test.want != "") {
				t.Errorf("of %q it names %q, want %q; dirty is %v", files, got, test.want, info.Dirty)
			}
		})
	}
}

// A file outside the checkout is in no commit.
func TestReadFilesOutside(t *testing.T) {
	t.Parallel()
	c := checkout{t, t.TempDir()}
	c.git("init", "-q")
	c.git("commit", "-q", "--allow-empty", "-m", "first")
	outside := checkout{t, t.TempDir()}
	outside.write("main.go", "package main\n")
	file := filepath.Join(outside.dir, "main.go")
	info, err := Read(t.Context(), c.dir, file)
	if err != nil || !info.Dirty || len(info.Changed) != 1 || info.Changed[0] != file {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := Read(t.Context(), c.dir, filepath.Join(c.dir, "nowhere.go")); err == nil || !strings.Contains(err.Error(), "compare the checkout with its commit") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// checkout is a repository in a folder.
type checkout struct {
	t   *testing.T
	dir string
}

func (c checkout) git(args ...string) string {
	c.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (c checkout) write(name, content string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c checkout) link(to, name string) {
	c.t.Helper()
	if err := os.Symlink(to, filepath.Join(c.dir, name)); err != nil {
		c.t.Fatal(err)
	}
}

// read reads the facts with the files that match the patterns.
func (c checkout) read(patterns ...string) (files []string, info Info) {
	c.t.Helper()
	for _, pattern := range patterns {
		matches, err := filepath.Glob(filepath.Join(c.dir, pattern))
		if err != nil {
			c.t.Fatal(err)
		}
		files = append(files, matches...)
	}
	info, err := Read(c.t.Context(), c.dir, files...)
	if err != nil {
		c.t.Fatal(err)
	}
	return files, info
}
