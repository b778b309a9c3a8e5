package actions_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/actions"
)

func TestAnnotate(t *testing.T) {
	root := t.TempDir()
	for _, file := range []string{".git/HEAD", "filter/headers/filter.yaml", "filter/headers/main.go", "filter/headers/a,b%.yaml"} {
		path := filepath.Join(root, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(root, "filter"))
	abs := filepath.Join(root, "filter/headers/filter.yaml")
	for name, c := range map[string]struct{ err, want string }{
		"none":            {"", ""},
		"line":            {"read: " + abs + ":3: title is missing", "::error file=filter/headers/filter.yaml,line=3::title is missing\n"},
		"line, column":    {"build headers: headers/main.go:3:14: undefined: x", "::error file=filter/headers/main.go,line=3,col=14::undefined: x\n"},
		"several":         {"build:\n# a\nheaders/main.go:3:14: one\nheaders/main.go:4:1: two\nexit status 1", "::error file=filter/headers/main.go,line=3,col=14::one\n::error file=filter/headers/main.go,line=4,col=1::two\n"},
		"odd name":        {"headers/a,b%.yaml:1:2: no", "::error file=filter/headers/a%2Cb%25.yaml,line=1,col=2::no\n"},
		"no place":        {"100% wrong\nand more", "::error::100%25 wrong%0Aand more\n"},
		"a host":          {"dial registry.example.com:443: no route", "::error::dial registry.example.com:443: no route\n"},
		"no such file":    {"headers/other.go:1:2: no", "::error::headers/other.go:1:2: no\n"},
		"another":         {"/etc/host.conf:1: no", "::error::/etc/host.conf:1: no\n"},
		"a command":       {"refused\r::add-mask::a\n::stop-commands::x", "::error::\"refused\\r::add-mask::a\"%0A::stop-commands::x\n"},
		"steers":          {"headers/main.go:3:14: \x1b[2J\u202eabc", "::error file=filter/headers/main.go,line=3,col=14::\"\\x1b[2J\\u202eabc\"\n"},
		"large number":    {"headers/main.go:99999999: no", "::error::headers/main.go:99999999: no\n"},
		"line of zero":    {"headers/main.go:0: no", "::error::headers/main.go:0: no\n"},
		"Windows' breaks": {"one\r\ntwo", "::error::one%0Atwo\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GITHUB_ACTIONS", "true")
			var err error
			if c.err != "" {
				err = errors.New(c.err)
			}
			var out strings.Builder
			if err := actions.Annotate(&out, err); err != nil || out.String() != c.want {
				t.Errorf("%q, %v; want %q", out.String(), err, c.want)
			}
			t.Setenv("GITHUB_ACTIONS", "")
			out.Reset()
			if err := actions.Annotate(&out, err); err != nil || out.String() != "" {
				t.Errorf("elsewhere it is %q, %v", out.String(), err)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(dir, "summary"))
	t.Setenv("GITHUB_OUTPUT", filepath.Join(dir, "output"))
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("# Two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(actions.Summarize("# One"), actions.SummarizeFile(page), actions.SummarizeFile(page+"x"), actions.Output("a", "1"), actions.Output("b", "2")); err != nil {
		t.Fatal(err)
	}
	if err := actions.Output("c", "1\nd=2"); err == nil {
		t.Error("an output may set another")
	}
	for file, want := range map[string]string{"summary": "# One\n# Two\n\n", "output": "a=1\nb=2\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", file, got, err)
		}
	}
	t.Setenv("GITHUB_STEP_SUMMARY", "")
	t.Setenv("GITHUB_OUTPUT", "")
	if err := errors.Join(actions.Summarize("a"), actions.SummarizeFile(page), actions.Output("a", "1")); err != nil {
		t.Error(err)
	}
	t.Setenv("GITHUB_OUTPUT", filepath.Join(dir, "missing", "output"))
	if err := actions.Output("a", "1"); err == nil {
		t.Error("an output is lost")
	}
}
