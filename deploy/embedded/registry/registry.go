// Package registry is an OCI registry inside the process.
//
// It is where Slipway publishes when no registry is given, so that every target
// can be tried at once, and what its tests publish to. The registry is that of
// go-containerregistry, which keeps blobs in a folder but manifests in memory only;
// here these are kept in the folder as well, so that what one command pushed
// another one can verify.
package registry

import (
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

// Options says where the registry keeps its content and where it listens.
type Options struct {
	// Dir is the folder for blobs and manifests. Default: "dist/registry".
	Dir string
	// Addr is the address to listen on, for example "127.0.0.1:5000". Default: a
	// free port of the loopback address.
	Addr string
	// Writable lets everybody write who reaches an address that is not a loopback one:
	// the registry asks nobody for a password. Default: there it is read-only.
	Writable bool
	// Out is told when another process has to be waited for. Default: nothing is
	// told.
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

// Start opens the folder and serves it until Close. One process at a time can have
// a folder; Start waits for its turn as long as ctx allows.
func Start(ctx context.Context, opts Options) (*Registry, error) {
	if opts.Dir == "" {
		opts.Dir = filepath.Join("dist", "registry")
	}
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	if opts.Out == nil {
		opts.Out = io.Discard
	}
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

// refuseWrites hands on what only reads.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
func refuseWrites(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = io.WriteString(w, `{"errors": [{"code": "UNSUPPORTED", "message": "this registry is read-only"}]}`) // fails when the client went away
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

// load returns the handler with everything that the folder holds.
func load(opts Options, blobs string) (http.Handler, error) {
	// What a killed process was about to store; go-containerregistry names it so.
	partial, err := filepath.Glob(filepath.Join(blobs, "upload-*"))
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
			registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
			registry.WithReferrersSupport(true),
			registry.Logger(log.New(io.Discard, "", 0)),
		),
	}
	return handler, handler.restore()
}

// Addr is the host and port, for example "127.0.0.1:38123": what REGISTRY is set
// to by others on this machine.
func (r *Registry) Addr() string { return r.listener.Addr().String() }

// Local reports whether only this machine reaches the registry.
func (r *Registry) Local() bool { return loopback.Host(r.Addr()) }

// ReadOnly reports whether it refuses all writes.
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

// Close stops serving and lets go of the folder, whose content stays.
func (r *Registry) Close() error {
	return errors.Join(r.server.Close(), r.lock.Unlock())
}
