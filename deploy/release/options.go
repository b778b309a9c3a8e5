package release

import (
	"context"
	"errors"
	"io"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// Options say what is released, from what, and where it goes.
type Options struct {
	// Version is the version, such as "1.4.0", or the git tag of the release:
	// "v1.4.0" for all filters, "headers/v1.4.0" for one. Required.
	Version string
	// Filters narrows the release to these filters. Default: all, or the tag's.
	Filters []string
	// Rehearsal says that Stores are there for nobody else: the git tag need not
	// exist.
	Rehearsal bool
	// Dist is the folder for modules, manifests and the record. Default: "dist".
	Dist string
	// Compiler, GoToolchain and TinyGoVersion say what the filters are built with: see
	// build.Options. A TinyGo that is not the pinned one has to be named.
	Compiler, GoToolchain, TinyGoVersion string
	// EnvoyVersions are the versions that E2E was told to use. They only decide
	// whether an interrupted release has to play it again.
	EnvoyVersions []string
	// EnvoyTested is written to the manifests: see oci.Release.
	EnvoyTested string
	// Shapes are the forms of manifests. Artifact has to be among them, because
	// that is the one which the rendered manifests refer to. Default: Artifact.
	Shapes []oci.Shape
	// HTTPBinImage is for rendering: see manifest.RenderOptions.
	HTTPBinImage string

	// Build builds the filters. Default: build.Build.
	Build func(ctx context.Context, opts build.Options) ([]build.Module, error)
	// Stores opens the places to publish in. Required.
	Stores func(ctx context.Context, out io.Writer) (*Stores, error)
	// Transfer gives a deadline to each step that reads from or writes to Stores.
	// Default: they have none.
	Transfer func(context.Context) (context.Context, context.CancelFunc)
	// Test runs the tests of the repository, with the modules of all its filters in a
	// folder as they are. Required.
	Test func(ctx context.Context, dist string, out io.Writer) error
	// E2E plays the modules of some filters in a folder, as they are, in real
	// Envoys. Required.
	E2E func(ctx context.Context, dist string, filters []string, out io.Writer) (Played, error)
	// Attest attaches to what was published what proves where it comes from: bills
	// of materials, provenance, signatures. It runs after everything is published
	// and before anything but an exact version leads there. The record lacks Times.
	// When a release is run again, so is Attest, and has to confirm what is there.
	// Default: nothing is attached.
	Attest func(ctx context.Context, record Record, stores *Stores, out io.Writer) error
	// Verify verifies from the outside what Attest attached. Default: nothing.
	Verify func(ctx context.Context, record Record, stores *Stores, out io.Writer) error

	// Until is the name of a step after which to stop: see Steps. Default: the
	// release is finished.
	Until string
	// Out is told what is done. Default: nothing is told.
	Out io.Writer
}

// Stores are where a release is published: in a registry, a storage or both.
type Stores struct {
	// Registry takes the filters as OCI artifacts. Default: it is not published
	// in a registry.
	Registry *oci.Registry
	// Storage takes the filters as files. Default: it is not published in a
	// storage.
	Storage *storage.Storage
	// RegistryName and StorageURL are what record and manifests call the two.
	// Default: Registry's address and Storage's public URL. The embedded ones have
	// another address each time that they are opened.
	RegistryName, StorageURL string
	// Close ends what was started. Default: nothing was.
	Close func() error
}

// Played is what E2E did.
type Played struct {
	// Modules are the wasm sha256 of the modules that ran, by the filter's name.
	Modules map[string]string `json:"modules"`
	// EnvoyVersions are the versions of Envoy that they ran in.
	EnvoyVersions []string `json:"envoyVersions"`
	// Checks is how many checks were made; all passed.
	Checks int `json:"checks"`
}

// The names of the steps.
const (
	StepCheck   = "check"
	StepBuild   = "build"
	StepRebuild = "rebuild"
	StepLook    = "look"
	StepTest    = "test"
	StepE2E     = "e2e"
	StepPush    = "push"
	StepUpload  = "upload"
	StepAttest  = "attest"
	StepRender  = "render"
	StepVerify  = "verify"
	StepTags    = "tags"
	StepRecord  = "record"
)

// Steps are the names of all steps, in their order.
var Steps = []string{
	StepCheck, StepBuild, StepRebuild, StepLook, StepTest, StepE2E,
	StepPush, StepUpload, StepAttest, StepRender, StepVerify, StepTags, StepRecord,
}

// ErrRunning says that another release runs in the same folder.
var ErrRunning = errors.New("another release runs in this folder; wait until it has ended")
