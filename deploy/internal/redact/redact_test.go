package redact

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://host/a.wasm":                         "https://host/a.wasm",
		"https://user:s3cret@host:1/a.wasm":           "https://host:1/a.wasm",
		"https://s3cret@host/a.wasm":                  "https://host/a.wasm",
		"https://host/a%2Fb.wasm?X-Signature=s3cret":  "https://host/a%2Fb.wasm",
		"https://host/a.wasm#s3cret":                  "https://host/a.wasm",
		"https://unpkg.com/@acme/filter@1.2.3/a.wasm": "https://unpkg.com/@acme/filter@1.2.3/a.wasm",
		"https://user:s3#cret@host/a.wasm":            "https://[hidden]",
		"https://user:s3/cret@host/a.wasm":            "https://[hidden]",
		"https://user:s3%zzcret@host/a.wasm":          "https://[hidden]",
		"awskms:///alias/filters":                     "awskms:///alias/filters",
		"http://[::1]:5000/a":                         "http://[::1]:5000/a",
		"headers:1.4.0":                               "headers:1.4.0",
		"headers@sha256:0123":                         "headers@sha256:0123",
		"user:s3cret@ghcr.io/acme/headers:1":          "[hidden]@ghcr.io/acme/headers:1",
		"user:s3cret@ghcr.io/headers@sha256:0123":     "[hidden]@ghcr.io/headers@sha256:0123",
		"user:s3/cret@ghcr.io:5000":                   "[hidden]@ghcr.io:5000",
		"ghcr.io/acme/headers:1?token=s3cret":         "ghcr.io/acme/headers:1",
		"ghcr.io/acme?token=s3@cret":                  "[hidden]",
		"ghcr.io/acme#s3cret":                         "ghcr.io/acme",
		"user:s3?cret@ghcr.io/acme/headers:1":         "[hidden]",
		"user:s3cret@ghcr.io/acme?a=s3cret":           "[hidden]@ghcr.io/acme",
	} {
		if got := Address(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`Get "https://user:***@host/a?sig=s3cret": dial tcp: refused`: `Get "https://host/a": dial tcp: refused`,
		`Get "/a?sig=s3cret": stopped after 10 redirects`:             `Get "/a": stopped after 10 redirects`,
		"see https://host/a?sig=s3cret, or s3://b/c?key=s3cret.":      "see https://host/a, or s3://b/c.",
		"GET http://[::1]:5000/a: 404":                                "GET http://[::1]:5000/a: 404",
		"you sent Authorization: Bearer s3.cr-_et/+== and more":       "you sent Authorization: Bearer [hidden] and more",
		`{"authorization": ["basic dTpzM2NyZXQ="]}`:                   `{"authorization": ["basic [hidden]"]}`,
		"Authorization: s3cret":                                       "Authorization: [hidden]",
		"Basic dXNlcjpwYXNz was refused":                              "Basic [hidden] was refused",
		"the bearer token expired; Basic authorization is refused":    "the bearer token expired; Basic authorization is refused",
		"headers@sha256:0123: not found":                              "headers@sha256:0123: not found",
	} {
		if got := Text(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	secret := &url.Error{Op: "Get", URL: "https://host/?s3cret", Err: fs.ErrClosed}
	if err := Error(secret, Text); err == nil || strings.Contains(err.Error(), "s3cret") || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("error is %v", err)
	}
	if err := Error(fs.ErrClosed, Text); err != fs.ErrClosed { //nolint:errorlint // the same value, not wrapped
		t.Errorf("a clean error became %v", err)
	}
	if err := Error(nil, Text); err != nil {
		t.Errorf("no error became %v", err)
	}
}

// TestReadFile: a value that is not a file's name may be the file's content. It is not
// repeated, whatever makes it invalid as a name.
func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "cosign.key")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(file); string(data) != "content" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := ReadFile(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder's error is %v, and should name it", err)
	}
	for _, name := range []string{"s3cret", file + "/s3cret", "s3cret\x00", strings.Repeat("s3cret", 1000)} {
		_, err := ReadFile(name)
		if text := fmt.Sprintf("%v %#v", err, err); err == nil || strings.Contains(text, "s3cret") || !strings.Contains(text, "mode 0600") {
			t.Errorf("error is %s", text)
		}
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"redact.go":                        "redact.go",
		"s3cret":                           Hidden,
		"/nowhere/s3cret":                  Hidden,
		"gcpkms://projects/p?token=s3cret": "gcpkms://projects/p",
		"https://user:s3cret@host/a":       "https://host/a",
		"s3cret\nhttps://host":             Hidden,
	} {
		if got := Value(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
