package kubectl

import (
	"os"
	"strings"
	"testing"
)

// TestMain lets the test binary be kubectl.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		Main()
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	t.Parallel()
	out, err := Kubectl{Kubeconfig: "nowhere", Context: "c", Namespace: "n"}.Run(t.Context(), nil, "version", "--client")
	if err != nil || !strings.Contains(out, "Client Version: v") {
		t.Errorf("printed %q, error %v", out, err)
	}
	_, err = Kubectl{Kubeconfig: "nowhere"}.In("n").Run(t.Context(), nil, "get", "pods")
	if err == nil || !strings.HasPrefix(err.Error(), "kubectl get pods: ") || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v, want what kubectl said", err)
	}
}
