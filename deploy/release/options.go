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
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Options say what is released, from what, and where it goes.
type Options struct {
	// Version is the version, as version.Read gives it. Required.
	Version version.Version
	// Filters narrows the release to these filters, as version.Read gives them.
	// Default: all.
	Filters []string
	// Dist is the folder for modules, manifests and the record. Default: "dist".
	Dist string
	// Compiler, GoToolchain and TinyGoVersion say what the filters are built with: see
	// build.Options. A TinyGo that is not the pinned one has to be named.
	Compiler, GoToolchain, TinyGoVersion string
	// EnvoyVersions are the versions that e2e was told to use. They only decide
	// whether an interrupted release has to play it again.
	EnvoyVersions []string
	// EnvoyTested is written to the manifests: see build.Release.
	EnvoyTested string
	// Tests says how tests and e2e run. Its Dist, Out and Err are the release's.
	Tests gotest.Options
	// Shapes are the forms of manifests. Artifact has to be among them, because
	// that is the one which the rendered manifests refer to. Default: Artifact.
	Shapes []oci.Shape
	// Registry and Storage are where it is published: in a registry, a storage or
	// both. Their Out is the release's. Default: it is a rehearsal, in the embedded
	// ones in Dist, which are there for nobody else; then the git tag need not exist.
	Registry *oci.RegistryOptions
	Storage  *storage.Options
	// TransferTimeout is how long each step may take that reads from or writes to
	// these. Default: as long as it takes. ErrTransferTimeout is the error.
	TransferTimeout time.Duration
	// Signer signs what is in a registry. Default: nobody does, and whatever somebody
	// signed before is looked for.
	Signer *attest.Signer
	// Policy says whose signatures count. Default: nobody's; in a rehearsal, those of
	// its own key.
	Policy attest.Policy
	// HTTPBinImage is for rendering: see manifest.RenderOptions.
	HTTPBinImage string
	// Maker builds and tries modules. Default: Real.
	Maker Maker

	// Until is the name of a step after which to stop: see Steps. Default: the
	// release is finished.
	Until string
	// Out is told what is done. Default: nothing is told.
	Out io.Writer
}

// Maker builds modules, tests the repository with them, and plays them in Envoys. It is
// there for the faults of compilers and tests: tests of what a release does about these
// have another one than Real.
type Maker interface {
	Build(context.Context, build.Options) ([]build.Module, error)
	Test(context.Context, gotest.Options) error
	E2E(context.Context, gotest.Options) (gotest.Played, error)
}

// Real is the Maker of packages build and gotest.
type Real struct{}

var _ Maker = Real{}

// Build is build.Build.
func (Real) Build(ctx context.Context, opts build.Options) ([]build.Module, error) {
	return build.Build(ctx, opts)
}

// Test is gotest.Test.
func (Real) Test(ctx context.Context, opts gotest.Options) error { return gotest.Test(ctx, opts) }

// E2E is gotest.E2E.
func (Real) E2E(ctx context.Context, opts gotest.Options) (gotest.Played, error) {
	return gotest.E2E(ctx, opts)
}

var (
	// ErrRunning says that another release runs in the same folder.
	ErrRunning = errors.New("another release runs in this folder; wait until it has ended")
	// ErrTransferTimeout says that a step took longer than Options.TransferTimeout.
	ErrTransferTimeout = errors.New("it took longer than transfers may take")
)
