package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// full reports whether an error says that there is no space left. No later try changes that. So
// the answer is 507, and not 500, after which clients try again.
//
// Reference: https://www.rfc-editor.org/rfc/rfc4918#section-11.5
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// disk is go-containerregistry's folder of blobs.
type disk interface {
	registry.BlobHandler
	registry.BlobStatHandler
	registry.BlobDeleteHandler
}

// blobs are the blobs in a folder.
type blobs struct {
	disk
	dir string
}

func newBlobs(dir string) *blobs { return &blobs{registry.NewDiskBlobHandler(dir).(disk), dir} }

// noSpace is the key of a *bool in a request's context, which Put sets when the disk is full:
// go-containerregistry answers 500 to all errors.
type noSpace struct{}

// Put stores a blob. Unlike go-containerregistry's own, it removes what it could not finish.
func (b *blobs) Put(ctx context.Context, _ string, h v1.Hash, content io.ReadCloser) error {
	err := b.put(h, content)
	if seen, ok := ctx.Value(noSpace{}).(*bool); ok && full(err) {
		*seen = true
	}
	return err
}

func (b *blobs) put(h v1.Hash, content io.Reader) (err error) {
	folder := filepath.Join(b.dir, h.Algorithm)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(b.dir, "upload-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // err says more
		}
	}()
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(folder, h.Hex))
}

// answerWhenFull turns the 500 of a blob for which there was no space into 507.
func answerWhenFull(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := false
		next.ServeHTTP(&fullWriter{w, &seen}, r.WithContext(context.WithValue(r.Context(), noSpace{}, &seen)))
	})
}

type fullWriter struct {
	http.ResponseWriter
	full *bool
}

func (w *fullWriter) WriteHeader(status int) {
	if *w.full {
		status = http.StatusInsufficientStorage
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *fullWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
