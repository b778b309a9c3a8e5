package smoke

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/rollout/kind/istio"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
)

// keepTimeout bounds what is done after a failure.
const keepTimeout = time.Minute

// Keep writes what helps to find out why a scenario failed: the proxy's log, its
// configuration and statistics, what the namespace holds, and its events. It returns
// the folder that it writes to.
func (w *workload) Keep(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	folder := w.mesh.folderOf(w.Namespace())
	keep := map[string]func() (string, error){
		"events.txt":    kubectlOutput(ctx, w.kubectl, "get", "events", "--sort-by=.lastTimestamp", "--output=wide"),
		"pods.txt":      kubectlOutput(ctx, w.kubectl, "describe", "pods"),
		"manifests.txt": kubectlOutput(ctx, w.kubectl, "get", "wasmplugins,trafficextensions,envoyfilters,sidecars,deployments,services", "--output=yaml"),
		"httpbin.log":   kubectlOutput(ctx, w.kubectl, "logs", "--selector=app=httpbin", "--tail=-1", "--container=httpbin"),
		"proxy.log":     kubectlOutput(ctx, w.kubectl, "logs", "--selector=app=httpbin", "--tail=-1", "--container="+proxy),
	}
	if w.admin != nil {
		for file, path := range map[string]string{"config_dump.json": "/config_dump?include_eds", "stats.txt": "/stats", "clusters.txt": "/clusters"} {
			keep[file] = func() (string, error) { return w.Admin(ctx, path) }
		}
	}
	return folder, write(folder, keep)
}

// keepControlPlane does the same for the control plane, which all scenarios share.
func (m *mesh) keepControlPlane(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	k := m.kubectl.In(istio.Namespace)
	return write(m.folderOf(istio.Namespace), map[string]func() (string, error){
		"events.txt": kubectlOutput(ctx, k, "get", "events", "--sort-by=.lastTimestamp", "--output=wide"),
		"pods.txt":   kubectlOutput(ctx, k, "describe", "pods"),
		"istiod.log": kubectlOutput(ctx, k, "logs", "--selector=app=istiod", "--tail=-1"),
	})
}

func kubectlOutput(ctx context.Context, k kubectl.Kubectl, args ...string) func() (string, error) {
	return func() (string, error) { return k.Run(ctx, nil, args...) }
}

// write writes the files. If it cannot get a file's content, it writes the error in its
// place.
func write(folder string, files map[string]func() (string, error)) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var errs []error
	for name, content := range files {
		text, err := content()
		if err != nil {
			text = strings.TrimSpace(text+"\n"+err.Error()) + "\n"
		}
		errs = append(errs, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	return errors.Join(errs...)
}
