package importer

import (
	"strings"
	"testing"
)

// The programs that link too much for a magefile are fetched and built when a target first
// needs them. Each says here what only the program itself can know, so it has started. TestScenario
// runs the mesh.
func TestPlaces(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	for _, c := range []struct {
		target []string
		env    string
		want   string
	}{
		{[]string{"soak", "1s"}, "", "too short to tell growth from warming up"},
		{[]string{"bench"}, "BENCH_ONLY=nothing", `BENCH_ONLY is "nothing"`},
		{[]string{"kind:smoke"}, "KUBECONFIG=" + dir + "/nowhere", "find a cluster"},
	} {
		cmd := command(t, dir, "go", append([]string{"tool", "mage"}, c.target...)...)
		cmd.Env = append(cmd.Env, c.env)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, want %q in\n%s", c.target[0], err, c.want, out)
		}
	}
}
