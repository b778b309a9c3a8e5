package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
)

// Mesh rolls two releases of the filters out with Istio's control plane, its agent and real Envoy, without docker.
//
// A release is live when the proxy has the module with its digest, and the filter's own
// scenario holds. Then each is broken, rolled back and deleted, in every form that Istio
// pulls. What a mesh cannot do is left out, with the reason, and counted. It needs Linux.
// The first run compiles Istio, which takes minutes.
//
// Example:
//
//	go tool mage mesh
func Mesh(ctx context.Context) error {
	return ended(rollOutInMesh(ctx))
}

func rollOutInMesh(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("mesh: Istio's agent is made for Linux, and this is %s; run it in a Linux container or virtual machine", runtime.GOOS)
	}
	printable.Fprintln(os.Stderr, "Building the mesh, which takes minutes the first time…")
	return program(ctx, "mesh", rollouts, "mesh")
}

// The modules of the programs that link so much that they are built when they are first used.
const (
	rollouts = "deploy/rollout"
	benches  = "deploy/bench"
)

// program runs a tool of one of Slipway's modules, which reads the environment itself.
func program(ctx context.Context, target, module, tool string, args ...string) error {
	if err := gorun.RunTool(ctx, module, tool, os.Stdout, os.Stderr, args...); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}

// Bench measures what filters cost a request in real Envoy, and what it costs to build, push and release more and more of them.
//
// A filter is measured with the configuration and the first request of the scenario that
// has "bench: true", or as its manifests run it. Filters stand side by side with Envoy's
// own header_mutation and Lua. Each compiler
// that is installed is measured, or the one that COMPILER names, with a filter that does
// nothing as the floor. The pipeline is measured with 1 and 10 new filters, the release
// with 1; BENCH_ALL=true adds 50, and releases of all. What is unchanged has to be
// neither built nor uploaded again. The tables are printed, and are in dist/bench.json
// and, with plots, in dist/bench.md.
//
// Example:
//
//	BENCH_WASM=../rust/headers.wasm go tool mage bench
func Bench(ctx context.Context) error {
	return ended(program(ctx, "bench", benches, "bench"))
}

// Soak runs all filters in real Envoy for a time, such as 2m, and fails when a VM crashes or memory grows.
//
// The filters are configured as for bench. Requests with large headers and bodies, and
// aborted ones, come in while the filters are reloaded and the services that they call
// fail in every way they can. 30s is the least that tells growth from warming up.
//
// Example:
//
//	go tool mage soak 1h
func Soak(ctx context.Context, duration time.Duration) error {
	return ended(program(ctx, "soak", benches, "bench", "-soak="+duration.String()))
}

// Kind is the smoke test in a whole cluster.
type Kind mg.Namespace

// Up starts a kind cluster with Istio and a registry; it needs docker.
//
// Example:
//
//	go tool mage kind:up
func (Kind) Up(ctx context.Context) error {
	return ended(kindCluster(ctx, "up"))
}

// Smoke plays a roll-out in that cluster or, where it is not up, in kubectl's current one (or -context=NAME), and leaves nothing behind.
//
// With -published=VERSION, or a git tag, it also rolls out what is published of that in
// REGISTRY and STORAGE_PUBLIC_URL, by digest and by URL, without credentials.
//
// Example:
//
//	go tool mage kind:smoke -context=staging
//	REGISTRY=ghcr.io/acme/filters go tool mage kind:smoke -published=v1.4.0
func (Kind) Smoke(ctx context.Context, context, published *string) error {
	return ended(kind(ctx, "smoke", "-context="+given(context), "-published="+given(published)))
}

// Down removes what kind:up started, in whatever state it is.
//
// Example:
//
//	go tool mage kind:down
func (Kind) Down(ctx context.Context) error {
	return ended(kindCluster(ctx, "down"))
}

// kindCluster runs a command that needs docker. It looks for docker before minutes go into
// building a program that would not find it.
func kindCluster(ctx context.Context, command string) error {
	if err := findDocker(ctx); err != nil {
		return fmt.Errorf("kind:%s: %w", command, err)
	}
	return kind(ctx, command)
}

func kind(ctx context.Context, command string, args ...string) error {
	printable.Fprintln(os.Stderr, "Building the program with kind, Helm and kubectl, which takes minutes the first time…")
	return program(ctx, "kind:"+command, rollouts, "kind", append([]string{command}, args...)...)
}

func findDocker(ctx context.Context) error {
	const instead = `start docker or set DOCKER_HOST, or run "go tool mage mesh", which needs no docker`
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("there is no docker on PATH; " + instead)
	}
	var said strings.Builder
	cmd := exec.CommandContext(ctx, "docker", "version", "--format={{.Server.Version}}")
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("no docker daemon answers (%s); %s", line, instead)
	}
	return nil
}
