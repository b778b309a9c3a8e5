//go:build linux

// Package agent runs Istio's agent, and the Envoy that it starts, as plain processes.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
)

// istio is the module of the programs below deploy/rollout, whose go.mod names the agent.
const istio = "deploy/rollout"

// Build returns the binary of Istio's agent. After the first time, it comes from Go's build
// cache. out is told that this can take minutes.
func Build(ctx context.Context, out io.Writer) (string, error) {
	fmt.Fprintln(out, "mesh: building Istio's agent, which takes minutes the first time")
	return gorun.Tool(ctx, istio, "pilot-agent")
}

// BootstrapTemplate returns the file that Istio's images have in /var/lib/istio/envoy.
func BootstrapTemplate(ctx context.Context) (string, error) {
	folder, err := gorun.Folder(ctx, istio)
	if err != nil {
		return "", err
	}
	dir, err := gorun.Output(ctx, folder, "list", "-m", "-f", "{{.Dir}}", "istio.io/istio")
	return filepath.Join(dir, "tools", "packaging", "common", "envoy_bootstrap.json"), err
}

// Options say how an agent runs. All are required.
type Options struct {
	Binary, Envoy, Bootstrap string // files
	Istiod, Registry         string // hosts and ports
	Dir                      string // for what the agent writes; created
	Namespace                string
	Admin, Status            int // ports of Envoy's admin interface and the agent's own
	Ready, Metrics           int // ports of listeners that Istio adds to Envoy
}

// Agent is a running agent of Istio's, with its Envoy.
type Agent struct {
	process *os.Process
	logFile string
	done    chan struct{}
	err     error // of the process; read after done
}

// Start starts an agent and its Envoy. They end with this process, even if it is killed.
func Start(o Options) (*Agent, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	a := &Agent{logFile: filepath.Join(o.Dir, "agent.log"), done: make(chan struct{})}
	// For appending, because the agent and Envoy both write to it.
	logs, err := os.OpenFile(a.logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer logs.Close() //nolint:errcheck // the process has its own

	cmd := exec.Command(o.Binary, "proxy", "sidecar",
		"--domain", o.Namespace+".svc.cluster.local",
		"--log_output_level", "default:info,xdsproxy:debug", // tells what Envoy asks for and gets
		"--proxyLogLevel", "warning",
		"--proxyComponentLogLevel", "wasm:info")
	cmd.Dir = o.Dir // all its paths are below this, except one: see DataDir
	cmd.Env = append(os.Environ(),
		"POD_NAME=httpbin",
		"POD_NAMESPACE="+o.Namespace,
		"INSTANCE_IP=127.0.0.1",
		"SERVICE_ACCOUNT=httpbin",
		"ISTIO_META_CLUSTER_ID=Kubernetes",
		"ISTIO_META_INTERCEPTION_MODE=NONE",
		`ISTIO_METAJSON_LABELS={"app":"httpbin"}`,
		"FILE_MOUNTED_CERTS=true", // asks nobody for a certificate
		"GRPC_XDS_BOOTSTRAP=",
		"WASM_INSECURE_REGISTRIES="+o.Registry,
		fmt.Sprintf("ENVOY_STATUS_PORT=%d", o.Ready),
		fmt.Sprintf("ENVOY_PROMETHEUS_PORT=%d", o.Metrics),
		fmt.Sprintf("PROXY_CONFIG={binaryPath: %q, configPath: %q, proxyBootstrapTemplatePath: %q, discoveryAddress: %q, "+
			"controlPlaneAuthPolicy: NONE, proxyAdminPort: %d, statusPort: %d, terminationDrainDuration: 0s, drainDuration: 1s, concurrency: 1}",
			o.Envoy, filepath.Join(o.Dir, "proxy"), o.Bootstrap, o.Istiod, o.Admin, o.Status))
	cmd.Stdout, cmd.Stderr = logs, logs
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// Ctrl-C goes to the mesh, which then ends its agents.
		Setpgid: true,
		// If the mesh is killed, the kernel ends the agents. It does not use SIGKILL,
		// after which nobody would end Envoy.
		Pdeathsig: syscall.SIGTERM,
	}
	started := make(chan error, 1)
	go func() {
		// The signal comes when the thread ends that started the process:
		// https://github.com/golang/go/issues/27505
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			a.err = cmd.Wait()
			close(a.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start Istio's agent: %w", err)
	}
	a.process = cmd.Process
	return a, nil
}

// Stop kills the agent and its Envoy, which are a process group of their own. (An
// agent that is asked to end waits for its Envoy, which may be compiling a module.)
func (a *Agent) Stop() error {
	var err error
	select {
	case <-a.done:
		err = fmt.Errorf("the agent exited by itself: %w\n  %s", a.err, a.LastWords())
	default:
	}
	if e := syscall.Kill(-a.process.Pid, syscall.SIGKILL); e != nil && !errors.Is(e, syscall.ESRCH) {
		err = errors.Join(err, fmt.Errorf("kill the agent and its Envoy: %w", e))
	}
	<-a.done
	return err
}

// Done is closed when the agent has exited.
func (a *Agent) Done() <-chan struct{} { return a.done }

// LogFile is the file with what the agent and its Envoy log.
func (a *Agent) LogFile() string { return a.logFile }

// LastWords are the last lines of the log, and where all of it lies.
func (a *Agent) LastWords() string {
	content, err := os.ReadFile(a.logFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(append(lines[max(0, len(lines)-20):], "the whole log: "+a.logFile), "\n  ")
}
