package repository

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// printers are the files that print what registries, storages and modules say.
var printers = []string{
	"deploy/targets/*.go", "deploy/oci/*.go", "deploy/attest/*.go", "deploy/storage/*.go",
	"deploy/release/attest.go", "deploy/release/publish.go", "deploy/internal/progress/*.go",
}

// TestPrinters: text from elsewhere is printed by package printable alone, so that it cannot
// make a line that looks like one of ours.
func TestPrinters(t *testing.T) {
	t.Parallel()
	for _, pattern := range printers {
		files, err := filepath.Glob(filepath.Join("../..", filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: files %v, error %v", pattern, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(node ast.Node) bool {
				call := called(node)
				if forbidden(call) || call == "json.NewEncoder" && strings.Contains(pattern, "targets") {
					t.Errorf("%s: %s prints; use package printable", set.Position(node.Pos()), call)
				}
				return true
			})
		}
	}
}

// called is the function that a node names, such as "fmt.Fprintln"; empty if it names none.
func called(node ast.Node) string {
	selector, ok := node.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	name, ok := selector.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return name.Name + "." + selector.Sel.Name
}

func forbidden(call string) bool {
	return strings.HasPrefix(call, "fmt.Fprint") || strings.HasPrefix(call, "fmt.Print") || call == "tabwriter.NewWriter"
}
