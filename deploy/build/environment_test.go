package build

import (
	"strings"
	"testing"
)

// TestKnowsNoSecret: compilers see no secret.
func TestKnowsNoSecret(t *testing.T) {
	t.Setenv("REGISTRY_PASSWORD", "s3cret")
	if all := strings.Join(environment("local", ""), "\n"); !strings.Contains(all, "PATH=") || strings.Contains(all, "s3cret") {
		t.Errorf("a compiler knows %s", all)
	}
}
