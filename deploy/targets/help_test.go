package targets_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/config"
)

// helps returns what "mage -h" prints for each target, by its function's name.
func helps(t *testing.T) map[string]string {
	t.Helper()
	helps := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	multiline := map[bool]bool{} // by whether it is the magefile
	for _, name := range append(files, "../../magefile.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		// One file speaks for its package.
		if strings.Contains(file.Doc.Text()+comments(file), "mage:multiline") {
			multiline[name == "../../magefile.go"] = true
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.IsExported() && f.Name.Name != "Published" {
				helps[f.Name.Name] = f.Doc.Text()
			}
		}
	}
	if len(multiline) != 2 {
		t.Error("a package of targets lacks mage:multiline, without which help is one long line")
	}
	return helps
}

func comments(file *ast.File) string {
	var all strings.Builder
	for _, group := range file.Comments {
		for _, comment := range group.List {
			all.WriteString(comment.Text)
		}
	}
	return all.String()
}

// row is a variable in a help text, with the lines that follow it.
var row = regexp.MustCompile(`(?m)^\t([A-Z][A-Z_]+) +(\S.*(?:\n\t {22}.*)*)$`)

// Every help text stands alone, and says of variables what the code has.
func TestHelp(t *testing.T) {
	t.Parallel()
	variables := map[string]string{}
	for _, v := range config.Variables() {
		variables[v.Name] = v.Doc + " (" + v.Default + ")"
	}
	explained := map[string]bool{}
	for name, help := range helps(t) {
		first, rest, _ := strings.Cut(help, "\n")
		if !strings.HasPrefix(first, name+" ") || !strings.HasSuffix(first, ".") || strings.Contains(strings.TrimSuffix(first, "."), ". ") {
			t.Errorf("%s: %q is not one sentence, which \"mage -l\" could print", name, first)
		}
		if !strings.Contains(rest, "\nExample:\n\n\t") && !strings.Contains(rest, "\nExamples:\n\n\t") {
			t.Errorf("%s has no example", name)
		}
		for _, match := range row.FindAllStringSubmatch(rest, -1) {
			got := strings.Join(strings.Fields(match[2]), " ")
			if want := variables[match[1]]; got != want {
				t.Errorf("%s says of %s\n%s\nand package config says\n%s", name, match[1], got, want)
			}
			explained[match[1]] = true
		}
	}
	for name := range variables {
		if !explained[name] {
			t.Errorf("no target's help says what %s is", name)
		}
	}
}
