package targets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Without docker, one line says so and names what works without it.
func TestKindWithoutDocker(t *testing.T) {
	// The command is there, as docker's often is, but no daemon is behind it.
	daemonless := t.TempDir()
	script := "#!/bin/sh\nprintf 'Cannot connect to the Docker daemon.\\nIs it running?\\n' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(daemonless, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"no command": {t.TempDir(), "there is no docker on PATH"},
		"no daemon":  {daemonless, "no docker daemon answers (Cannot connect to the Docker daemon.)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			err := kindCluster(t.Context(), "up")
			if err == nil {
				t.Fatal("it goes on")
			}
			for _, want := range []string{"kind:up: ", c.want, "go tool mage mesh"} {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %q, want %q in one line", err, want)
				}
			}
		})
	}
}
