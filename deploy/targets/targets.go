// Package targets is what "go tool mage" offers of Slipway's pipeline, for every
// repository that has filters: its magefile imports them.
//
//	import (
//		//mage:import
//		_ "github.com/slipway-wasm/slipway/deploy/targets"
//	)
//
// Each target reads its arguments and the environment, and calls a package below
// deploy/, which can be called without any of this. They work in the folder that
// holds filter/ and, for what they make, dist/.
//
//mage:multiline
package targets

import (
	"context"
	"fmt"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/target"
)

// Build compiles every filter to dist/<filter>.wasm with a record beside it.
//
// A filter whose sources and compiler are as the record says is not built again. A
// module that Envoy would not load is refused, with the import or export at fault.
//
// Example:
//
//	FILTERS=headers COMPILER=go go tool mage build
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	COMPILER              compiler for the filters: go or tinygo (tinygo where it
//	                      is installed, else go)
//	FILTER_GOTOOLCHAIN    Go release to build the filters with, for example
//	                      go1.23.12 (the pinned release of each compiler)
func Build(ctx context.Context) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	_, err = build.Build(ctx, build.Options{
		Filters:     filters,
		Compiler:    c.Compiler,
		GoToolchain: c.GoToolchain,
		Out:         os.Stdout,
	})
	return err
}

// Tinygo downloads the pinned TinyGo release into your cache folder.
//
// It is compared with a pinned sha256 and needs no root. From then on it is what
// filters are built with, unless COMPILER says go.
//
// Example:
//
//	go tool mage tinygo build
func Tinygo(ctx context.Context) error {
	_, err := tinygo.Install(ctx, tinygo.Options{Out: os.Stdout})
	return err
}

// Inspect says what a module is and who loads it: a file, a URL, or a reference in a registry.
//
// Any proxy-wasm module will do, also one that was made elsewhere and in another
// language: size by section, imports, exports, ABI, compiler, annotations, and for each
// range of Envoy versions and each consumer whether it takes it, and why not. -json
// prints all of it as JSON.
//
// Examples:
//
//	go tool mage inspect dist/headers.wasm
//	go tool mage inspect headers:1.4.0
//	go tool mage inspect ghcr.io/acme/filters/headers@sha256:…
//	go tool mage inspect https://cdn.acme.example/filters/headers.wasm -json
//
// Variables, with their defaults:
//
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Inspect(ctx context.Context, fileOrReference string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Inspect(ctx, c, fileOrReference, out)
	})
}

// Push publishes the built filters in REGISTRY under a version, such as 1.4.0.
//
// The version's tag comes first and never changes; 1.4, 1 and latest follow it and
// only move forward. The same bytes again are a success; other bytes are refused
// before anything changes. Credentials are those of docker login. -json prints the
// result as JSON.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage push 1.4.0
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	SHAPES                manifest shapes to push, separated by commas: artifact,
//	                      compat, cncf (artifact)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Push(ctx context.Context, version string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Push(ctx, c, version, out)
	})
}

// Pull writes the module of a reference, such as headers:1.4.0, to a file.
//
// Example:
//
//	go tool mage pull headers:1.4.0 headers.wasm
//
// Variables, with their defaults:
//
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Pull(ctx context.Context, reference, file string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Pull(ctx, c, reference, file, out)
	})
}

// Verify reads a reference, or a version with its sums, signatures, provenances and SBOMs, back without credentials and says what is ok, missing or wrong.
//
// Its exit code tells. -json prints the result as JSON.
//
// Examples:
//
//	REGISTRY=ghcr.io/acme/filters VERIFY_KEY=cosign.pub go tool mage verify 1.4.0
//	go tool mage verify headers:1.4.0
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	STORAGE_PUBLIC_URL    where readers fetch what is in STORAGE_URL, without
//	                      credentials (STORAGE_URL, if that is https)
//	VERIFY_KEY            public key, a file or as SIGN_KEY, whose signatures
//	                      verify accepts (none; in the embedded registry that of
//	                      the rehearsal)
//	VERIFY_IDENTITY       identity whose keyless signatures verify accepts, to the
//	                      letter, such as
//	                      https://github.com/acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0
//	                      (none)
//	VERIFY_ISSUER         who vouches for VERIFY_IDENTITY, such as
//	                      https://token.actions.githubusercontent.com (none)
//	VERIFY_REPOSITORY     repository whose workflow has to have signed, where
//	                      others call the same reusable workflow, such as
//	                      https://github.com/acme/filters (any)
//	TRUSTED_ROOT          file with the trusted root of a private sigstore, as
//	                      cosign trusted-root create writes it (the public one, by
//	                      TUF)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Verify(ctx context.Context, referenceOrVersion string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Verify(ctx, c, referenceOrVersion, out)
	})
}

// List prints the published versions with their digests, sizes and dates.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage list -json
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func List(ctx context.Context, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.List(ctx, c, out)
	})
}

// Sbom attaches a bill of materials to each filter that was pushed under a version.
//
// It is made from the records in dist/, which have to be those of what was pushed.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage sbom 1.4.0
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Sbom(ctx context.Context, version string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.SBOM(ctx, c, version, out)
	})
}

// Attest attaches SBOMs to what was pushed under a version and signs it, with its provenance.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters SIGN_KEY=cosign.key go tool mage attest 1.4.0
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	SIGN_KEY              private key to sign with: a file of cosign
//	                      generate-key-pair, or a key in awskms://, gcpkms://,
//	                      azurekms:// or hashivault:// (none: keyless in GitHub
//	                      Actions, a key that nobody keeps in the embedded
//	                      registry)
//	COSIGN_PASSWORD       password of the file SIGN_KEY (none)
//	FULCIO_URL            Fulcio of a private sigstore, for keyless signatures
//	                      (the public one)
//	REKOR_URL             transparency log of a private sigstore; with SIGN_KEY,
//	                      the log to write to (the public one; with SIGN_KEY,
//	                      none)
//	TIMESTAMP_URL         timestamp authority of a private sigstore; with
//	                      SIGN_KEY, the authority to ask (the public one; with
//	                      SIGN_KEY, none)
//	TRUSTED_ROOT          file with the trusted root of a private sigstore, as
//	                      cosign trusted-root create writes it (the public one, by
//	                      TUF)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Attest(ctx context.Context, version string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Attest(ctx, c, version, out)
	})
}

// Attach attaches a file to a reference; the kind is sbom, provenance, test-report or a media type.
//
// Example:
//
//	go tool mage attach headers:1.4.0 test-report report.xml
//
// Variables, with their defaults:
//
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Attach(ctx context.Context, reference, kind, file string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Attach(ctx, c, reference, kind, file, out)
	})
}

// Referrers prints what is attached to a reference as a tree.
//
// Example:
//
//	go tool mage referrers headers:1.4.0
//
// Variables, with their defaults:
//
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Referrers(ctx context.Context, reference string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Referrers(ctx, c, reference, out)
	})
}

// Registry serves the embedded registry on 127.0.0.1:5000, or another address (-address=HOST:PORT), until Ctrl-C.
//
// It holds what push writes without REGISTRY, in dist/registry.
//
// Example:
//
//	go tool mage registry -address=0.0.0.0:5000
func Registry(ctx context.Context, address *string) error {
	return target.ServeRegistry(ctx, target.Given(address), output(nil))
}

// Storage serves the embedded storage on 127.0.0.1:5001, or another address (-address=HOST:PORT), until Ctrl-C.
//
// It holds what upload writes without STORAGE_URL, in dist/storage, and is read-only.
//
// Example:
//
//	go tool mage storage -address=0.0.0.0:5001
func Storage(ctx context.Context, address *string) error {
	return target.ServeStorage(ctx, target.Given(address), output(nil))
}

// Upload stores the built filters under a version, where proxies fetch them by URL and sha256.
//
// What is stored never changes: the same bytes again are a success, other bytes are
// refused. Afterwards everything is fetched from STORAGE_PUBLIC_URL without credentials.
// -json prints the result as JSON.
//
// Example:
//
//	STORAGE_URL='s3://acme/filters?region=eu-central-1' STORAGE_PUBLIC_URL=https://cdn.acme.example/filters go tool mage upload 1.4.0
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	STORAGE_URL           storage for the filters: gs://, s3://, azblob:// with a
//	                      bucket and a prefix, file:///FOLDER, or https:// for PUT
//	                      (an embedded storage in dist/storage)
//	STORAGE_PUBLIC_URL    where readers fetch what is in STORAGE_URL, without
//	                      credentials (STORAGE_URL, if that is https)
//	STORAGE_USERNAME      user name for an https STORAGE_URL (none)
//	STORAGE_PASSWORD      password for an https STORAGE_URL (none)
//	STORAGE_TOKEN         bearer token for an https STORAGE_URL, in place of name
//	                      and password (none)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Upload(ctx context.Context, version string, json *bool) error {
	return do(json, func(c config.Config, out target.Output) error {
		return target.Upload(ctx, c, version, out)
	})
}

// Render writes manifests for what was published under a version to dist/manifests, or prints what would change (-diff=FOLDER or -diff=cluster).
//
// Digests and sums are read back from what is configured, a registry, a storage or
// both, never from a local build.
//
// Examples:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage render 1.4.0
//	go tool mage render 1.4.0 -diff=cluster
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	STORAGE_PUBLIC_URL    where readers fetch what is in STORAGE_URL, without
//	                      credentials (STORAGE_URL, if that is https)
//	HTTPBIN_IMAGE         image of the httpbin that render adds to try filters on,
//	                      with a tag, a digest or both
//	                      (mccutchen/go-httpbin:v2.26.0)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Render(ctx context.Context, version string, diff *string) error {
	return do(nil, func(c config.Config, out target.Output) error {
		return target.Render(ctx, c, version, target.Given(diff), out)
	})
}

// Github makes the GitHub release of a git tag, with gh.
type Github mg.Namespace

// Draft makes a draft of the GitHub release of a git tag, from dist/release.md, dist/release.json and the modules.
//
// A draft that is there is brought up to date, and what is published stays as it is. gh
// has to be installed, and gets in as "gh auth login" or GH_TOKEN say.
//
// Example:
//
//	go tool mage github:draft v1.4.0
func (Github) Draft(ctx context.Context, tag string) error {
	return target.GitHubDraft(ctx, tag, output(nil))
}

// Publish shows the drafted GitHub release of a git tag to everybody.
//
// Example:
//
//	go tool mage github:publish v1.4.0
func (Github) Publish(ctx context.Context, tag string) error {
	return target.GitHubPublish(ctx, tag, output(nil))
}

// do calls work with the environment's configuration.
func do(json *bool, work func(config.Config, target.Output) error) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return work(c, output(json))
}

// output prints results to standard output, as JSON if the flag was given, and
// everything else to standard error.
func output(json *bool) target.Output {
	return target.Output{Out: os.Stdout, Err: os.Stderr, JSON: target.Given(json)}
}
