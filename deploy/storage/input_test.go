package storage

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
)

const secret = "hunter2-of-the-storage"

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const scheme = "an address begins with gs://, s3://, azblob://, file:// or https://"
	for _, c := range []struct {
		name string
		opts Options
		want string
	}{
		{"unknown scheme", Options{URL: "ftp://host/x"}, `storage URL: unknown scheme "ftp"; ` + scheme},
		{"no scheme", Options{URL: "bucket/prefix"}, "storage URL: the address has no scheme; it begins with gs://, s3://, azblob://, file:// or https://"},
		{"one slash", Options{URL: "s3:bucket"}, "storage URL: write two slashes after the scheme, as in s3://"},
		{"no URL", Options{URL: "https://user:" + secret + "@h%zz"}, "storage URL: it is not a URL"},
		{"missing bucket", Options{URL: "s3:///prefix"}, "storage URL: s3:///prefix names no bucket; write s3://BUCKET/PREFIX"},
		{"missing host", Options{URL: "https:///prefix"}, "storage URL: https:///prefix names no host; write https://HOST/PATH"},
		{"missing folder", Options{URL: "file:///"}, "storage URL: file:// names no folder; write file:///srv/filters"},
		{"folder as host", Options{URL: "file://srv/filters"}, "storage URL: file://srv/filters: a file URL names no host; write three slashes: file:///srv/filters"},
		{"credentials in the URL", Options{URL: "https://user:" + secret + "@host/x"}, "storage URL: https://host/x: an address holds no credentials, because it appears in logs"},
		{"query", Options{URL: "https://host/x?sig=" + secret}, "storage URL: https://host/x has a query, which https addresses cannot have: an address holds no credentials, because it appears in logs"},
		{"fragment", Options{URL: "https://host/x#y"}, "storage URL: it has a fragment (#)"},
		{"prefix that leads out", Options{URL: "gs://bucket/a/../../other"}, `storage URL: gs://bucket/a/../../other: the path holds a segment "..", which would lead out of it`},
		{"escaped prefix that leads out", Options{URL: "gs://bucket/a/%2e%2e/b"}, `storage URL: gs://bucket/a/../b: the path holds a segment "..", which would lead out of it`},
		{"no readers", Options{URL: "gs://acme/filters"}, "storage gs://acme/filters: no public address was given, from which readers fetch; for example https://storage.googleapis.com/acme/filters"},
		{"a folder's path", Options{URL: "./out"}, "storage URL: the address has no scheme; it begins with gs://, s3://, azblob://, file:// or https://; for a folder write file:// and its absolute path, such as file:///srv/filters"},
		{"a path upwards", Options{URL: "../out"}, "storage URL: the address has no scheme; it begins with gs://, s3://, azblob://, file:// or https://; for a folder write file:// and its absolute path, such as file:///srv/filters"},
		{"token with a line break", Options{URL: "https://host/x", Token: secret + "\n"}, "storage https://host/x: the token: it ends with a line break, as a file does; give it without"},
		{"password with a line break", Options{URL: "https://host/x", Username: "u", Password: secret + "\r\n"}, "storage https://host/x: the password: it ends with a line break, as a file does; give it without"},
		{"token of two lines", Options{URL: "https://host/x", Token: secret + "\n" + secret}, "storage https://host/x: the token has a line break or another control character in it, which no header can have; give the token alone"},
		{"readers of a file", Options{URL: "file:///srv/filters", PublicURL: "file:///srv/filters"}, "public storage URL: readers fetch over HTTP: write https://HOST/PATH"},
		{"readers with a query", Options{URL: "file:///srv/filters", PublicURL: "https://host/?token=" + secret}, "public storage URL: the address has a query, and readers send none"},
		{"readers with credentials", Options{URL: "file:///srv/filters", PublicURL: "https://u:" + secret + "@host/"}, "public storage URL: https://host/: an address holds no credentials, because it appears in logs"},
		{"password and token", Options{URL: "https://host/x", Username: "u", Password: secret, Token: secret}, "storage https://host/x: both a username with a password and a token were given: credentials are a username with its password, or a token"},
		{"password alone", Options{URL: "https://host/x", Password: secret}, "storage https://host/x: a username and a password belong together: credentials are a username with its password, or a token"},
		{"password in the clear", Options{URL: "http://host/x", Username: "u", Password: secret}, "storage http://host/x: http would send the credentials in the clear; use https"},
		{"token in the clear", Options{URL: "http://127.0.0.1.example.com/x", Token: secret}, "storage http://127.0.0.1.example.com/x: http would send the credentials in the clear; use https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(c.opts)
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("it repeats a secret")
			}
		})
	}
}

func TestOpenAccepts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		opts         Options
		shown, reads string
	}{
		{Options{URL: "https://host/a/b/"}, "https://host/a/b", "https://host/a/b/k"},
		{Options{URL: "https://host"}, "https://host", "https://host/k"},
		{Options{URL: "http://[::1]:80/a", Token: secret}, "http://[::1]:80/a", "http://[::1]:80/a/k"},
		{Options{URL: "s3://b/p?region=eu&endpoint=https://minio", PublicURL: "https://cdn/"}, "s3://b/p", "https://cdn/k"},
		{Options{URL: "gs://b", PublicURL: "https://cdn/x/"}, "gs://b", "https://cdn/x/k"},
		{Options{URL: "file:///srv/filters/", PublicURL: "https://cdn"}, "file:///srv/filters", "https://cdn/k"},
	} {
		s, err := Open(c.opts)
		if err != nil {
			t.Errorf("%s: %v", c.opts.URL, err)
			continue
		}
		if s.location.String() != c.shown || s.PublicURL("k") != c.reads {
			t.Errorf("%s is shown as %s and read at %s", c.opts.URL, s.location, s.PublicURL("k"))
		}
	}
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	headers := module(t, "headers", 'a', 100)
	missing, changed, renamed, escaping := headers, headers, headers, headers
	missing.Path += ".gone"
	changed.Path = module(t, "headers", 'b', 100).Path
	renamed.Name = "Headers"
	escaping.Name = "../../etc"
	for _, c := range []struct {
		name string
		opts UploadOptions
		want string
		is   error
	}{
		{"nothing", release("1.0.0"), "upload: there is no module: not built", build.ErrNotBuilt},
		{"no record", release("1.0.0", build.Module{Record: build.Record{Name: "headers"}}), "upload: module headers has no record", nil},
		{"twice", release("1.0.0", headers, headers), "upload: filter headers was given twice", nil},
		{"no version", UploadOptions{Modules: []build.Module{headers}}, "upload: no version was given", nil},
		{"filter name", release("1.0.0", renamed), `upload: filter name "Headers": `, nil},
		{"escaping filter name", release("1.0.0", escaping), `upload: filter name "../../etc": `, nil},
		{"module is gone", release("1.0.0", missing), `: headers: not built: open `, build.ErrNotBuilt},
		{"module was changed", release("1.0.0", changed), `: headers: changed after it was built: `, build.ErrChanged},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, dir := embedded(t)
			_, err := Upload(t.Context(), s, c.opts)
			wantError(t, err, c.want)
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("it is not %v", c.is)
			}
			if files := tree(t, dir); len(files) > 0 {
				t.Errorf("it wrote %v", files)
			}
		})
	}
}

// A symbolic link in the storage does not lead an upload out of it.
func TestUploadStaysInside(t *testing.T) {
	t.Parallel()
	s, dir := embedded(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, dir+"/headers"); err != nil {
		t.Skipf("no symbolic link can be made here; on Windows, turn the developer mode on: %v", err)
	}
	_, err := Upload(t.Context(), s, release("1.0.0", module(t, "headers", 'a', 10)))
	wantError(t, err, "upload 1.0.0 to file://", "headers", "escapes")
	if files := tree(t, outside); len(files) > 0 {
		t.Errorf("it wrote %v", files)
	}
}

// An upload leaves foreign objects and differing content in the storage alone.
func TestUploadKeepsWhatItFinds(t *testing.T) {
	t.Parallel()
	headers := module(t, "headers", 'a', 100)
	other := strings.Repeat("c", 64)
	const conflict = "a published version never changes: choose a new version"
	for _, c := range []struct {
		name, key, content string
		want               []string
	}{
		{"another module", "headers/1.0.0/headers.wasm", "x", []string{"headers.wasm exists with wasm sha256 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 (ours is " + headers.WasmSHA256 + ")", conflict, "no checksum stands beside it"}},
		{"another sum", "headers/1.0.0/headers.wasm.sha256", other + "  headers.wasm\n", []string{"exists with wasm sha256 " + other, conflict}},
		{"a sum of something else", "headers/1.0.0/headers.wasm.sha256", other + "  other.wasm\n", []string{"headers.wasm.sha256: ", `it has the sum of "other.wasm", and should have that of headers.wasm alone`, "delete it"}},
		{"no sum", "headers/1.0.0/headers.wasm.sha256", "<html>", []string{"headers.wasm.sha256: ", `"<html>" is no line of sha256sum`}},
		{"an empty sum", "headers/1.0.0/headers.wasm.sha256", "", []string{"headers.wasm.sha256: ", "it is empty"}},
		{"other SHA256SUMS", "1.0.0/SHA256SUMS", other + "  headers/1.0.0/headers.wasm\n", []string{"1.0.0/SHA256SUMS: headers/1.0.0/headers.wasm exists with wasm sha256 " + other, conflict}},
		{"no SHA256SUMS", "1.0.0/SHA256SUMS", "hello\n", []string{"1.0.0/SHA256SUMS: ", `"hello" is no line of sha256sum`}},
		{"a stranger's line", "1.0.0/SHA256SUMS", headers.WasmSHA256 + "  headers/1.0.0/headers.wasm\n" + other + "  ../evil.wasm\n", []string{`it names "../evil.wasm", which is not a module of version 1.0.0`}},
		{"another path", "headers/index.json", `{"indexVersion":1,"name":"headers","versions":[{"version":"1.0.0","path":"../evil/evil.wasm","size":100,"wasmSha256":"` + headers.WasmSHA256 + `"}]}`, []string{`version 1.0.0 has the path "../evil/evil.wasm", and should have 1.0.0/headers.wasm`}},
		{"another size", "headers/index.json", `{"indexVersion":1,"name":"headers","versions":[{"version":"1.0.0","path":"1.0.0/headers.wasm","size":99,"wasmSha256":"` + headers.WasmSHA256 + `"}]}`, []string{"version 1.0.0 exists with size 99", conflict}},
		{"another entry", "headers/index.json", `{"indexVersion":1,"name":"headers","versions":[{"version":"1.0.0","path":"1.0.0/headers.wasm","size":100,"wasmSha256":"` + other + `"}]}`, []string{"headers/index.json: version 1.0.0 exists with wasm sha256 " + other, conflict}},
		{"no index", "headers/index.json", "{]", []string{"headers/index.json: it is not an index of Slipway: ", "move it away"}},
		{"an index with more in it", "headers/index.json", `{"indexVersion":1,"name":"headers","notes":"ours"}`, []string{"headers/index.json: it is not an index of Slipway: ", `unknown field "notes"`}},
		{"a later index", "headers/index.json", `{"indexVersion":2,"name":"headers"}`, []string{"it has form 2, and this Slipway knows 1; use a newer one"}},
		{"another filter's index", "headers/index.json", `{"indexVersion":1,"name":"waf"}`, []string{`it is the index of "waf" in form 1, not of "headers" in form 1`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, dir := embedded(t)
			path := dir + "/" + c.key
			if err := errors.Join(os.MkdirAll(path[:strings.LastIndex(path, "/")], 0o755), os.WriteFile(path, []byte(c.content), 0o644)); err != nil {
				t.Fatal(err)
			}
			_, err := Upload(t.Context(), s, release("1.0.0", headers, module(t, "waf", 'w', 10)))
			wantError(t, err, c.want...)
			files := tree(t, dir)
			if len(files) != 1 || files[c.key] != c.content {
				t.Errorf("the storage now holds %q", files)
			}
			if strings.Contains(conflict, c.want[len(c.want)-1]) && !errors.As(err, new(*immutable.Conflict)) {
				t.Errorf("it is no *immutable.Conflict: %v", err)
			}
		})
	}
}
