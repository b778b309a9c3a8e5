package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
)

// keeper saves each manifest that the registry accepts, in one file per repository and
// reference. At the next start it puts the manifests back into the registry. A file holds the
// media type on its first line and the manifest after it.
type keeper struct {
	dir  string
	next http.Handler

	// mu makes files and memory change in the same order.
	mu sync.Mutex
}

// manifestPath matches the path of a manifest.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
var manifestPath = regexp.MustCompile(`^/v2/([a-z0-9][a-z0-9._/-]*)/manifests/([a-zA-Z0-9_][a-zA-Z0-9._:-]{0,255})$`)

// maxManifest is the maximum size of a manifest.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
const maxManifest = 4 << 20

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := manifestPath.FindStringSubmatch(r.URL.Path)
	if path == nil || (r.Method != http.MethodPut && r.Method != http.MethodDelete) {
		k.next.ServeHTTP(w, r)
		return
	}
	manifest, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(manifest))
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Header.Get("If-None-Match") == "*" && k.has(r.URL.Path) {
		refuse(w, http.StatusPreconditionFailed, "DENIED", "there is such a manifest already")
		return
	}
	answer := &answer{header: make(http.Header)}
	k.next.ServeHTTP(answer, r)
	if answer.status < 300 {
		// The manifest is saved before the client gets the answer.
		if err := k.keep(r, path[1], path[2], answer.header.Get("Docker-Content-Digest"), manifest); err != nil {
			status := http.StatusInternalServerError
			if full(err) {
				status = http.StatusInsufficientStorage
			}
			refuse(w, status, "UNKNOWN", err.Error())
			return
		}
	}
	maps.Copy(w.Header(), answer.header)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes()) // fails when the client went away
}

// has reports whether there is a manifest at a path.
func (k *keeper) has(path string) bool {
	answer := &answer{header: make(http.Header)}
	request := &http.Request{Method: http.MethodHead, URL: &url.URL{Path: path}, Body: http.NoBody}
	k.next.ServeHTTP(answer, request)
	return answer.status < 300
}

// refuse answers with an error of the distribution specification.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
func refuse(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
	if err != nil {
		panic(err) // cannot be: it holds only texts
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails when the client went away
}

// answer holds back the registry's answer until the manifest is saved.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// keep saves a manifest under its digest and its tag, or removes it after a DELETE.
func (k *keeper) keep(r *http.Request, repository, reference, digest string, manifest []byte) error {
	folder := filepath.Join(k.dir, url.PathEscape(repository))
	if r.Method == http.MethodDelete {
		return os.Remove(filepath.Join(folder, reference))
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	content := slices.Concat([]byte(r.Header.Get("Content-Type")+"\n"), manifest)
	for _, name := range slices.Compact([]string{digest, reference}) {
		if err := renameio.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// restore puts all saved manifests into the registry.
func (k *keeper) restore() error {
	files, err := filepath.Glob(filepath.Join(k.dir, "*", "*"))
	if err != nil {
		return err
	}
	contents := make(map[string][]byte, len(files))
	// Unfinished files of a killed process; renameio's names begin with a dot.
	files = slices.DeleteFunc(files, func(file string) bool {
		return strings.HasPrefix(filepath.Base(file), ".") && os.Remove(file) == nil
	})
	for _, file := range files {
		if contents[file], err = os.ReadFile(file); err != nil {
			return err
		}
	}
	// The registry accepts an index only after the manifests in it.
	isIndex := func(file string) int {
		if mediaType, _, _ := bytes.Cut(contents[file], []byte("\n")); bytes.Contains(mediaType, []byte("index")) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(files, func(a, b string) int { return isIndex(a) - isIndex(b) })
	for _, file := range files {
		mediaType, manifest, found := bytes.Cut(contents[file], []byte("\n"))
		repository, err := url.PathUnescape(filepath.Base(filepath.Dir(file)))
		if !found || err != nil {
			return fmt.Errorf("%s was not written by this registry; remove it", file)
		}
		request, err := http.NewRequest(http.MethodPut, "/v2/"+repository+"/manifests/"+filepath.Base(file), bytes.NewReader(manifest))
		if err != nil {
			return fmt.Errorf("restore %s: %w", file, err)
		}
		request.Header.Set("Content-Type", string(mediaType))
		answer := &answer{header: make(http.Header)}
		if k.next.ServeHTTP(answer, request); answer.status >= 300 {
			return fmt.Errorf("restore %s: %s", file, strings.TrimSpace(answer.body.String()))
		}
	}
	return nil
}
