package repository

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

// knowing lists the folders below deploy/ that may know Slipway's variables and
// targets. Programs, which read the environment themselves, and packages that only
// tests import may know them too; bench and rollout are programs in several packages.
var knowing = []string{"variables/", "targets/", "internal/advice/", "internal/foreground/", "bench/", "rollout/"}

// exceptions lists the files of other packages that read the environment or name a
// variable, with the reason.
var exceptions = map[string]string{
	"attest/actions.go":                 "GitHub Actions' identity token",
	"attest/provenance.go":              "GitHub Actions' description of the job",
	"attest/sigstore/signing/key.go":    "COSIGN_PASSWORD, which is cosign's, and not handed on as it is a secret",
	"build/compiler.go":                 "the compilers' own environment",
	"build/compiler_tinygo.go":          "whether TinyGo has a folder for its cache",
	"envoy/find.go":                     "ENVOY_VERSIONS_URL, which is func-e's",
	"envoy/funce.go":                    "func-e's folders",
	"internal/actions/actions.go":       "what GitHub Actions tells a step",
	"internal/children/environment.go":  "what programs get to know of the environment",
	"gotest/gotest.go":                  "the environment of the go command",
	"internal/gorun/gorun.go":           "the environment of the go command",
	"manifest/render/objects/render.go": "a comment for who reads the manifest",
	"release/list.go":                   "NO_COLOR",
}

// TestLibraries: a package below deploy/ that others import reads no environment. Its
// messages name no variable and no target: package advice adds those.
func TestLibraries(t *testing.T) {
	t.Parallel()
	names := []string{"go tool mage"}
	for _, v := range variables.Describe[variables.Values]() {
		names = append(names, `\b`+v.Name+`\b`)
	}
	named := regexp.MustCompile(strings.Join(names, "|"))
	found := map[string]bool{}
	files := 0
	eachProductFile(t, func(name string, set *token.FileSet, file *ast.File) {
		if isKnowing(name) || file.Name.Name == "main" {
			return
		}
		files++
		excepted := func() bool {
			found[name] = true
			return exceptions[name] != ""
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.BasicLit:
				if name := named.FindString(n.Value); name != "" && n.Kind == token.STRING && !excepted() {
					t.Errorf("%s says %q; return an error of the field, and add what to do to deploy/internal/advice", set.Position(n.Pos()), name)
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "os" && readsEnvironment.MatchString(n.Sel.Name) && !excepted() {
					t.Errorf("%s reads the environment; take an option, which a target fills from deploy/variables", set.Position(n.Pos()))
				}
			}
			return true
		})
	})
	if files < 60 {
		t.Errorf("only %d files were looked at", files)
	}
	for name := range exceptions {
		if !found[name] {
			t.Errorf("%s needs no exception", name)
		}
	}
}

var readsEnvironment = regexp.MustCompile(`^(Getenv|LookupEnv|Environ|ExpandEnv)$`)

func isKnowing(name string) bool {
	folder := path.Dir(name) + "/"
	return slices.ContainsFunc(knowing, func(k string) bool { return strings.HasPrefix(folder, k) }) ||
		strings.HasSuffix(folder, "test/") && folder != "attest/" && folder != "gotest/"
}

// TestAdvice: every error of a target is returned with what to do about it.
func TestAdvice(t *testing.T) {
	t.Parallel()
	code := parse(t, "deploy/targets")
	targets := 0
	for name := range code.targets {
		if strings.HasPrefix(name, ".") {
			continue // a method by pointer, which is no target
		}
		targets++
		for _, body := range code.bodies[name] {
			ast.Inspect(body, func(node ast.Node) bool {
				switch n := node.(type) {
				case *ast.FuncLit:
					return false
				case *ast.ReturnStmt:
					if last := n.Results[len(n.Results)-1]; !isAdvised(last) {
						t.Errorf("%s returns an error without advice.Add", name)
					}
				}
				return true
			})
		}
	}
	if targets < 25 {
		t.Errorf("only %d targets", targets)
	}
}

// isAdvised reports whether an expression is nil, a call of advice.Add, or a call of
// do, which calls advice.Add.
func isAdvised(expr ast.Expr) bool {
	switch e := expr.(type) {
	case *ast.Ident:
		return e.Name == "nil"
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.Ident:
			return f.Name == "do" || f.Name == "ended"
		case *ast.SelectorExpr:
			x, ok := f.X.(*ast.Ident)
			return ok && x.Name == "advice" && f.Sel.Name == "Add"
		}
	}
	return false
}
