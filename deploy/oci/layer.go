package oci

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

// compatFile is the file that consumers look for in the layer of a compat image.
//
// Reference: https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md#specification
const compatFile = "plugin.wasm"

// compatLayer returns the layer that holds a module as plugin.wasm, and the
// digest of its archive before compression. The layer depends on the module only.
//
// It is compressed each time it is read, and kept neither in a file nor in memory: a
// push that is killed leaves nothing behind, and a large module needs no room.
func compatLayer(wasm Blob) (Blob, digest.Digest, error) {
	compressed, uncompressed := digest.SHA256.Digester(), digest.SHA256.Digester()
	var size counter
	if err := writeLayer(io.MultiWriter(compressed.Hash(), &size), uncompressed.Hash(), wasm); err != nil {
		return Blob{}, "", err
	}
	return Blob{
		Descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: compressed.Digest(), Size: int64(size)},
		Open: func() (io.ReadCloser, error) {
			r, w := io.Pipe()
			go func() { _ = w.CloseWithError(writeLayer(w, io.Discard, wasm)) }()
			return r, nil
		},
	}, uncompressed.Digest(), nil
}

// writeLayer writes the compressed archive to compressed and the archive itself
// to uncompressed.
//
// The compressor comes from a pinned module. The output of Go's own may change with the
// Go release that a machine happens to have.
func writeLayer(compressed, uncompressed io.Writer, wasm Blob) error {
	file, err := wasm.Open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	zip := gzip.NewWriter(compressed)
	archive := tar.NewWriter(io.MultiWriter(zip, uncompressed))
	if err := archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     compatFile,
		Mode:     0o644,
		Size:     wasm.Size,
		ModTime:  time.Unix(0, 0),
		Format:   tar.FormatUSTAR,
	}); err != nil {
		return err
	}
	sum := sha256.New()
	switch n, err := io.Copy(archive, io.TeeReader(file, sum)); {
	case errors.Is(err, tar.ErrWriteTooLong), err == nil && n != wasm.Size,
		err == nil && digest.NewDigest(digest.SHA256, sum) != wasm.Digest:
		return errChanged
	case err != nil:
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zip.Close()
}

var errChanged = fmt.Errorf("the module was %w", build.ErrChanged)

// badLayer is the error of readLayer and of reading the module. A damaged archive's own
// error is not in its chain: an early end would look like that of a transfer. A file
// that cannot be read says nothing about the archive.
func badLayer(err error) error {
	err = fmt.Errorf("read the layer as tar+gzip: %w", err)
	if errors.As(err, new(*fs.PathError)) {
		return err
	}
	return finding.Mismatch(errors.New(err.Error()))
}

// readLayer returns plugin.wasm in a compressed archive.
func readLayer(layer io.Reader) (io.Reader, error) {
	zip, err := gzip.NewReader(layer)
	if err != nil {
		return nil, badLayer(err)
	}
	archive := tar.NewReader(zip)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, finding.Mismatch(fmt.Errorf("the layer holds no %s", compatFile))
		}
		if err != nil {
			return nil, badLayer(err)
		}
		// Istio and Envoy Gateway compare the last element as well.
		if path.Base(header.Name) == compatFile {
			return &layerReader{archive}, nil
		}
	}
}

type layerReader struct{ archive io.Reader }

func (r *layerReader) Read(p []byte) (int, error) {
	n, err := r.archive.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = badLayer(err)
	}
	return n, err
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
