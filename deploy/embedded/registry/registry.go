// Package registry is an OCI registry inside the process.
//
// Slipway publishes here if no registry is given, so that every target can be tried at once.
// Its tests publish here, too. The registry is go-containerregistry's, which keeps blobs in a
// folder, but manifests only in memory. This package saves manifests in the folder as well, so
// that one command can verify what another one pushed.
package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/slipway-wasm/slipway/deploy/internal/loopback"
)

// Options says where the registry keeps its content, and where it listens.
type Options struct {
	// Dir is the folder for blobs and manifests. Default: "dist/registry".
	Dir string
	// Addr is the address to listen on, for example "127.0.0.1:5000". Default: a free port on
	// the loopback address.
	Addr string
	// Writable allows writing at an address that is not a loopback one. The registry asks for
	// no password, so everybody who reaches the address can write. Default: such an address is
	// read-only.
	Writable bool
	// Out gets a line if Start has to wait for another process. Default: nothing is written.
	Out io.Writer
}

// Registry is a running registry.
type Registry struct {
	server   *http.Server
	listener net.Listener
	readOnly bool
	lock     *flock.Flock
	served   chan error
}

// Start opens the folder and serves it until Close. Only one process at a time can use a
// folder. Start waits for its turn until ctx ends.
func Start(ctx context.Context, opts Options) (*Registry, error) {
	opts.Dir = cmp.Or(opts.Dir, filepath.Join("dist", "registry"))
	opts.Addr = cmp.Or(opts.Addr, "127.0.0.1:0")
	opts.Out = cmp.Or(opts.Out, io.Discard)
	r, err := start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start the embedded registry in %s: %w", opts.Dir, err)
	}
	return r, nil
}

func start(ctx context.Context, opts Options) (*Registry, error) {
	blobs := filepath.Join(opts.Dir, "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, filepath.Join(opts.Dir, "lock"), opts.Out)
	if err != nil {
		return nil, err
	}
	handler, err := load(opts, blobs)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Addr)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	readOnly := !opts.Writable && !loopback.Host(listener.Addr().String())
	if readOnly {
		handler = refuseWrites(handler)
	}
	r := &Registry{
		server:   &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute},
		listener: listener,
		readOnly: readOnly,
		lock:     lock,
		served:   make(chan error, 1),
	}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// refuseWrites passes on only the requests that read.
func refuseWrites(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry is read-only")
	})
}

// acquire takes the folder's lock.
func acquire(ctx context.Context, path string, out io.Writer) (*flock.Flock, error) {
	lock := flock.New(path)
	if ok, err := lock.TryLock(); ok || err != nil {
		return lock, err
	}
	fmt.Fprintf(out, "another process uses the embedded registry in %s; waiting until it ends\n", filepath.Dir(path))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, fmt.Errorf("another process uses it: %w", err)
	}
	return lock, nil
}

// load returns a handler that serves everything in the folder.
func load(opts Options, folder string) (http.Handler, error) {
	// Unfinished blobs of a killed process, under go-containerregistry's names.
	partial, err := filepath.Glob(filepath.Join(folder, "upload-*"))
	if err != nil {
		return nil, err
	}
	for _, path := range partial {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	handler := &keeper{
		dir: filepath.Join(opts.Dir, "manifests"),
		next: registry.New(
			registry.WithBlobHandler(newBlobs(folder)),
			registry.WithReferrersSupport(true),
			registry.Logger(log.New(io.Discard, "", 0)),
		),
	}
	return answerWhenFull(handler), handler.restore()
}

// Addr is the host and port, for example "127.0.0.1:38123". Other programs on this machine set
// REGISTRY to it.
func (r *Registry) Addr() string { return r.listener.Addr().String() }

// Local reports whether only this machine can reach the registry.
func (r *Registry) Local() bool { return loopback.Host(r.Addr()) }

// ReadOnly reports whether the registry refuses all writes.
func (r *Registry) ReadOnly() bool { return r.readOnly }

// Wait returns when ctx ends or the registry fails.
func (r *Registry) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-r.served:
		return err
	}
}

// Close stops serving and unlocks the folder, whose content stays.
func (r *Registry) Close() error {
	return errors.Join(r.server.Close(), r.lock.Unlock())
}
