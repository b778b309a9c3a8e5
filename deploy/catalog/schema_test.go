package catalog_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml/schematest"
)

// schemaFile is the schema with which editors check and complete a filter.yaml.
const schemaFile = "filter.schema.json"

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile(schemaFile)
})

func asJSON(text string) ([]byte, error) {
	var content any
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		return nil, err
	}
	return json.Marshal(content)
}

// editorSays returns the error that an editor with the schema shows for a filter.yaml.
func editorSays(t testing.TB, text string) error {
	t.Helper()
	schema, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	data, err := asJSON(text)
	if err != nil {
		return err
	}
	return schematest.Says(schema, data)
}

// unsaid names the cases of the error tables that the schema does not find. Their errors are
// in the way the YAML is written, or need a comparison that no schema can express.
var unsaid = []string{
	"two documents", "alias bomb", "merge key", "tag",
	"config loses digits", "config loses sign", "config huge number", "config too deep", "narrow mode",
}

// checkEditor checks that the schema refuses a text that the reader refuses.
func checkEditor(t *testing.T, name, text string) {
	t.Helper()
	if err := editorSays(t, text); (err == nil) != slices.Contains(unsaid, name) {
		t.Errorf("the reader refuses it, and an editor with %s says: %v", schemaFile, err)
	}
}

// TestSchemaTakesFilters: an editor accepts every filter.yaml that the reader accepts.
func TestSchemaTakesFilters(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../../filter/*/filter.yaml", "../../filter/internal/*/*/filter.yaml", "../manifest/testdata/filters/*/filter.yaml", "../../test/*/testdata/filter/*/filter.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := editorSays(t, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, text := range []string{
		metadata + "example: a=b\n",
		metadata + "apply: {failStrategy: FAIL_OPEN, targetRefs: [], selector: {app: a}}\n",
		metadata + "apply: {failStrategy: FAIL_OPEN, targetRefs: [{kind: Service, name: a}], contexts: [gateway]}\n",
		metadata + "apply: {failStrategy: FAIL_OPEN, modulesDir: /, namespace: '', mode: '', port: 0}\n",
		metadata + "apply: {failStrategy: FAIL_OPEN, vmConfig: {env: [{name: A, value: '', valueFrom: HOST}]}}\n",
	} {
		if _, _, err := read(t, text); err != nil {
			t.Errorf("the reader refuses %s: %v", text, err)
		}
		if err := editorSays(t, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestSchemaHasFields: the schema and the types have the same fields everywhere.
func TestSchemaHasFields(t *testing.T) {
	t.Parallel()
	root, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	schematest.CompareFields(t, "filter.yaml", root, reflect.TypeFor[catalog.Metadata]())
}

// FuzzSchema: the reader refuses everything that the schema refuses, except empty values.
func FuzzSchema(f *testing.F) {
	f.Add("apply: {failStrategy: FAIL_OPEN, contexts: [inbound], priority: 1}")
	f.Add("apply: {failStrategy: FAIL_CLOSE, targetRefs: [{kind: Gateway, name: a}], phase: AUTHN}")
	f.Add("apply: {failStrategy: FAIL_RELOAD, modulesDir: /a/b, vmConfig: {env: [{name: A, value: b}]}}")
	f.Add("apply: {failStrategy: FAIL_OPEN, selector: {a.b/c: d}, pluginConfig: {a: [1, 2.5, true, x]}}")
	f.Fuzz(func(t *testing.T, text string) {
		text = metadata + text
		data, err := asJSON(text)
		if err != nil || bytes.Contains(data, []byte("null")) {
			return // an empty value counts as left out
		}
		refused := editorSays(t, text)
		if refused == nil {
			return
		}
		if _, _, err := read(t, text); err == nil {
			t.Errorf("the schema refuses what is read:\n%s\n%v", text, refused)
		}
	})
}
