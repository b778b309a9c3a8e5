package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kubectlDiff tells kubectl's exit codes apart: a difference is not a failure, and a failure
// is not a difference. https://kubernetes.io/docs/reference/kubectl/generated/kubectl_diff/
func TestKubectlDiff(t *testing.T) {
	files := []File{{Path: "kustomization.yaml", Content: "resources: []\n"}}
	for name, test := range map[string]struct {
		ends      string // how kubectl ends
		out, want string // its output, or an error
	}{
		"same":       {"exit 0", "the cluster: no difference\n", ""},
		"difference": {`echo "-old +new"; exit 1`, "-old +new\n", ""},
		"failure":    {"echo unreachable >&2; exit 2", "", "kubectl diff: exit status 2: unreachable"},
		"arguments":  {`test "$1 $2" = "diff -k" && cat "$3/kustomization.yaml" && exit 1; exit 3`, "resources: []\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte("#!/bin/sh\n"+test.ends+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			var out strings.Builder
			err := kubectlDiff(t.Context(), files, &out)
			if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
			if out.String() != test.out {
				t.Errorf("printed %q, want %q", out.String(), test.out)
			}
		})
	}
	t.Run("not installed", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		err := kubectlDiff(t.Context(), files, &strings.Builder{})
		if err == nil || !strings.HasSuffix(err.Error(), "kubectl is not installed; install it, or compare with a folder") {
			t.Errorf("error is %v", err)
		}
	})
}
