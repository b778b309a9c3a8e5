package storage

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

// Errors that a Bucket returns, possibly wrapped.
var (
	// ErrNotFound says that there is no object under a key. Only a definite answer counts:
	// 404, but not 401 or 403.
	ErrNotFound = finding.ErrAbsent
	// ErrPrecondition says that the object under a key is not in the state that the writer
	// expected. It was left unchanged.
	ErrPrecondition = errors.New("somebody else wrote the object first")
)

// Bucket stores objects under keys; it has only the methods that Slipway needs. ModuleKey,
// SumKey, SumsKey and IndexKey make the keys. An object appears complete or not at all.
type Bucket interface {
	// Get opens the object under a key, or returns ErrNotFound. The tag identifies the
	// object's current state for Replace, in a form that depends on the store; it may be
	// empty.
	Get(ctx context.Context, key string) (body io.ReadCloser, tag string, err error)
	// Create writes a new object. If the key has one already, the error is ErrPrecondition.
	Create(ctx context.Context, key string, content Content) error
	// Replace overwrites an object that is in the state old. If it is in another state, the
	// error is ErrPrecondition.
	Replace(ctx context.Context, key string, old State, content Content) error
}

// State is the state of an object when it was read.
type State struct {
	// Tag is what Get returned.
	Tag string
	// SHA256 is the sum of the bytes that were read, in hex. It is for stores whose tags
	// cannot be trusted.
	SHA256 string
}

// Content is the content of an object to write.
type Content struct {
	// Type is the object's Content-Type.
	Type string
	// CacheControl is the object's Cache-Control.
	CacheControl string
	// Size is in bytes.
	Size int64
	// Open returns a reader that starts at the first byte. It can be called several times.
	Open func() (io.ReadCloser, error)
}

// bytesContent is a small content in memory.
func bytesContent(data []byte, mediaType, cacheControl string) Content {
	return Content{
		Type:         mediaType,
		CacheControl: cacheControl,
		Size:         int64(len(data)),
		Open:         func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}
