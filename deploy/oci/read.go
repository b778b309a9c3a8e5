package oci

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// Module is a module in a registry, by any publisher.
type Module struct {
	// Reference is what was read, pinned by its manifest digest.
	Reference string `json:"reference"`
	// ManifestDigest is the manifest digest, "sha256:…".
	ManifestDigest string `json:"manifestDigest"`
	// Shape is the manifest's form; empty if it is none of Slipway's.
	Shape Shape `json:"shape,omitempty"`
	// Annotations are the manifest's annotations.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Consumers is what each consumer does with the manifest.
	Consumers []Verdict `json:"consumers"`
	// Wasm is the module.
	Wasm []byte `json:"-"`
}

// ReadModule reads a module. If the manifest has none of Slipway's shapes, the module is
// the first layer whose media type says wasm.
func (r *Registry) ReadModule(ctx context.Context, ref Reference) (*Module, error) {
	m, err := r.readModule(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return m, nil
}

func (r *Registry) readModule(ctx context.Context, ref Reference) (*Module, error) {
	found, err := r.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	m := &Module{
		Reference:      Reference{Repository: ref.Repository, Digest: found.desc.Digest.String()}.String(),
		ManifestDigest: found.desc.Digest.String(),
		Shape:          found.manifest.shape(),
		Annotations:    found.manifest.Annotations,
	}
	if m.Consumers, err = Judge(found.desc.MediaType, found.content); err != nil {
		return nil, err
	}
	if m.Shape == "" {
		if found.manifest.index {
			return nil, fmt.Errorf("it is an index, which no consumer takes; read one of the manifests in it")
		}
		if err := found.manifest.onlyWasm(); err != nil {
			return nil, err
		}
	}
	file, remove, err := temporary("read-")
	if err != nil {
		return nil, err
	}
	defer remove() //nolint:errcheck // a temporary file
	if _, _, err := r.writeWasm(ctx, found, file); err != nil {
		return nil, err
	}
	m.Wasm, err = os.ReadFile(file.Name())
	return m, err
}

// onlyWasm removes all layers but the module's, so that the module's is the last.
func (m *manifest) onlyWasm() error {
	var mediaTypes []string
	for _, layer := range m.Layers {
		if strings.Contains(layer.MediaType, "wasm") && !strings.Contains(layer.MediaType, "config") {
			m.Layers = append(m.Layers[:0:0], layer)
			return nil
		}
		mediaTypes = append(mediaTypes, layer.MediaType)
	}
	return fmt.Errorf("no layer's media type says wasm: they are %q", mediaTypes)
}
