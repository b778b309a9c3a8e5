package targets

import (
	"bytes"
	"strings"
	"testing"
)

// The variables of a target are listed by group, and those that are set are marked.
func TestPrintVariables(t *testing.T) {
	t.Setenv("REGISTRY_PASSWORD", "swordfish")
	t.Setenv("REGISTRY_USERNAME", "")
	var out bytes.Buffer
	if err := printVariables(&out, "Pull"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"registry:\n", "  REGISTRY_PASSWORD     set\n", "  REGISTRY_USERNAME     not set\n      user name for the registry\n      default: the docker credential store's\n", "timeouts:\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
	for _, not := range []string{"swordfish", "STORAGE_URL  "} {
		if strings.Contains(out.String(), not) {
			t.Errorf("it has %q:\n%s", not, out.String())
		}
	}
	if n := strings.Count(out.String(), "registry:\n"); n != 1 {
		t.Errorf("the group has %d headings", n)
	}
}

func TestPrintVariablesOfNone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := printVariables(&out, "new"); err != nil || out.String() != "new reads no variable.\n" {
		t.Errorf("error %v, printed %q", err, out.String())
	}
	if err := printVariables(&out, "pus"); err == nil || !strings.Contains(err.Error(), "there is no target pus; targets are attach, ") {
		t.Errorf("error %v", err)
	}
}
