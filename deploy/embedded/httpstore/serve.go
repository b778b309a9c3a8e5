package httpstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
)

// mediaTypes are the type of a module, from
// https://www.iana.org/assignments/media-types/application/wasm, and the types of the files
// beside it.
var mediaTypes = map[string]string{
	".wasm":   "application/wasm",
	".sha256": "text/plain; charset=utf-8",
	".json":   "application/json",
}

// ServeHTTP answers GET and HEAD for the file that the path names.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this storage is read-only over HTTP", http.StatusMethodNotAllowed)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/")
	if !servable(key) {
		http.NotFound(w, r)
		return
	}
	file, err := s.root.Open(key)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	if mediaType, ok := mediaTypes[path.Ext(key)]; ok {
		w.Header().Set("Content-Type", mediaType)
	} else if path.Base(key) == "SHA256SUMS" {
		w.Header().Set("Content-Type", mediaTypes[".sha256"])
	}
	w.Header().Set("Cache-Control", cacheControl(key))
	http.ServeContent(w, r, key, info.ModTime(), file)
}

// servable reports whether a key names a file in the folder that is not hidden. Incomplete
// uploads are hidden.
func servable(key string) bool {
	return fs.ValidPath(key) && !strings.HasPrefix(key, ".") && !strings.Contains(key, "/.")
}

// cacheControl is "immutable" for files that never change (RFC 8246). Caches must check the
// two kinds of lists that grow with each release.
func cacheControl(key string) string {
	switch path.Base(key) {
	case "SHA256SUMS", "index.json":
		return "no-cache"
	}
	return "public, max-age=31536000, immutable"
}

// Server serves a folder on its socket. It is also an [http.Handler] with the same answers.
type Server struct {
	root   *os.Root
	server *http.Server
	url    string
	done   chan error
}

// ServeOptions say what to serve, and where.
type ServeOptions struct {
	// Dir is the folder. It is created if it is missing. Required.
	Dir string
	// Addr is the TCP address to listen on. Empty means 127.0.0.1 and a port
	// that the kernel chooses.
	Addr string
}

// Serve serves o.Dir until [Server.Close].
func Serve(o ServeOptions) (*Server, error) {
	addr := cmp.Or(o.Addr, "127.0.0.1:0")
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("serve storage: %w", err)
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("serve storage: %w", err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve storage: %w", err), root.Close())
	}
	s := &Server{root: root, url: "http://" + listener.Addr().String(), done: make(chan error, 1)}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.done <- s.server.Serve(listener) }()
	return s, nil
}

// Add copies a file into the folder. It is then served under key.
func (s *Server) Add(key, file string) error {
	content, err := os.ReadFile(file)
	if err == nil {
		err = s.root.MkdirAll(path.Dir(key), 0o755)
	}
	if err == nil {
		err = s.root.WriteFile(key, content, 0o644)
	}
	if err != nil {
		return fmt.Errorf("serve %s: %w", key, err)
	}
	return nil
}

// URL returns the address of the file under key.
func (s *Server) URL(key string) string { return s.url + "/" + key }

// Close stops the server and cuts transfers that are under way. The folder stays.
func (s *Server) Close() error {
	err := s.server.Close()
	if serveErr := <-s.done; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return errors.Join(err, s.root.Close())
}
