package release

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Options say what is released, from which sources, and where to.
type Options struct {
	// Version is the version, as version.Read gives it. Required.
	Version version.Version
	// Filters narrows the release to these filters, as version.Read gives them.
	// Default: all.
	Filters []string
	// Dist is the folder for modules, manifests and the record. Default: "dist".
	Dist string
	// Compiler, GoToolchain and TinyGoVersion choose the compiler: see build.Options. A
	// TinyGo other than the pinned one has to be named in TinyGoVersion.
	Compiler, GoToolchain, TinyGoVersion string
	// EnvoyVersions are the versions that e2e was told to use. An interrupted release
	// runs e2e again if they have changed.
	EnvoyVersions []string
	// EnvoyTested is written to the manifests: see build.Release.
	EnvoyTested string
	// Tests says how tests and e2e run. Its Dist, Out and Err are the release's.
	Tests gotest.Options
	// Shapes are the forms of manifests. Artifact has to be among them, because the
	// rendered manifests refer to it. Default: Artifact.
	Shapes []oci.Shape
	// Registry and Storage are where to publish; one of them is enough. Their Out is
	// replaced by the release's. Default: a rehearsal, in an embedded registry and
	// storage in Dist that nobody else sees. A rehearsal needs no git tag.
	Registry *oci.RegistryOptions
	Storage  *storage.Options
	// TransferTimeout limits each step that reads from or writes to the stores.
	// Default: no limit. When it is over, the error is ErrTransferTimeout.
	TransferTimeout time.Duration
	// Signer signs what is in a registry. Default: nothing is signed, and the release
	// only reports which signatures exist.
	Signer *attest.Signer
	// Policy says whose signatures count. Default: nobody's; in a rehearsal, those by
	// its own key.
	Policy attest.Policy
	// HTTPBinImage is for rendering: see manifest.RenderOptions.
	HTTPBinImage string
	// Maker builds and tries modules. Default: Real.
	Maker Maker

	// Notice is told what does not stop the release, such as oci.ErrFixedTags. Default: it is
	// printed to Out.
	Notice func(error)
	// Until is the name of the last step to run: see Steps. Default: all steps.
	Until string
	// Shard builds, tests and plays one part of the filters alone, which Divide chooses. It needs
	// an Until that publishes nothing. Default: all of them.
	Shard Shard
	// Parts is a folder with a folder for each shard of this release: what is in its Dist. They are
	// joined in Dist, as if one run had built and tested all of it. Default: none.
	Parts string
	// Out receives progress lines. Default: none.
	Out io.Writer
}

// Maker builds modules, tests the repository with them, and plays them in Envoys. It is
// an interface so that tests can simulate the faults of compilers and tests.
type Maker interface {
	Build(context.Context, build.Options) ([]build.Module, error)
	Test(context.Context, gotest.Options) error
	E2E(context.Context, gotest.Options) (scenario.Report, error)
}

// Real is the Maker that uses packages build and gotest.
type Real struct{}

var _ Maker = Real{}

// Build is build.Build.
func (Real) Build(ctx context.Context, opts build.Options) ([]build.Module, error) {
	return build.Build(ctx, opts)
}

// Test is gotest.Test.
func (Real) Test(ctx context.Context, opts gotest.Options) error { return gotest.Test(ctx, opts) }

// E2E is gotest.E2E.
func (Real) E2E(ctx context.Context, opts gotest.Options) (scenario.Report, error) {
	return gotest.E2E(ctx, opts)
}

var (
	// ErrRunning says that another release runs in the same folder.
	ErrRunning = errors.New("another release runs in this folder; wait until it has ended")
	// ErrTransferTimeout says that a step took longer than Options.TransferTimeout.
	ErrTransferTimeout = errors.New("it took longer than a transfer may take")
)
