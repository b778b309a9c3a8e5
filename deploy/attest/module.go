package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/loopback"
	"github.com/slipway-wasm/slipway/deploy/oci"
)

// StoredModule is a module in a storage, which has no manifest. What is signed about it is its
// provenance: filter, version, sum and, if it is in a registry too, its manifest there. The
// bundle is stored beside the module.
type StoredModule struct {
	// Filter is the filter's name.
	Filter string
	// URL is where readers fetch the module.
	URL string
	// WasmSHA256 is the sha256 of the module, in hex.
	WasmSHA256 string
	// OCIReference is the manifest of the same module that the storage names, pinned by its
	// digest; empty if it names none.
	OCIReference string
	// Bundle is what is stored beside the module; nil if nothing is.
	Bundle []byte
	// RecordBundle is the signed record that is stored there; nil if none is.
	RecordBundle []byte
	// Err says why Bundle is not known, and RecordErr why RecordBundle is not. Default: they
	// are.
	Err, RecordErr error
}

// evidenceOf is what is known about stored modules.
func evidenceOf(modules []StoredModule, version string) []*evidence {
	all := make([]*evidence, len(modules))
	for i, m := range modules {
		all[i] = &evidence{filter: m.Filter, version: version, module: &modules[i], err: m.Err}
		for _, bundle := range [][]byte{m.Bundle, m.RecordBundle} {
			if bundle != nil {
				all[i].bundles = append(all[i].bundles, bundleOf(bundle))
			}
		}
	}
	return all
}

// checkModule is the check of a stored module.
func (e *evidence) checkModule(policy Policy) Check {
	c := Check{Subject: e.module.URL, What: predicates[0].name, Optional: e.err == nil && policy.IsZero()}
	switch {
	case e.err != nil:
		c.State, c.Detail, c.Err = StateOf(e.err), e.err.Error(), e.err
	case policy.IsZero():
		c.State, c.Detail = e.withoutPolicy(PredicateProvenance)
		if c.State == Missing && e.module.Bundle != nil {
			c.State, c.Detail = Wrong, "what is stored beside it is no provenance"
		}
	default:
		c.State, c.Detail = e.state(PredicateProvenance)
		if c.State == Missing && e.module.Bundle != nil {
			c.State, c.Detail = Wrong, "what is signed is no provenance"
		}
	}
	return c
}

// judgeModule compares a statement with the stored module that it should be about.
func (e *evidence) judgeModule(statement Statement) error {
	var p provenance
	if err := json.Unmarshal(statement.Predicate, &p); err != nil {
		return fmt.Errorf("read the provenance: %w", err)
	}
	if err := e.judgeBuild(statement, p, e.module.WasmSHA256); err != nil {
		return err
	}
	if e.module.OCIReference == "" {
		return nil
	}
	repository, digest, _ := strings.Cut(e.module.OCIReference, "@")
	host, _, _ := strings.Cut(repository, "/")
	algorithm, value, _ := strings.Cut(digest, ":")
	for _, subject := range statement.Subject {
		// The embedded registry has another port each time.
		if value != "" && subject.Digest[algorithm] == value && (subject.Name == repository || loopback.Host(host)) {
			return nil
		}
	}
	return fmt.Errorf("it is not about the manifest %s, which index.json names", e.module.OCIReference)
}

// judgeBuild compares the parts of a provenance that manifests and modules have in common.
func (e *evidence) judgeBuild(statement Statement, p provenance, wasmSHA256 string) error {
	definition := p.BuildDefinition
	switch {
	case !statement.names("sha256:" + wasmSHA256):
		return fmt.Errorf("it is not about the module with wasm sha256 %s", wasmSHA256)
	case definition.BuildType != BuildType:
		return fmt.Errorf("its build type is %q, and should be %s", definition.BuildType, BuildType)
	case definition.ExternalParameters.Filter != e.filter || definition.ExternalParameters.Version != e.version:
		return fmt.Errorf("it is of %s %s", definition.ExternalParameters.Filter, definition.ExternalParameters.Version)
	case p.RunDetails.Builder.ID == "":
		return errors.New("it names no builder")
	}
	return nil
}

// moduleStatements are the statements about a stored module: the provenance of its artifact
// manifest or, if there is none, that of the module alone; and the record, if there is one.
func moduleStatements(filter build.Built, m StoredModule, manifests []*oci.Subject, opts SignOptions) ([]item, error) {
	record := filter.Module.Record
	if m.WasmSHA256 != record.WasmSHA256 {
		return nil, fmt.Errorf("%s: its wasm sha256 is %s, and the built module's is %s; build the version that is published", m.URL, m.WasmSHA256, record.WasmSHA256)
	}
	provenance, err := newProvenance(filter, opts.Release, opts.Builder)
	if err != nil {
		return nil, err
	}
	subjects := []Resource{moduleResource(record)}
	for _, s := range manifests {
		if s.Shape == oci.Artifact {
			subjects = append([]Resource{manifestResource(s.Manifest)}, subjects...)
		}
	}
	items := []item{{predicate: signatureItem}}
	if items[0].Statement, err = newStatement(PredicateProvenance, subjects, provenance); err != nil {
		return nil, err
	}
	if content := opts.Record.Filters[record.Name]; content != nil {
		statement, err := newStatement(PredicateRecord, append(subjects, recordResource(opts.Record)), content)
		if err != nil {
			return nil, err
		}
		items = append(items, item{SignItem{Statement: statement}, recordItem})
	}
	existing := evidenceOf([]StoredModule{m}, "")[0].bundles
	for i := range items {
		items[i].SubjectDigest, items[i].Existing = "sha256:"+m.WasmSHA256, existing
	}
	return items, nil
}

func manifestResource(m oci.Manifest) Resource {
	algorithm, value, _ := strings.Cut(m.ManifestDigest, ":")
	return Resource{Name: m.Reference.Repository, Digest: map[string]string{algorithm: value}}
}

func moduleResource(record build.Record) Resource {
	return Resource{Name: record.Name + ".wasm", Digest: map[string]string{"sha256": record.WasmSHA256}}
}
