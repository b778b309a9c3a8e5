//go:build mesh && linux

package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// buildAgent returns the binary of Istio's agent. After the first time, it comes from
// Go's build cache.
func buildAgent(ctx context.Context) (string, error) {
	fmt.Println("mesh: building Istio's agent, which takes minutes the first time")
	return goCommand(ctx, "tool", "-n", "pilot-agent")
}

// bootstrapTemplate is the file that Istio's images have in /var/lib/istio/envoy.
func bootstrapTemplate(ctx context.Context) (string, error) {
	dir, err := goCommand(ctx, "list", "-m", "-f", "{{.Dir}}", "istio.io/istio")
	return filepath.Join(dir, "tools", "packaging", "common", "envoy_bootstrap.json"), err
}

func goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	// Interrupted, it ends its compilers.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// agentOptions say how an agent runs. All are required.
type agentOptions struct {
	binary, envoy, bootstrap string // files
	istiod, registry         string // hosts and ports
	dir                      string // for what the agent writes; created
	namespace                string
	admin, status            int // ports of Envoy's admin interface and the agent's own
	ready, metrics           int // ports of listeners that Istio adds to Envoy
}

// agent is a running agent of Istio's, with its Envoy.
type agent struct {
	process *os.Process
	logFile string
	done    chan struct{}
	err     error // of the process; read after done
}

func startAgent(o agentOptions) (*agent, error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, err
	}
	a := &agent{logFile: filepath.Join(o.dir, "agent.log"), done: make(chan struct{})}
	// For appending, because the agent and Envoy both write to it.
	logs, err := os.OpenFile(a.logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer logs.Close() //nolint:errcheck // the process has its own

	cmd := exec.Command(o.binary, "proxy", "sidecar",
		"--domain", o.namespace+".svc.cluster.local",
		"--log_output_level", "default:info,xdsproxy:debug", // tells what Envoy asks for and gets
		"--proxyLogLevel", "warning",
		"--proxyComponentLogLevel", "wasm:info")
	cmd.Dir = o.dir // all its paths are below this, except one: see dataDir
	cmd.Env = append(os.Environ(),
		"POD_NAME=httpbin",
		"POD_NAMESPACE="+o.namespace,
		"INSTANCE_IP=127.0.0.1",
		"SERVICE_ACCOUNT=httpbin",
		"ISTIO_META_CLUSTER_ID=Kubernetes",
		"ISTIO_META_INTERCEPTION_MODE=NONE",
		`ISTIO_METAJSON_LABELS={"app":"httpbin"}`,
		"FILE_MOUNTED_CERTS=true", // asks nobody for a certificate
		"GRPC_XDS_BOOTSTRAP=",
		"WASM_INSECURE_REGISTRIES="+o.registry,
		fmt.Sprintf("ENVOY_STATUS_PORT=%d", o.ready),
		fmt.Sprintf("ENVOY_PROMETHEUS_PORT=%d", o.metrics),
		fmt.Sprintf("PROXY_CONFIG={binaryPath: %q, configPath: %q, proxyBootstrapTemplatePath: %q, discoveryAddress: %q, "+
			"controlPlaneAuthPolicy: NONE, proxyAdminPort: %d, statusPort: %d, terminationDrainDuration: 0s, concurrency: 1}",
			o.envoy, filepath.Join(o.dir, "proxy"), o.bootstrap, o.istiod, o.admin, o.status))
	cmd.Stdout, cmd.Stderr = logs, logs
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// Ctrl-C goes to the test, which then ends its agents.
		Setpgid: true,
		// If the test is killed, the kernel ends the agents. It does not use SIGKILL,
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

// stop kills the agent and its Envoy, which are a process group of their own. (An
// agent that is asked to end waits for its Envoy, which may be compiling a module.)
func (a *agent) stop() error {
	var err error
	select {
	case <-a.done:
		err = fmt.Errorf("the agent exited by itself: %w\n  %s", a.err, a.lastWords())
	default:
	}
	if e := syscall.Kill(-a.process.Pid, syscall.SIGKILL); e != nil && !errors.Is(e, syscall.ESRCH) {
		err = errors.Join(err, fmt.Errorf("kill the agent and its Envoy: %w", e))
	}
	<-a.done
	return err
}

// lastWords are the last lines of the log, and where all of it lies.
func (a *agent) lastWords() string {
	content, err := os.ReadFile(a.logFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(append(lines[max(0, len(lines)-20):], "the whole log: "+a.logFile), "\n  ")
}
