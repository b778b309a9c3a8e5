package smoke

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
)

// TestMain lets the test binary be kubectl, as the command is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == kubectl.Command {
		kubectl.Main()
	}
	os.Exit(m.Run())
}

// golden are manifests as "mage render" writes them; in this folder they are those
// of one filter.
const golden = "../../../manifest/testdata/golden"

// manifests copies rendered manifests. One filter has every form; the copy names it
// headers.
func manifests(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for from, to := range map[string]string{"sidecar": "headers", "everywhere": "everywhere"} {
		if err := os.CopyFS(filepath.Join(dir, to), os.DirFS(filepath.Join(golden, from))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// kustomize builds a folder.
func kustomize(t *testing.T, folder string) string {
	t.Helper()
	out, err := kubectl.Kubectl{}.Run(t.Context(), nil, "kustomize", folder)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	m := &mesh{httpbin: filepath.Join(manifests(t), "headers", httpbinForm), registry: "registry.example:5000"}
	folder, err := m.overlay("a-namespace")
	if err != nil {
		t.Fatal(err)
	}
	got := kustomize(t, folder)
	for want, times := range map[string]int{
		"namespace: a-namespace\n":                                               3, // service account, service, deployment
		"sidecar.istio.io/componentLogLevel: wasm:info,misc:error\n":             1,
		"proxyMetadata: {WASM_INSECURE_REGISTRIES: \"registry.example:5000\"}\n": 1,
		"terminationGracePeriodSeconds: 1\n":                                     1,
		"sidecar.istio.io/inject: \"true\"\n":                                    1, // still there
	} {
		if n := strings.Count(got, want); n != times {
			t.Errorf("%q is there %d times, want %d:\n%s", want, n, times, got)
		}
	}
}

// The smoke test's forms are all rendered, and every mistake can be made.
func TestAdmissionFiles(t *testing.T) {
	t.Parallel()
	dir := manifests(t)
	for _, form := range istioForms {
		folder, err := oneForm(dir, form)
		if err != nil {
			t.Fatal(err)
		}
		// httpbin is the same for each filter, and has three objects.
		want := map[bool]int{true: 3, false: 2}[form == httpbinForm]
		if n := strings.Count(kustomize(t, folder), "\nkind: "); n != want {
			t.Errorf("form %s has %d objects, want %d", form, n, want)
		}
	}
	for _, r := range refusals {
		content, err := os.ReadFile(filepath.Join(dir, "headers", r.file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), r.old) {
			t.Errorf("%s: %s has no %q", r.name, r.file, r.old)
		}
	}
	if _, err := oneForm(dir, "nothing"); err == nil {
		t.Error("a form that is not there gives no error")
	}
}

// It is an error if the file is accepted, or refused for another reason.
func TestRefusals(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.Canceled) // one try
	unreachable := kubectl.Kubectl{Kubeconfig: filepath.Join(t.TempDir(), "missing")}
	for _, r := range refusals {
		if err := r.check(ctx, unreachable, manifests(t)); err == nil {
			t.Errorf("%s: refused by nobody, and no error", r.name)
		}
	}
}

func TestPods(t *testing.T) {
	t.Parallel()
	container := corev1.Container{Name: proxy}
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want bool
	}{
		"container":      {corev1.PodSpec{Containers: []corev1.Container{{Name: "httpbin"}, container}}, true},
		"init container": {corev1.PodSpec{InitContainers: []corev1.Container{container}}, true},
		"none":           {corev1.PodSpec{Containers: []corev1.Container{{Name: "httpbin"}}}, false},
	} {
		if got := hasSidecar(&corev1.Pod{Spec: c.spec}); got != c.want {
			t.Errorf("%s: has a sidecar: %v", name, got)
		}
	}
	pod := corev1.Pod{}
	pod.Name = "httpbin-1"
	pod.Status = corev1.PodStatus{
		Phase:             corev1.PodPending,
		Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "containers with unready status: [httpbin]"}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "httpbin", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}},
	}
	if ready(pod) {
		t.Error("an unready pod is ready")
	}
	const want = "pod httpbin-1 is Pending; containers with unready status: [httpbin]; httpbin: ImagePullBackOff no such image"
	if got := describe(pod); got != want {
		t.Errorf("described as %q, want %q", got, want)
	}
	pod.Status.Conditions[0].Status = corev1.ConditionTrue
	if !ready(pod) {
		t.Error("a ready pod is not")
	}
}

// One file that fails does not keep the others from being written.
func TestWrite(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new")
	err := write(folder, map[string]func() (string, error){
		"a": func() (string, error) { return "text", nil },
		"b": func() (string, error) { return "", os.ErrDeadlineExceeded },
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"a": "text", "b": os.ErrDeadlineExceeded.Error() + "\n"} {
		if got, err := os.ReadFile(filepath.Join(folder, file)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
		}
	}
}
