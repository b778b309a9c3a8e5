package repository

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// eachProductFile parses every file below deploy/ that is no test, and calls look with its name
// there.
func eachProductFile(t *testing.T, look func(name string, set *token.FileSet, file *ast.File)) {
	t.Helper()
	root := os.DirFS("../../deploy")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		look(name, set, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
