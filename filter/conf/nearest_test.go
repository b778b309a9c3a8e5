package conf

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"request", "response", "count", "on"}
	for name, want := range map[string]string{
		"respons":                     "response",
		"Response":                    "response",
		"reponce":                     "response",
		"requests":                    "request",
		"cuont":                       "count",
		"conutx":                      "",
		"xyzst":                       "",
		"coun":                        "count",
		"of":                          "on",
		"ab":                          "",
		"":                            "",
		"add":                         "",
		strings.Repeat("count", 1000): "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
