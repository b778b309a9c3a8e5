package attest

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/purl"
)

// BuildType defines how a filter is built, for the provenance: a compiler makes one
// module from a filter's folder at a commit, and "go tool mage push" makes manifests
// from it. The external parameters are source (the repository), filter, version,
// compiler (name, version, Go release and flags) and, in GitHub Actions, workflow
// (repository, ref and path of the workflow file). The resolved dependencies are the
// commit, the compiler, Go's standard library and the Go modules that packages were
// compiled from.
const BuildType = "https://pkg.go.dev/github.com/slipway-wasm/slipway/deploy/attest#BuildType"

// LocalBuilder is the builder of modules that were built on somebody's own machine. It
// promises nothing.
const LocalBuilder = "https://pkg.go.dev/github.com/slipway-wasm/slipway/deploy/attest#LocalBuilder"

// Builder says who built.
type Builder struct {
	// ID is the builder's identity. In GitHub Actions it is the URL of the workflow file
	// with its ref, which is also the identity that signs. Elsewhere it is LocalBuilder.
	ID string
	// InvocationID is the URL of the workflow run; empty outside GitHub Actions.
	InvocationID string
	// Workflow is the run's workflow; nil outside GitHub Actions.
	Workflow *Workflow
}

// Workflow is a workflow of GitHub Actions.
type Workflow struct {
	// Repository is the repository's URL, Ref the git ref of the run, such as
	// "refs/tags/v1.4.0", and Path the workflow file in the repository.
	Repository string `json:"repository"`
	Ref        string `json:"ref"`
	Path       string `json:"path"`
}

// FindBuilder finds out from the environment who builds.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/variables#default-environment-variables
func FindBuilder(ctx context.Context) (Builder, error) {
	workflow := os.Getenv("GITHUB_WORKFLOW_REF")
	if os.Getenv("GITHUB_ACTIONS") != "true" || workflow == "" {
		return Builder{ID: LocalBuilder}, nil
	}
	server := os.Getenv("GITHUB_SERVER_URL")
	repository := os.Getenv("GITHUB_REPOSITORY")
	path, ref, _ := strings.Cut(strings.TrimPrefix(workflow, repository+"/"), "@")
	builder := Builder{
		ID:           server + "/" + workflow,
		InvocationID: fmt.Sprintf("%s/%s/actions/runs/%s/attempts/%s", server, repository, os.Getenv("GITHUB_RUN_ID"), os.Getenv("GITHUB_RUN_ATTEMPT")),
		Workflow:     &Workflow{Repository: server + "/" + repository, Ref: ref, Path: path},
	}
	if !HasIdentity() {
		return builder, nil
	}
	token, err := IdentityToken(ctx)
	if err != nil {
		return Builder{}, err
	}
	claims, err := readClaims(token)
	if err != nil {
		return Builder{}, err
	}
	builder.ID = server + "/" + cmp.Or(claims.JobWorkflowRef, workflow)
	return builder, nil
}

// provenance is the part of SLSA's predicate that is used here.
//
// Reference: https://slsa.dev/spec/v1.1/provenance
type provenance struct {
	BuildDefinition buildDefinition `json:"buildDefinition"`
	RunDetails      runDetails      `json:"runDetails"`
}

type buildDefinition struct {
	BuildType            string     `json:"buildType"`
	ExternalParameters   parameters `json:"externalParameters"`
	ResolvedDependencies []Resource `json:"resolvedDependencies"`
}

type parameters struct {
	Source   string    `json:"source,omitempty"`
	Filter   string    `json:"filter"`
	Version  string    `json:"version"`
	Compiler compiler  `json:"compiler"`
	Workflow *Workflow `json:"workflow,omitempty"`
}

type compiler struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	GoVersion string   `json:"goVersion"`
	Flags     []string `json:"flags,omitempty"`
}

type runDetails struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	Metadata *runMetadata `json:"metadata,omitempty"`
}

type runMetadata struct {
	InvocationID string `json:"invocationId"`
}

// newProvenance is the predicate for a filter's module.
func newProvenance(filter build.Built, release build.Release, builder Builder) (provenance, error) {
	record := filter.Module.Record
	var p provenance
	p.BuildDefinition = buildDefinition{
		BuildType: BuildType,
		ExternalParameters: parameters{
			Source:   release.Source,
			Filter:   record.Name,
			Version:  release.Version.String(),
			Compiler: compiler{record.Compiler.Name, record.Compiler.Version, record.Compiler.GoVersion, record.Compiler.Flags},
			Workflow: builder.Workflow,
		},
		ResolvedDependencies: []Resource{
			commit(release),
			{URI: purl.Generic(record.Compiler.Name, record.Compiler.Version)},
			{URI: purl.GoModule("std", strings.TrimPrefix(record.Compiler.GoVersion, "go"))},
		},
	}
	p.RunDetails.Builder.ID = builder.ID
	if builder.InvocationID != "" {
		p.RunDetails.Metadata = &runMetadata{builder.InvocationID}
	}
	sums, err := goSum(filter.Dir)
	if err != nil {
		return p, err
	}
	for _, module := range record.Modules {
		if module.Version == "" {
			continue // the filter's own module, which the commit holds
		}
		dependency := Resource{URI: purl.GoModule(module.Path, module.Version)}
		if sum := sums[module.Path+" "+module.Version]; sum != "" {
			// Reference: https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md
			dependency.Digest = map[string]string{"goModuleH1": sum}
		}
		p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, dependency)
	}
	return p, nil
}

// dirty ends the revision of a checkout that differs from its commit.
const dirty = "-dirty"

// commit is the source as a dependency. If the checkout differed from the commit, it
// has no digest, because no digest stands for what was built.
func commit(release build.Release) Resource {
	source := Resource{Name: "source"}
	if release.Source != "" {
		source.URI = "git+" + release.Source
	}
	if strings.HasSuffix(release.Revision, dirty) {
		source.Annotations = map[string]any{"revision": release.Revision}
		return source
	}
	source.Digest = map[string]string{"gitCommit": release.Revision}
	return source
}

// goSum reads the sums of the modules that a folder's Go module depends on. It returns
// a map of "path version" to the sum in hex; it is empty if the folder is not known.
//
// Reference: https://go.dev/ref/mod#go-sum-files
func goSum(dir string) (map[string]string, error) {
	sums := map[string]string{}
	if dir == "" {
		return sums, nil
	}
	data, err := os.ReadFile(filepath.Join(moduleRoot(dir), "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("read the sums of the filter's Go modules: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		sum, ok := strings.CutPrefix(fields[2], "h1:")
		if raw, err := base64.StdEncoding.DecodeString(sum); ok && err == nil {
			sums[fields[0]+" "+fields[1]] = hex.EncodeToString(raw)
		}
	}
	return sums, nil
}

// moduleRoot returns the folder of the Go module that contains a folder.
func moduleRoot(dir string) string {
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return root
		}
		if filepath.Dir(root) == root {
			return dir
		}
	}
}
