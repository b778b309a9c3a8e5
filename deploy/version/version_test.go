package version

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestRead: a version or a tag stands for the same filters wherever it is parsed.
func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text    string
		filters []string
		version string
		names   []string
		err     string // empty for none
		other   bool   // it may be something else
	}{
		{text: "1.4.0", version: "1.4.0"},
		{text: "1.4.0", filters: []string{"headers"}, version: "1.4.0", names: []string{"headers"}},
		{text: "v1.4.0", filters: []string{"headers"}, version: "1.4.0", names: []string{"headers"}},
		{text: "headers/v1.4.0", version: "1.4.0", names: []string{"headers"}},
		{text: "headers/v1.4.0", filters: []string{"headers"}, version: "1.4.0", names: []string{"headers"}},
		{text: "headers/v1.4.0", filters: []string{"authtoken"}, err: "others are asked for: authtoken"},
		{text: "headers:1.4.0", err: "not a semantic version", other: true},
		{text: "ghcr.io/acme/headers:1.4.0", err: "filter name", other: true},
		{text: "headers/1.4.0", err: "a release's tag is v1.4.0", other: true},
	} {
		v, names, err := Read(test.text, test.filters)
		if v.String() != test.version || !slices.Equal(names, test.names) || errors.Is(err, ErrOther) != test.other {
			t.Errorf("%s of %v: %s of %v, %v", test.text, test.filters, v, names, err)
		}
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s of %v: error %v, want %q", test.text, test.filters, err, test.err)
		}
	}
}

// TestJSON: a version is encoded as its text.
func TestJSON(t *testing.T) {
	t.Parallel()
	type message struct{ Version Version }
	v, err := ParseTag("headers/v1.4.0-rc.1")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(message{v})
	if err != nil || string(data) != `{"Version":"1.4.0-rc.1"}` {
		t.Fatalf("%s, %v", data, err)
	}
	var got message
	if err := json.Unmarshal(data, &got); err != nil || !got.Version.Equal(v) || got.Version.Compare(v) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"Version":"1.4"}`), &got); err == nil {
		t.Error("what is no version was read")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1.4.0":                            "",
		"0.0.0":                            "",
		"1.4.0-rc.1":                       "",
		"v1.4.0":                           "write it without the v: 1.4.0",
		"1.4":                              "not a semantic version",
		"latest":                           "not a semantic version",
		"":                                 "not a semantic version",
		"01.4.0":                           "not a semantic version",
		"1.4.0+build.5":                    "leave +build.5 out",
		"v1.2.3+build.5":                   `"v1.2.3+build.5": write it without the v; leave +build.5 out, because a registry's tag cannot hold build metadata, and versions that differ in nothing else count as equal: 1.2.3`,
		"1.2.3-rc-":                        "leave out the hyphen at its end, which a label in a cluster may not have there: 1.2.3-rc",
		"1.2.3--":                          "leave out the hyphen",
		"1.2.3-rc--+b":                     "leave +b out",
		"1.2.3--a":                         "",
		"1.4.0\t":                          "not a semantic version",
		"1.4.0/../x":                       "not a semantic version",
		"../1.4.0":                         "not a semantic version",
		"1.4.0-" + strings.Repeat("a", 57): "",
		"1.4.0-" + strings.Repeat("a", 58): "too long",
	} {
		_, err := Parse(text)
		if (want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestParseTag(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]struct{ filter, version, err string }{
		"v1.4.0":               {version: "1.4.0"},
		"v1.4.0-rc.1":          {version: "1.4.0-rc.1"},
		"headers/v1.4.0":       {filter: "headers", version: "1.4.0"},
		"1.4.0":                {err: "a release's tag is v1.4.0"},
		"headers/1.4.0":        {err: "a release's tag is v1.4.0"},
		"headers/vv1.4.0":      {err: "write it without the v"},
		"/v1.4.0":              {err: "filter name"},
		"../v1.4.0":            {err: "filter name"},
		"filter/headers/v1":    {err: "a release's tag is v1.4.0"},
		"v1.4":                 {err: "not a semantic version"},
		"v1.4.0+build":         {err: "build metadata"},
		"":                     {err: "a release's tag is v1.4.0"},
		"headers/v1.4.0/extra": {err: "not a semantic version"},
	} {
		v, err := ParseTag(tag)
		switch {
		case want.err != "":
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%q: error %v, want %q", tag, err, want.err)
			}
		case err != nil:
			t.Errorf("%q: %v", tag, err)
		case v.Filter() != want.filter || v.String() != want.version || v.Tag() != tag:
			t.Errorf("%q: filter %q, version %q, tag %q", tag, v.Filter(), v, v.Tag())
		}
	}
}
