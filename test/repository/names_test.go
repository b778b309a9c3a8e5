package repository

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// ownFilter matches a text that names one of Slipway's filters. The name headers is also a
// word, so it counts only as a path or where a filter is looked for.
var ownFilter = regexp.MustCompile(`authtoken|requestlog|filter/headers|^headers[:/@]`)

// TestNames: the product knows no filter by its name, because every repository has its own.
// Examples in comments are none of that.
func TestNames(t *testing.T) {
	t.Parallel()
	files := 0
	eachProductFile(t, func(_ string, set *token.FileSet, file *ast.File) {
		files++
		ast.Inspect(file, func(node ast.Node) bool {
			if text, ok := node.(*ast.BasicLit); ok && text.Kind == token.STRING && namesFilter(text.Value) {
				t.Errorf("deploy/%s names a filter: %s", set.Position(text.Pos()), text.Value)
			}
			return true
		})
	})
	if files < 150 {
		t.Errorf("only %d files were looked at", files)
	}
}

func namesFilter(literal string) bool { return ownFilter.MatchString(strings.Trim(literal, "`\"")) }

// The check can fail.
func TestNamesFilter(t *testing.T) {
	t.Parallel()
	for literal, want := range map[string]bool{
		`"requestlog"`: true, `"an authtoken"`: true, "`filter/headers`": true, `"headers:1.4.0"`: true, `"headers"`: false, `"oci"`: false,
	} {
		if got := namesFilter(literal); got != want {
			t.Errorf("%s names a filter: %v", literal, got)
		}
	}
}
