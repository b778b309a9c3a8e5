package repository

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

var update = flag.Bool("update", false, "write the tables of variables into the pages")

// TestVariableTables: each page's table of variables matches the structs.
func TestVariableTables(t *testing.T) {
	t.Parallel()
	for page, list := range map[string][]variables.Variable{
		"deploy/README.md": variables.Describe[variables.Values](),
		"test/README.md":   ownVariables(),
	} {
		const head = "| variable | meaning | default |\n|---|---|---|\n"
		want := head
		for _, v := range list {
			if v.Name == "" || v.Group == "" || v.Doc == "" || v.Default == "" {
				t.Errorf("a variable is not described: %+v", v)
			}
			want += fmt.Sprintf("| `%s` | %s | %s |\n", v.Name, v.Doc, v.Default)
		}
		file := filepath.Join("../..", page)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before, table, found := strings.Cut(string(content), head)
		rest := table
		for strings.HasPrefix(rest, "|") {
			_, rest, _ = strings.Cut(rest, "\n")
		}
		got := head + strings.TrimSuffix(table, rest)
		switch {
		case !found:
			t.Errorf("%s has no table of variables, which begins with\n%s", page, head)
		case got != want && *update:
			if err := os.WriteFile(file, []byte(before+want+rest), 0o644); err != nil {
				t.Fatal(err)
			}
		case got != want:
			t.Errorf("%s has a table of variables that is not that of the code; write it with\n\n    go test ./test/repository -run VariableTables -update\n\nIt is\n%s\nand should be\n%s", page, got, want)
		}
	}
}

func ownVariables() []variables.Variable {
	return slices.Concat(variables.Describe[variables.Kind](), variables.Describe[variables.Bench]())
}

// program is code that a target runs: a function of a package and everything it calls
// in that package. With an empty name it is the whole package.
type program struct{ dir, function string }

// programs lists the code outside deploy/targets that targets run.
var programs = map[string][]program{
	"bench":      {{"deploy/bench", "runBench"}},
	"dev":        {{"deploy/dev", ""}, {"deploy/internal/foreground", ""}},
	"doctor":     {{"deploy/doctor", ""}},
	"e2e":        {{"deploy/e2e", ""}, {"test/e2e", ""}},
	"kind:smoke": {{"deploy/rollout/kind", "smokeOptions"}, {"deploy/targets", "Published"}},
	"kind:up":    {{"deploy/rollout/kind", "upOptions"}},
	"mesh":       {{"deploy/rollout/mesh", ""}},
	"release":    {{"deploy/e2e", ""}},
	"run":        {{"deploy/run", ""}, {"deploy/internal/foreground", ""}},
	"soak":       {{"deploy/bench", "runSoak"}},
	"test":       {{"test/stores", ""}},
}

// elsewhere are the variables that a program reads by itself.
var elsewhere = map[string][]string{
	"attest":           {"COSIGN_PASSWORD"}, // deploy/attest/sigstore
	"github:preflight": {"COSIGN_PASSWORD"},
	"release":          {"COSIGN_PASSWORD"},
}

// TestVariables: "go tool mage vars -target=NAME" lists exactly the variables that the
// code of each target reads, and every variable belongs to some target.
func TestVariables(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for name, target := range readTargets(t) {
		from := slices.Concat(programs[name], []program{{"deploy/targets", name}})
		found := map[string]bool{}
		for _, p := range from {
			for _, variable := range variablesIn(t, p) {
				found[variable] = true
			}
		}
		for _, variable := range elsewhere[name] {
			found[variable] = true
		}
		for _, variable := range target.variables {
			used[variable] = true
			if !found[variable] {
				t.Errorf("vars says that %s reads %s, which it does not", name, variable)
			}
			delete(found, variable)
		}
		for variable := range found {
			t.Errorf("%s reads %s, and vars does not say so", name, variable)
		}
	}
	for _, v := range slices.Concat(variables.Describe[variables.Values](), ownVariables()) {
		if !used[v.Name] {
			t.Errorf("no target reads %s", v.Name)
		}
	}
}

// variablesIn lists the variables that a program's code reads from the structs that
// hold them.
func variablesIn(t *testing.T, p program) []string {
	t.Helper()
	code := parse(t, p.dir)
	var next []string
	for name := range code.bodies {
		if p.function == "" || name == p.function || code.targets[name] == p.function {
			next = append(next, name)
		}
	}
	var found []string
	var visit func(ast.Node) bool
	visit = func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.SelectorExpr:
			if variable := fieldVariables[n.Sel.Name]; variable != "" && holdsVariables(n.X) {
				found = append(found, variable)
			}
			if x, ok := n.X.(*ast.Ident); ok && code.imports[x.Name] {
				return false // another package's
			}
			next = append(next, "."+n.Sel.Name)
			ast.Inspect(n.X, visit)
			return false
		case *ast.KeyValueExpr:
			ast.Inspect(n.Value, visit)
			return false // the key is a field's name
		case *ast.Ident:
			next = append(next, n.Name)
		}
		return true
	}
	seen := map[string]bool{}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		for _, body := range code.bodies[name] {
			ast.Inspect(body, visit)
		}
	}
	return found
}

// code is the code of a package, as far as names identify it.
type code struct {
	imports map[string]bool
	// bodies are those of functions by their names, and of methods by theirs with a dot
	// before it.
	bodies map[string][]*ast.BlockStmt
	// targets are the names that mage gives to what is exported.
	targets map[string]string
}

func parse(t *testing.T, dir string) code {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s, error %v", len(files), dir, err)
	}
	c := code{map[string]bool{}, map[string][]*ast.BlockStmt{}, map[string]string{}}
	for _, name := range files {
		// In test/, tests are what runs.
		if strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(dir, "test/") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			name := path.Base(strings.Trim(i.Path.Value, `"`))
			if i.Name != nil {
				name = i.Name.Name
			}
			c.imports[name] = true
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			name, target := f.Name.Name, strings.ToLower(f.Name.Name)
			if f.Recv != nil {
				name = "." + name
				if namespace, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
					target = strings.ToLower(namespace.Name) + ":" + target
				}
			}
			c.bodies[name] = append(c.bodies[name], f.Body)
			if f.Name.IsExported() {
				c.targets[name] = target
			}
		}
	}
	return c
}

// holdsVariables reports whether an expression is one of the structs, by its name.
func holdsVariables(expr ast.Expr) bool {
	switch x := expr.(type) {
	case *ast.Ident:
		return slices.Contains([]string{"c", "cfg", "own"}, x.Name)
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "config")
	}
	return false
}

// fieldVariables are the variables by the names of the fields that hold them.
var fieldVariables = func() map[string]string {
	all := map[string]string{}
	for _, t := range []reflect.Type{reflect.TypeFor[variables.Values](), reflect.TypeFor[variables.Kind](), reflect.TypeFor[variables.Bench]()} {
		for field := range t.Fields() {
			all[field.Name] = field.Tag.Get("env")
		}
	}
	return all
}()
