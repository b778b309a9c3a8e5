package catalog_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// pluginConfig is a filter.yaml up to its plugin configuration, whose first line is the
// seventh.
const pluginConfig = metadata + "apply:\n  failStrategy: FAIL_OPEN\n  pluginConfig:\n"

// TestReadsAsKubernetes: a configuration has the value that kubectl reads from the same text,
// or is refused with its line.
func TestReadsAsKubernetes(t *testing.T) {
	t.Parallel()
	const differs = "the YAML reader of Kubernetes makes "
	for name, test := range map[string]struct {
		yaml string // below pluginConfig
		json string
		err  string // the line and the beginning of the error
	}{
		"CRLF in quotes":             {yaml: "    a: \"x;\r\n      y\"\r\n", json: `{"a":"x; y"}`},
		"CRLF in single quotes":      {yaml: "    a: 'x;\r\n      y'\r\n", json: `{"a":"x; y"}`},
		"CRLF in a plain text":       {yaml: "    a: x\r\n      y\r\n", json: `{"a":"x y"}`},
		"CRLF in a literal":          {yaml: "    a: |\r\n      x\r\n      y\r\n", json: `{"a":"x\ny\n"}`},
		"CRLF in a folded text":      {yaml: "    a: >-\r\n      x\r\n      y\r\n\r\n      z\r\n", json: `{"a":"x y\nz"}`},
		"CR alone":                   {yaml: "    a: \"x\r      y\"\r    b: z\r", json: `{"a":"x y","b":"z"}`},
		"exponent":                   {yaml: "    a: 1e3\n    b: 1.0e3\n    c: 5e-1\n    d: 1E+3\n", json: `{"a":1000,"b":1000,"c":0.5,"d":1000}`},
		"point at an end":            {yaml: "    a: .5\n    b: 5.\n    c: +1\n    d: -0\n", json: `{"a":0.5,"b":5,"c":1,"d":0}`},
		"exponent in quotes":         {yaml: "    a: \"1e3\"\n    b: '0x1F'\n", json: `{"a":"1e3","b":"0x1F"}`},
		"too large an exponent":      {yaml: "    a: 1e400\n", err: "7: apply.pluginConfig.a: 1e400 is too large for a number; write it in quotes"},
		"hexadecimal":                {yaml: "    a: 0x1F\n", json: `{"a":31}`},
		"large hexadecimal":          {yaml: "    a: 0xFFFFFFFFFFFFFFFFF\n", err: "7: apply.pluginConfig.a: 0xFFFFFFFFFFFFFFFFF is too large"},
		"octal of YAML 1.2":          {yaml: "    a: 0o17\n", json: `{"a":15}`},
		"octal of YAML 1.1":          {yaml: "    a: 017\n", err: "7: apply.pluginConfig.a: " + differs + "the number 15 of this, and YAML 1.2 makes the number 17 of it; write the value that is meant, a text in quotes"},
		"no octal":                   {yaml: "    a: 0049\n", json: `{"a":49}`},
		"binary":                     {yaml: "    a: 0b11\n", err: "7: apply.pluginConfig.a: " + differs + `the number 3 of this, and YAML 1.2 makes the text "0b11" of it`},
		"underscores":                {yaml: "    a: 1_000\n", err: "7: apply.pluginConfig.a: " + differs + "the number 1000 of this"},
		"yes":                        {yaml: "    a:\n      - no\n      - x\n      - yes\n", err: "8: apply.pluginConfig.a[0]: " + differs + `false of this, and YAML 1.2 makes the text "no" of it`},
		"yes in quotes":              {yaml: "    a: \"yes\"\n    \"on\": 1\n", json: `{"a":"yes","on":1}`},
		"on as a key":                {yaml: "    on: 1\n", err: `7: apply.pluginConfig: the YAML reader of Kubernetes makes another key of "on"; write the key in quotes`},
		"a number as a key":          {yaml: "    8080: a\n", json: `{"8080":"a"}`},
		"another number as a key":    {yaml: "    0x10: a\n", err: `7: apply.pluginConfig: the YAML reader of Kubernetes makes another key of "0x10"`},
		"an empty key":               {yaml: "    : a\n", err: "7: "},
		"timestamps":                 {yaml: "    a: 2026-11-28\n    b: 2026-11-28T10:00:00Z\n    c: 10:30:00\n", json: `{"a":"2026-11-28","b":"2026-11-28T10:00:00Z","c":"10:30:00"}`},
		"infinity":                   {yaml: "    a: -.Inf\n", err: "7: apply.pluginConfig.a: -.Inf has no form in JSON"},
		"a key twice":                {yaml: "    a: 1\n    a: 2\n", err: "8: "},
		"null in capitals":           {yaml: "    a: NULL\n", err: "7: apply.pluginConfig.a: null gets lost"},
		"digits that get lost":       {yaml: "    a: 0x20000000000001\n", err: "7: apply.pluginConfig.a: 9007199254740993 loses digits"},
		"a line break of YAML 1.1":   {yaml: "    a: \"x\u0085      y\"\n", err: "7: "},
		"white space that is no tab": {yaml: "    a: x\u00a0y\n", json: "{\"a\":\"x\u00a0y\"}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, path, err := read(t, pluginConfig+test.yaml)
			if test.err != "" {
				if err == nil || !strings.HasPrefix(withoutColumn(err), path+":"+test.err) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error is %v\nwant it to start with the path and :%s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(m.Apply.PluginConfig)
			if err != nil || string(got) != test.json {
				t.Errorf("%s, error %v, want %s", got, err, test.json)
			}
			sameAsKubernetes(t, pluginConfig+test.yaml)
		})
	}
}

// TestByteOrderMark: an editor's byte order mark is no part of the first field's name.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	if m, _, err := read(t, "\ufeff"+metadata); err != nil || m.Title != "A" {
		t.Errorf("%+v, error %v", m, err)
	}
	if _, _, err := read(t, "\ufeff\ufeff"+metadata); err == nil {
		t.Error("two byte order marks are read")
	}
}

// sameAsKubernetes fails the test if a filter.yaml has other values here than for the library
// that kubectl reads it with.
func sameAsKubernetes(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), catalog.MetadataFile)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := catalog.ReadMetadata(path)
	if err != nil {
		return
	}
	type values struct {
		Title, Description, License string
		Example                     any
		PluginConfig                any
	}
	var want struct {
		values
		Apply *struct {
			PluginConfig any `json:"pluginConfig"`
		} `json:"apply"`
	}
	if err := yaml.Unmarshal([]byte(text), &want); err != nil {
		t.Fatalf("Kubernetes refuses it: %v\n%q", err, text)
	}
	ours := values{got.Title, got.Description, got.License, got.Example, nil}
	if got.Apply != nil {
		ours.PluginConfig = got.Apply.PluginConfig
		want.PluginConfig = want.Apply.PluginConfig
	}
	data, err := json.Marshal(ours)
	if err != nil {
		t.Fatal(err)
	}
	var read values
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.values, read); diff != "" {
		t.Errorf("Kubernetes reads other values (-Kubernetes +Slipway):\n%s\n%q", diff, text)
	}
}

// FuzzReadsAsKubernetes: whatever the text, the values are those that kubectl reads, or it is
// refused.
func FuzzReadsAsKubernetes(f *testing.F) {
	for _, text := range []string{
		"a: 1e3", "a: yes", "on: 0o17", "a: 0049\nb: 2026-11-28", "a: \"x\r\n  y\"", "a: |2-\r\n   x\r\n", "a: >+\n  x\n\n y\n",
		"a: [1, {b: .5, c: ~}]", "? a\n: b", "a: 'it''s'", "a: \"\\u0041\\x41\\e\\_\\L\\N\"", "a: b # c", "a: b#c", "a: - b", "a:\n- b\n-\n  - c",
		"a: !!str 1", "a: &b c\nd: *b", "<<: {a: b}", "{a: b, c}", "a: b\n...\n", "%YAML 1.1\n---\na: b", "a: 'x\n\n  y'", "a: x\n  y\n\n  z", "a: \t1", "\"a\\\nb\": 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sameAsKubernetes(t, metadata+text)
		sameAsKubernetes(t, metadata+"example:\n  "+strings.ReplaceAll(text, "\n", "\n  "))
		sameAsKubernetes(t, pluginConfig+"    "+strings.ReplaceAll(text, "\n", "\n    "))
	})
}
