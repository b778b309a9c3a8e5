package versions

import (
	"strings"
	"testing"
)

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
		"1.4.0\t":                          "not a semantic version",
		"1.4.0/../x":                       "not a semantic version",
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
		filter, version, err := ParseTag(tag)
		switch {
		case want.err != "":
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%q: error %v, want %q", tag, err, want.err)
			}
		case err != nil:
			t.Errorf("%q: %v", tag, err)
		case filter != want.filter || version.Original() != want.version || Tag(filter, version.Original()) != tag:
			t.Errorf("%q: filter %q, version %q, tag %q", tag, filter, version.Original(), Tag(filter, version.Original()))
		}
	}
}
