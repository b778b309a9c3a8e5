package repository

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readPages returns the repository's pages for people, by their path from its root.
func readPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || path == "dist") {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		content, err := fs.ReadFile(root, path)
		pages[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"README.md", "deploy/README.md", "test/README.md", "RATIONALE.md", "CONTRIBUTING.md"} {
		if pages[page] == "" {
			t.Errorf("there is no %s", page)
		}
	}
	return pages
}

// TestPageLinks: every link on a page into this repository leads to a file, and to a
// heading in it.
func TestPageLinks(t *testing.T) {
	t.Parallel()
	pages := readPages(t)
	links := 0
	for page, text := range pages {
		for _, to := range linksOf(text) {
			links++
			if problem := checkLink(page, to, pages); problem != "" {
				t.Errorf("%s links to %s: %s", page, to, problem)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links in all pages", links)
	}
}

var markdownLink = regexp.MustCompile(`\]\(([^()\s]+)\)`)

// linksOf lists what a page links to within the repository.
func linksOf(text string) []string {
	var links []string
	for _, match := range markdownLink.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(match[1], "://") {
			links = append(links, match[1])
		}
	}
	return links
}

// checkLink returns what is wrong with a link on a page, or nothing.
func checkLink(page, to string, pages map[string]string) string {
	path, heading, _ := strings.Cut(to, "#")
	target := page
	if path != "" {
		target = filepath.ToSlash(filepath.Join(filepath.Dir(page), path))
	}
	if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
		return err.Error()
	}
	if heading != "" && !anchors(pages[target])[heading] {
		return "there is no such heading"
	}
	return ""
}

var (
	markdownHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInAnchor     = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors returns the anchors that GitHub makes of a page's headings.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, match := range markdownHeading.FindAllStringSubmatch(text, -1) {
		anchor := notInAnchor.ReplaceAllString(strings.ToLower(match[1]), "")
		all[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	return all
}

// The check can fail.
func TestCheckLink(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"README.md": "# Slipway\n\n## What is tested, and where\n"}
	for to, ok := range map[string]bool{
		"LICENSE": true, "deploy": true, "#what-is-tested-and-where": true, "README.md#slipway": true,
		"LICENCE": false, "#what-is-tested": false, "../README.md": false,
	} {
		if problem := checkLink("README.md", to, pages); (problem == "") != ok {
			t.Errorf("%s: %q", to, problem)
		}
	}
}

// TestHelp: for each target, "mage -h" prints one sentence, which "mage -l" could print
// too, then what a stranger needs, then an example, which is a command that exists.
func TestHelp(t *testing.T) {
	t.Parallel()
	targets := readTargets(t)
	for name, target := range targets {
		first, rest, _ := strings.Cut(target.help, "\n")
		if verb := name[strings.LastIndex(name, ":")+1:]; !strings.HasPrefix(strings.ToLower(first), verb+" ") ||
			!strings.HasSuffix(first, ".") || strings.Contains(strings.TrimSuffix(first, "."), ". ") {
			t.Errorf("%s: %q is not one sentence", name, first)
		}
		if !example.MatchString(rest) {
			t.Errorf("%s has no example:\n%s", name, target.help)
		}
		for _, line := range exampleCommand.FindAllStringSubmatch(rest, -1) {
			for _, command := range commandsOf("    " + line[1] + "\n") {
				if err := checkTargets(command, targets); err != nil {
					t.Errorf("%s: go tool mage %s: %v", name, strings.Join(command, " "), err)
				}
			}
		}
	}
}

var (
	example        = regexp.MustCompile(`\nExamples?:\n\n\t`)
	exampleCommand = regexp.MustCompile(`(?m)^\t(.*go tool mage .+)$`)
)

// TestPageCommands: each command on a page is a target of the magefile, with arguments
// that the target takes.
func TestPageCommands(t *testing.T) {
	t.Parallel()
	targets := readTargets(t)
	commands := 0
	for page, text := range readPages(t) {
		for _, command := range commandsOf(text) {
			commands++
			if err := checkTargets(command, targets); err != nil {
				t.Errorf("%s: go tool mage %s: %v", page, strings.Join(command, " "), err)
			}
		}
	}
	if commands < 40 {
		t.Errorf("only %d commands in all pages", commands)
	}
}

var (
	indentedLine = regexp.MustCompile(`(?m)^ {4}.*$`)
	comment      = regexp.MustCompile(`\s# .*`)
	mageCommand  = regexp.MustCompile(`^\s*(?:cd \S+ && )?(?:[A-Z_]+=\S+\s+)*go tool mage\s+(.+)$`)
	mageOption   = regexp.MustCompile(`^(-l|-h [A-Z]+|-w [A-Z]+)(\s+|$)`)
)

// commandsOf lists the arguments of each "go tool mage" on a page, without the
// arguments of mage itself. It finds a command on a line of its own, and within a
// sentence if it is more than a target's name.
func commandsOf(page string) [][]string {
	var commands [][]string
	add := func(code string, atLeast int) {
		code = strings.Join(strings.Fields(comment.ReplaceAllString(code, "")), " ")
		if match := mageCommand.FindStringSubmatch(code); match != nil {
			if command := strings.Fields(mageOption.ReplaceAllString(match[1], "")); len(command) >= atLeast {
				commands = append(commands, command)
			}
		}
	}
	for _, line := range indentedLine.FindAllString(page, -1) {
		add(line, 1)
	}
	for i, part := range strings.Split(indentedLine.ReplaceAllString(page, ""), "`") {
		if i%2 == 1 {
			add(part, 2)
		}
	}
	return commands
}

// Commands are found where they stand.
func TestCommandsOf(t *testing.T) {
	t.Parallel()
	const page = "Run `go tool mage -l`, then `A=b go tool mage inspect\nx.wasm`, and not `run go tool mage x y` or `go tool mage inspect`:\n\n" +
		"    go tool mage -w FOLDER release 1.0.0   # go\n    cd a && A=b go tool mage lint test\n    go tool mage lint\n"
	want := "release 1.0.0;lint test;lint;inspect x.wasm"
	var got []string
	for _, command := range commandsOf(page) {
		got = append(got, strings.Join(command, " "))
	}
	if strings.Join(got, ";") != want {
		t.Errorf("found %q, want %s", got, want)
	}
}
