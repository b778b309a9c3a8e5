package stores

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// twoParts is more than the clouds' SDKs send in one part.
const twoParts = 9 << 20

// TestStores checks the same for every store.
func TestStores(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		headers, requestlog := module(t, "headers", twoParts, 1), module(t, "requestlog", 1000, 1)
		objects := s.mustUpload(t, release("1.4.0", requestlog, headers))
		for i, m := range []struct{ name, sum string }{{"requestlog", requestlog.WasmSHA256}, {"headers", headers.WasmSHA256}} {
			o := objects[i]
			if o.Filter != m.name || o.WasmSHA256 != m.sum || o.Version != "1.4.0" || o.Unchanged || o.URL != s.public()+"/"+m.name+"/1.4.0/"+m.name+".wasm" {
				t.Errorf("object %d is %+v", i, o)
			}
		}
		t.Run("served", func(t *testing.T) {
			for _, m := range []string{headers.Path, requestlog.Path} {
				name := strings.TrimSuffix(filepath.Base(m), ".wasm")
				status, header, body := s.get(t, name+"/1.4.0/"+name+".wasm")
				want, err := os.ReadFile(m)
				if err != nil {
					t.Fatal(err)
				}
				if status != http.StatusOK || !bytes.Equal(body, want) {
					t.Errorf("%s: status %d, %d bytes", name, status, len(body))
				}
				if got := header.Get("Content-Type"); got != "application/wasm" {
					t.Errorf("%s has Content-Type %q", name, got)
				}
				if got, ok := header["Content-Encoding"]; ok {
					t.Errorf("%s has Content-Encoding %q", name, got)
				}
				if got := header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
					t.Errorf("%s has Cache-Control %q", name, got)
				}
			}
			for _, key := range []string{"headers/index.json", "1.4.0/SHA256SUMS"} {
				if _, header, _ := s.get(t, key); header.Get("Cache-Control") != "no-cache" {
					t.Errorf("%s has Cache-Control %q", key, header.Get("Cache-Control"))
				}
			}
		})
		t.Run("sha256sum", func(t *testing.T) {
			dir := s.download(t, "headers/1.4.0/headers.wasm", "headers/1.4.0/headers.wasm.sha256", "requestlog/1.4.0/requestlog.wasm", "1.4.0/SHA256SUMS")
			sha256sum(t, filepath.Join(dir, "headers/1.4.0"), "headers.wasm.sha256")
			sha256sum(t, dir, "1.4.0/SHA256SUMS")
		})
		t.Run("index", func(t *testing.T) {
			index := s.index(t, "headers")
			if len(index.Versions) != 1 {
				t.Fatalf("index: %+v", index)
			}
			entry := index.Versions[0]
			if entry.Version != "1.4.0" || entry.WasmSHA256 != headers.WasmSHA256 || entry.Size != twoParts {
				t.Errorf("entry: %+v", entry)
			}
			if status, _, _ := s.get(t, path.Join("headers", entry.Path)); status != http.StatusOK {
				t.Errorf("%s: %d", entry.Path, status)
			}
		})
		t.Run("the same again", func(t *testing.T) {
			before := s.state(t, "headers/1.4.0/headers.wasm")
			for _, o := range s.mustUpload(t, release("1.4.0", headers, requestlog)) {
				if !o.Unchanged {
					t.Errorf("%+v", o)
				}
			}
			if after := s.state(t, "headers/1.4.0/headers.wasm"); after != before {
				t.Errorf("it was written again: %s, before %s", after, before)
			}
		})
		t.Run("other bytes", func(t *testing.T) {
			other := module(t, "headers", 1000, 2)
			fresh := module(t, "authtoken", 1000, 2)
			_, err := s.upload(t, release("1.4.0", other, fresh))
			if err == nil || !strings.Contains(err.Error(), headers.WasmSHA256) || !strings.Contains(err.Error(), other.WasmSHA256) || !strings.Contains(err.Error(), "choose a new version") {
				t.Errorf("%v", err)
			}
			if _, _, body := s.get(t, "headers/1.4.0/headers.wasm"); len(body) != twoParts {
				t.Errorf("it has %d bytes now", len(body))
			}
			if status, _, _ := s.get(t, "authtoken/1.4.0/authtoken.wasm"); status != http.StatusNotFound {
				t.Errorf("something was sent: %d", status)
			}
		})
		t.Run("one more filter and versions", func(t *testing.T) {
			s.mustUpload(t, release("1.4.0", module(t, "authtoken", 500, 1)))
			s.mustUpload(t, release("1.10.0", module(t, "headers", 500, 3)))
			s.mustUpload(t, release("1.3.9", module(t, "headers", 500, 4)))
			s.mustUpload(t, release("1.10.0-rc.1", module(t, "headers", 500, 5)))
			var versions []string
			for _, entry := range s.index(t, "headers").Versions {
				versions = append(versions, entry.Version)
			}
			if want := []string{"1.10.0", "1.10.0-rc.1", "1.4.0", "1.3.9"}; !slices.Equal(versions, want) {
				t.Errorf("versions %v, want %v", versions, want)
			}
			if _, _, sums := s.get(t, "1.4.0/SHA256SUMS"); bytes.Count(sums, []byte("\n")) != 3 {
				t.Errorf("SHA256SUMS:\n%s", sums)
			}
		})
		t.Run("OCI reference", func(t *testing.T) {
			const reference = "ghcr.io/acme/filters/headers@sha256:3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
			again := release("1.4.0", headers)
			again.OCIReferences = map[string]string{"headers": reference}
			s.mustUpload(t, again)
			if entry := s.index(t, "headers").Find("1.4.0"); entry == nil || entry.OCIReference != reference {
				t.Errorf("%+v", entry)
			}
			again.OCIReferences = map[string]string{"headers": strings.Replace(reference, "3b", "4c", 1)}
			if _, err := s.upload(t, again); err == nil || !strings.Contains(err.Error(), reference) {
				t.Errorf("another reference for the same version: %v", err)
			}
		})
		t.Run("verify", func(t *testing.T) {
			readers, err := storage.OpenPublic(s.public(), storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			objects, err := storage.Verify(t.Context(), readers, storage.VerifyOptions{Version: version.MustParse("1.4.0")})
			if err != nil || len(objects) != 3 || objects[1].WasmSHA256 != headers.WasmSHA256 || objects[1].WasmSize != twoParts {
				t.Errorf("%+v, %v", objects, err)
			}
			_, err = storage.Verify(t.Context(), readers, storage.VerifyOptions{Version: version.MustParse("1.5.0")})
			if !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("a version that does not exist: %v", err)
			}
		})
	})
}

// TestStoresNeedPermission uploads with credentials that may not write.
func TestStoresNeedPermission(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		if s.intruder.URL == "" {
			return // the folder and fake-gcs-server know no permissions
		}
		_, err := begin(t, s.intruder, s.intruderEnvironment, release("1.0.0", module(t, "headers", 500, 1))).wait(t)
		if err == nil || !strings.Contains(err.Error(), "401") && !strings.Contains(err.Error(), "403") {
			t.Fatalf("%v", err)
		}
		if status, _, _ := s.get(t, "headers/1.0.0/headers.wasm"); status == http.StatusOK {
			t.Error("it was written")
		}
	})
}

// TestStoresMustBePublic uploads to where readers may not read.
func TestStoresMustBePublic(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		if s.private.URL == "" {
			return // everybody may read the folder and fake-gcs-server
		}
		_, err := begin(t, s.private, s.environment, release("1.0.0", module(t, "headers", 500, 1))).wait(t)
		if err == nil || !strings.Contains(err.Error(), "without credentials, as readers do") || !strings.Contains(err.Error(), "let everybody read") {
			t.Fatalf("%v", err)
		}
	})
}

// download fetches objects into a folder, under their keys.
func (s store) download(t *testing.T, keys ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, key := range keys {
		status, _, body := s.get(t, key)
		file := filepath.Join(dir, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, body, 0o644); err != nil || status != http.StatusOK {
			t.Fatalf("%s: status %d, %v", key, status, err)
		}
	}
	return dir
}

// sha256sum lets coreutils judge a checksum file.
func sha256sum(t *testing.T, dir, file string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", file)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", file, err, output)
	}
}

func (s store) index(t *testing.T, filter string) *storage.Index {
	t.Helper()
	status, _, body := s.get(t, filter+"/index.json")
	index := new(storage.Index)
	if err := json.Unmarshal(body, index); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", status, err, body)
	}
	return index
}

// state is what changes when an object is written.
func (s store) state(t *testing.T, key string) string {
	t.Helper()
	_, header, _ := s.get(t, key)
	// Apache calls an ETag weak for a second after the write, and strong later.
	return header.Get("Last-Modified") + " " + strings.TrimPrefix(header.Get("ETag"), "W/")
}
