package oci

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/purl"
)

// SBOM is the bill of materials of a module, in CycloneDX's JSON. It lists the Go
// modules that packages were compiled from, as the build's record names them, Go's
// standard library and the compiler. It depends only on the filter and the release.
//
// Reference: https://cyclonedx.org/docs/1.6/json/
func SBOM(filter build.Built, release build.Release) (Attachment, error) {
	record := filter.Module.Record
	self := cyclonedx.Component{
		BOMRef:      "pkg:oci/" + record.Name + "@" + release.Version.String(),
		Type:        cyclonedx.ComponentTypeApplication,
		Name:        record.Name,
		Version:     release.Version.String(),
		Description: filter.Metadata.Description,
		Hashes:      &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: record.WasmSHA256}},
		Licenses:    &cyclonedx.Licenses{{Expression: filter.Metadata.License}},
		Properties:  &[]cyclonedx.Property{{Name: "slipway:revision", Value: release.Revision}},
	}
	if release.Source != "" {
		self.ExternalReferences = &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeVCS, URL: release.Source}}
	}
	components := []cyclonedx.Component{library("std", strings.TrimPrefix(record.Compiler.GoVersion, "go"))}
	for _, module := range record.Modules {
		version := module.Version
		if version == "" { // the filter's own module
			version = release.Revision
		}
		components = append(components, library(module.Path, version))
	}
	used := make([]string, len(components))
	for i, c := range components {
		used[i] = c.BOMRef
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: release.Created.UTC().Format(time.RFC3339),
		Component: &self,
		Tools: &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{
			Type:    cyclonedx.ComponentTypeApplication,
			Name:    record.Compiler.Name,
			Version: record.Compiler.Version,
		}}},
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: self.BOMRef, Dependencies: &used}}
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return Attachment{}, fmt.Errorf("write the SBOM of %s: %w", record.Name, err)
	}
	return Attachment{ArtifactType: TypeSBOM, Name: record.Name + ".cdx.json", Content: out.Bytes(), Created: release.Created}, nil
}

// library is a Go module.
func library(path, version string) cyclonedx.Component {
	url := purl.GoModule(path, version)
	return cyclonedx.Component{BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: url}
}

// AttachSBOMs attaches each filter's bill of materials to its version in every
// shape that is published: see AttachSBOM.
func (r *Registry) AttachSBOMs(ctx context.Context, release build.Release) ([]Node, error) {
	var nodes []Node
	for _, filter := range release.Filters {
		subjects, err := r.Subjects(ctx, filter.Module.Name, release.Version)
		if err != nil {
			return nil, fmt.Errorf("attach the SBOM: %w", err)
		}
		attached, err := AttachSBOM(ctx, subjects, filter, release)
		if err != nil {
			return nil, err
		}
		for _, s := range subjects {
			if err := s.Confirm(ctx); err != nil {
				return nil, err
			}
		}
		nodes = append(nodes, attached...)
	}
	return nodes, nil
}

// AttachSBOM attaches a filter's bill of materials to its manifests. If the record is
// not that of the published module, it refuses.
func AttachSBOM(ctx context.Context, subjects []*Subject, filter build.Built, release build.Release) ([]Node, error) {
	attachment, err := SBOM(filter, release)
	if err != nil {
		return nil, err
	}
	var nodes []Node
	for _, s := range subjects {
		if sum := s.Annotations[AnnotationWasmSHA256]; sum == "" || sum != filter.Module.WasmSHA256 {
			return nil, fmt.Errorf("attach the SBOM to %s: its wasm sha256 is %s, and the built module's is %s; build the version that is published", s.Reference, sum, filter.Module.WasmSHA256)
		}
		attached, err := s.Attach(ctx, attachment)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, attached...)
	}
	return nodes, nil
}
