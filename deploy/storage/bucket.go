package storage

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

// Errors that a Bucket returns, in the chain.
var (
	// ErrNotFound says that there is no object under a key. Only a definite answer
	// counts: 404, and never 401 or 403.
	ErrNotFound = finding.ErrAbsent
	// ErrPrecondition says that the object under a key is not what the writer
	// expected, and was left as it is.
	ErrPrecondition = errors.New("somebody else wrote the object first")
)

// Bucket is a store of objects under keys, as far as Slipway needs it. Keys are
// those of ModuleKey, SumKey, SumsKey and IndexKey. An object appears complete or
// not at all.
type Bucket interface {
	// Get opens the object under a key, or returns ErrNotFound. The tag identifies
	// the object's present state for Replace, in the store's own way; it may be
	// empty.
	Get(ctx context.Context, key string) (body io.ReadCloser, tag string, err error)
	// Create writes an object that does not exist; if it does, the error is
	// ErrPrecondition.
	Create(ctx context.Context, key string, content Content) error
	// Replace writes an object that exists and has the state old; if it has
	// another, the error is ErrPrecondition.
	Replace(ctx context.Context, key string, old State, content Content) error
}

// State is the state of an object when it was read.
type State struct {
	// Tag is what Get returned.
	Tag string
	// SHA256 is the sum of the bytes that were read, in hex, for stores whose tags
	// cannot be trusted.
	SHA256 string
}

// Content is what an object is to hold.
type Content struct {
	// Type is the object's Content-Type.
	Type string
	// CacheControl is the object's Cache-Control.
	CacheControl string
	// Size is in bytes.
	Size int64
	// Open returns the bytes from the beginning, each time that it is called.
	Open func() (io.ReadCloser, error)
}

// bytesContent is a small content that is in memory.
func bytesContent(data []byte, mediaType, cacheControl string) Content {
	return Content{
		Type:         mediaType,
		CacheControl: cacheControl,
		Size:         int64(len(data)),
		Open:         func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}
