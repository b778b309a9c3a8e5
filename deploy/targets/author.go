package targets

import (
	"context"
	"os"

	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/scaffold"
)

// commands are the options for targets that run Slipway's own commands.
var commands = gotest.Options{Out: os.Stdout, Err: os.Stderr}

// Doctor says what is installed, what is missing for which target, and how to get it.
//
// It changes nothing and asks no server. The exit code depends only on what every
// target needs.
//
// Example:
//
//	go tool mage doctor
func Doctor(ctx context.Context) error {
	return ended(gotest.Doctor(ctx, commands))
}

// New starts a filter in filter/NAME that works: it builds, has tests, runs and is released as it is (-repository=github.com/OWNER/NAME starts the repository around it, too).
//
// A name becomes an OCI repository and a Kubernetes name: lowercase letters, digits and
// hyphens, a letter first, at most 40 characters. One that breaks a rule or is taken is
// refused. A repository gets its two go.mod with their go.sum, a magefile with Slipway's
// targets, .gitignore, and the workflow that releases it from GitHub Actions. It requires
// the newest Slipway, or -slipway=VERSION.
//
// Examples:
//
//	go tool mage new my-filter
//	go tool mage -w FOLDER new my-filter -repository=github.com/acme/filters
func New(ctx context.Context, name string, repository, slipway *string) error {
	return ended(startFilter(ctx, name, given(repository), given(slipway)))
}

func startFilter(ctx context.Context, name, repository, slipway string) error {
	var files []string
	var err error
	if repository == "" {
		files, err = scaffold.New(scaffold.NewOptions{Name: name})
	} else {
		files, err = scaffold.NewRepository(ctx, scaffold.RepositoryOptions{Name: name, Module: repository, Version: slipway})
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		printable.Fprintln(os.Stdout, file)
	}
	if repository != "" {
		printable.Fprintf(os.Stdout, "\nCommit this, and push it to https://%s. \"git tag v0.1.0 && git push origin v0.1.0\" then releases it.\n", repository)
	}
	printable.Fprintf(os.Stdout, "\nNow edit it while it runs:\n\n  go tool mage dev %s\n", name)
	return nil
}

// Dev runs a filter in Envoy on 127.0.0.1:8085 with httpbin behind it, and loads it anew at every save, without a restart.
//
// It watches the filter's sources and its filter.yaml, whose example is the plugin
// configuration. If a change does not build, or Envoy refuses it, Envoy keeps what it
// had. The filter's logs are shown with their level and the id of their context;
// NO_COLOR=1 shows them without colors. COMPILER=go rebuilds fastest, COMPILER=tinygo
// loads fastest. -listener, -backend (httpbin, 127.0.0.1:8080) and -admin
// (127.0.0.1:8001) are other addresses to listen on. Ctrl-C ends everything.
//
// Examples:
//
//	COMPILER=go go tool mage dev headers
//	go tool mage dev headers -listener=127.0.0.1:9085
func Dev(ctx context.Context, filter string, listener, backend, admin *string) error {
	return ended(gotest.Dev(ctx, commands, gotest.LocalOptions{Filter: filter, Listener: given(listener), Backend: given(backend), Admin: given(admin)}))
}

// Run starts Envoy on 127.0.0.1:8085 with a filter (-filter=NAME, default the only one) and prints the curl to try.
//
// The filter gets the example of its filter.yaml as plugin configuration, and Envoy
// fetches it from a URL, as in production. -listener, -backend (127.0.0.1:8080) and
// -admin (127.0.0.1:8001) are other addresses to listen on. Ctrl-C ends everything.
//
// Example:
//
//	go tool mage run -filter=headers
func Run(ctx context.Context, filter, listener, backend, admin *string) error {
	return ended(gotest.Run(ctx, commands, gotest.LocalOptions{Filter: given(filter), Listener: given(listener), Backend: given(backend), Admin: given(admin)}))
}
