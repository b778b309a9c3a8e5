package oci

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

// Pulled is a module that was pulled.
type Pulled struct {
	// Reference is what was pulled, pinned by its manifest digest.
	Reference string `json:"reference"`
	// ManifestDigest is the manifest digest, "sha256:…".
	ManifestDigest string `json:"manifestDigest"`
	// WasmSHA256 is the sha256 of the module, in hex.
	WasmSHA256 string `json:"wasmSha256"`
	// WasmSize is the module's size in bytes.
	WasmSize int64 `json:"wasmSize"`
	// File is the path of the module's file.
	File string `json:"file"`
}

// String is one line for people.
func (p Pulled) String() string {
	return fmt.Sprintf("%s: %d bytes from %s, wasm sha256 %s", p.File, p.WasmSize, p.Reference, p.WasmSHA256)
}

// Pull writes the module that a reference stands for to a file. The file appears, or is
// replaced, only after all of the module arrived. By then its digest was compared with
// the manifest, and so was its wasm sha256 if the manifest has one.
//
// If file is a symlink, its target is written and the link stays. If it is a FIFO or a
// device, such as /dev/stdout, the module is written to it once it is known to be
// right. Waiting for a reader ends with ctx.
func (r *Registry) Pull(ctx context.Context, ref Reference, file string) (*Pulled, error) {
	pulled, err := r.pull(ctx, ref, file)
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", ref, err)
	}
	return pulled, nil
}

func (r *Registry) pull(ctx context.Context, ref Reference, file string) (*Pulled, error) {
	found, err := r.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	shape := found.manifest.shape()
	if shape == "" {
		return nil, ErrNoModule
	}
	out, err := openOutput(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.cleanup() }()
	sum, size, err := r.writeWasm(ctx, found, out.File)
	if err != nil {
		return nil, err
	}
	if err := out.finish(ctx); err != nil {
		return nil, err
	}
	return &Pulled{
		Reference:      Reference{Repository: ref.Repository, Digest: found.desc.Digest.String()}.String(),
		ManifestDigest: found.desc.Digest.String(),
		WasmSHA256:     sum,
		WasmSize:       size,
		File:           file,
	}, nil
}

// writeWasm writes the module of a manifest to out, and returns its wasm sha256 and
// size.
func (r *Registry) writeWasm(ctx context.Context, found *found, out *os.File) (string, int64, error) {
	layer := found.manifest.wasmLayer()
	if layer.Size > maxWasm {
		return "", 0, finding.Mismatch(fmt.Errorf("layer %s has %d bytes, and proxies read no more than %d", layer.Digest, layer.Size, maxWasm))
	}
	blob := out
	if found.manifest.shape() == Compat {
		// The archive is unpacked only after its digest was compared.
		archive, remove, err := temporary("layer-")
		if err != nil {
			return "", 0, err
		}
		defer remove() //nolint:errcheck // a temporary file
		blob = archive
	}
	if err := r.copyBlob(ctx, found.repo, layer, func() (io.Writer, error) {
		if _, err := blob.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return blob, blob.Truncate(0)
	}); err != nil {
		return "", 0, err
	}
	if _, err := blob.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	wasm := io.Reader(blob)
	if blob != out {
		layer, err := readLayer(blob)
		if err != nil {
			return "", 0, err
		}
		// One byte above the limit shows that there is more.
		wasm = io.TeeReader(io.LimitReader(layer, maxWasm+1), out)
	}
	sum, size, err := checksum.Reader(wasm)
	if err != nil {
		return "", 0, err
	}
	if size > maxWasm {
		return "", 0, finding.Mismatch(fmt.Errorf("%s in layer %s has more than the %d bytes that proxies read", compatFile, layer.Digest, maxWasm))
	}
	if want := found.manifest.Annotations[AnnotationWasmSHA256]; want != "" && want != sum {
		return "", 0, finding.Mismatch(fmt.Errorf("the wasm sha256 is %s, and annotation %s says %s", sum, AnnotationWasmSHA256, want))
	}
	return sum, size, nil
}
