package oci

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

const (
	startUpload   = "^POST .*/blobs/uploads/"
	putBlob       = "^PUT .*/blobs/uploads/"
	putManifest   = "^PUT .*/manifests/sha256:"
	putVersionTag = "^PUT .*/manifests/1.0.0"
	putMovingTag  = "^PUT .*/manifests/latest"
	headManifest  = "^HEAD .*/manifests/"
	headBlob      = "^HEAD .*/blobs/"
	getManifest   = "^GET .*/manifests/"
	getBlob       = "^GET .*/blobs/"
	listTags      = "^GET .*/tags/list"
)

// large is more than connections buffer, so that a broken one breaks in the middle.
var large = strings.Repeat("0123456789abcdef", 1<<16)

// TestPushThroughFaults pushes while something goes wrong once or twice, and
// compares the outcome with that of an undisturbed push.
func TestPushThroughFaults(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", large)
	want := push(t, openTest(t, startRegistry(t, embedded.Options{})), "1.0.0", filter)
	for name, rule := range map[string]faultproxytest.Rule{
		"429 with Retry-After":             {Match: putManifest, Times: 1, Fault: faultproxytest.Status(429, "Retry-After", "1")},
		"429 without":                      {Match: startUpload, Times: 3, Fault: faultproxytest.Status(429)},
		"500 to the first":                 {Match: headManifest, Times: 2, Fault: faultproxytest.Status(500)},
		"502 to an upload":                 {Match: putBlob, Times: 2, Fault: faultproxytest.Status(502)},
		"503 to the version tag":           {Match: putVersionTag, Times: 2, Fault: faultproxytest.Status(503)},
		"504 to a moving tag":              {Match: putMovingTag, Times: 2, Fault: faultproxytest.Status(504)},
		"reset before an upload":           {Match: startUpload, Times: 2, Fault: faultproxytest.Reset},
		"reset in an upload":               {Match: putBlob, Times: 2, Fault: faultproxytest.ResetInRequest},
		"reset after an upload":            {Match: putBlob, Times: 2, Fault: faultproxytest.ResetAfterWork},
		"reset after the manifest":         {Match: putManifest, Times: 2, Fault: faultproxytest.ResetAfterWork},
		"reset after the version tag":      {Match: putVersionTag, Times: 1, Fault: faultproxytest.ResetAfterWork},
		"reset while blobs are looked up":  {Match: headBlob, Times: 2, Fault: faultproxytest.Reset},
		"reset while tags are listed":      {Match: listTags, Times: 2, Fault: faultproxytest.Reset},
		"half a blob when it is read back": {Match: getBlob, Times: 2, Fault: faultproxytest.Truncate},
		"half a manifest":                  {Match: getManifest, Times: 2, Fault: faultproxytest.Truncate},
		"half a tag list":                  {Match: listTags, Times: 2, Fault: faultproxytest.Truncate},
		"a blob that hangs":                {Match: getBlob, Times: 1, Fault: faultproxytest.Hang},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}), rule)
			r := openWith(t, RegistryOptions{Address: proxy.Addr + "/acme", Stall: time.Second})
			got := push(t, r, "1.0.0", filter)
			for i := range want {
				if got[i].ManifestDigest != want[i].ManifestDigest || len(got[i].Moved) != len(want[i].Moved) {
					t.Errorf("got %+v\nwant %+v", got[i], want[i])
				}
				checkComplete(t, r, got[i].Filter, got[i].Tag, got[i].ManifestDigest)
			}
			if hits := proxy.Requests(rule.Match); len(hits) < rule.Times {
				t.Errorf("the fault hit only %q", hits)
			}
		})
	}
}

// checkComplete fails the test unless a tag points to the digest and all of its content
// is there.
func checkComplete(t testing.TB, r *Registry, filter, tag, digest string) {
	t.Helper()
	v, err := r.Verify(t.Context(), Reference{Repository: r.name(filter), Tag: tag})
	if err != nil {
		t.Fatal(err)
	}
	if v.ManifestDigest != digest || v.Err() != nil {
		t.Errorf("%s:%s is %s, want %s; problems: %v", filter, tag, v.ManifestDigest, digest, v.Err())
	}
}

// TestPushGivesUp pushes into permanent faults: it ends soon, with one clear error and
// no tag.
func TestPushGivesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule  faultproxytest.Rule
		want  string
		tries int // number of requests that match the rule; 0 if it does not matter
	}{
		"401":                        {faultproxytest.Rule{Match: headManifest, Fault: faultproxytest.Status(401)}, `docker login`, 1},
		"403 to the lookup":          {faultproxytest.Rule{Match: headManifest, Fault: faultproxytest.Status(403)}, "let them write to the repository", 1},
		"403 to an upload":           {faultproxytest.Rule{Match: startUpload, Fault: faultproxytest.Status(403)}, "let them write to the repository", 1},
		"403 to the version tag":     {faultproxytest.Rule{Match: putVersionTag, Fault: faultproxytest.Status(403)}, "let them write to the repository", 1},
		"413":                        {faultproxytest.Rule{Match: putBlob, Fault: faultproxytest.Status(413)}, "client_max_body_size", 0},
		"400":                        {faultproxytest.Rule{Match: putManifest, Fault: faultproxytest.Status(400)}, "400 Bad Request: fault: injected 400", 1},
		"Retry-After of minutes":     {faultproxytest.Rule{Match: putManifest, Fault: faultproxytest.Status(429, "Retry-After", "300")}, "and the deadline is in", 1},
		"503 for ever":               {faultproxytest.Rule{Match: startUpload, Fault: faultproxytest.Status(503)}, "503 Service Unavailable", 6},
		"resets for ever":            {faultproxytest.Rule{Match: putManifest, Fault: faultproxytest.Reset}, "send the manifest: PUT ", 6},
		"other bytes read back":      {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Corrupt}, "read back what was sent: read blob sha256:", 1},
		"half of it read back":       {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Shorten}, "read back what was sent: read blob sha256:", 0},
		"more of it read back":       {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Endless}, "read back what was sent: read blob sha256:", 1},
		"other manifest read back":   {faultproxytest.Rule{Match: getManifest + "sha256:", Fault: faultproxytest.Corrupt}, "read the manifest back", 1},
		"endless manifest":           {faultproxytest.Rule{Match: getManifest + "sha256:", Fault: faultproxytest.Endless}, "read the manifest back", 1},
		"other digest acknowledged":  {faultproxytest.Rule{Match: putManifest, Fault: faultproxytest.WrongHeader("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))}, "digest mismatch", 1},
		"nonsense for a digest":      {faultproxytest.Rule{Match: putManifest, Fault: faultproxytest.WrongHeader("Docker-Content-Digest", "sha256:nonsense")}, "Docker-Content-Digest", 1},
		"other host for the upload":  {faultproxytest.Rule{Match: startUpload, Fault: faultproxytest.WrongHeader("Location", "http://evil.example/upload")}, "different host", 1},
		"a page instead of a digest": {faultproxytest.Rule{Match: headManifest, Fault: faultproxytest.Status(200, "Content-Type", "text/html")}, "text/html", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := startRegistry(t, embedded.Options{})
			proxy := faultproxytest.Start(t, address, c.rule)
			r := openTest(t, proxy.Addr)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := r.Push(ctx, images(t, []build.Built{buildtest.Filter(t, "headers", large)}, buildtest.Release("1.0.0")), PushOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), r.name("headers")+":1.0.0") {
				t.Fatalf("error %v, want %q and the reference in it", err, c.want)
			}
			if hits := proxy.Requests(c.rule.Match); c.tries > 0 && len(hits) != c.tries {
				t.Errorf("%d requests, want %d: %q", len(hits), c.tries, hits)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			if tags := tagDigests(t, openTest(t, address)); len(tags) > 0 {
				t.Errorf("there are tags: %v", tags)
			}
		})
	}
}

// TestPullGivesUp pulls from registries that lie: it ends with one clear error and no
// file.
func TestPullGivesUp(t *testing.T) {
	t.Parallel()
	address := startRegistry(t, embedded.Options{})
	push(t, openTest(t, address), "1.0.0", buildtest.Filter(t, "headers", large))
	for name, c := range map[string]struct {
		rule faultproxytest.Rule
		want string
	}{
		"wrong bytes":                 {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Corrupt}, "read blob sha256:"},
		"truncated":                   {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Truncate}, "read blob sha256:"},
		"short, and says so":          {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Shorten}, "read blob sha256:"},
		"endless":                     {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Endless}, "read blob sha256:"},
		"wrong manifest":              {faultproxytest.Rule{Match: getManifest, Fault: faultproxytest.Corrupt}, "mismatch"},
		"endless manifest":            {faultproxytest.Rule{Match: getManifest, Fault: faultproxytest.Endless}, "pull "},
		"huge manifest":               {faultproxytest.Rule{Match: headManifest, Fault: faultproxytest.Status(200, "Content-Length", "99999999999", "Content-Type", "application/vnd.oci.image.manifest.v1+json", "Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))}, "no manifest has more"},
		"no such blob":                {faultproxytest.Rule{Match: getBlob, Fault: faultproxytest.Status(404)}, "not found"},
		"forbidden":                   {faultproxytest.Rule{Match: headManifest, Fault: faultproxytest.Status(403)}, "use others"},
		"wrong digest in the header":  {faultproxytest.Rule{Match: headManifest, Fault: faultproxytest.WrongHeader("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))}, "not found"},
		"no media type of a manifest": {faultproxytest.Rule{Match: headManifest, Fault: faultproxytest.WrongHeader("Content-Type", "text/html")}, "text/html"},
	} {
		for _, tag := range []string{"1.0.0", "compat-1.0.0"} {
			t.Run(name+" "+tag, func(t *testing.T) {
				t.Parallel()
				r := openTest(t, faultproxytest.Start(t, address, c.rule).Addr)
				folder := t.TempDir()
				file := filepath.Join(folder, "pulled.wasm")
				if err := os.WriteFile(file, []byte("as it was"), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := r.Pull(t.Context(), Reference{Repository: r.name("headers"), Tag: tag}, file)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %v, want %q", err, c.want)
				}
				entries, err := os.ReadDir(folder)
				if err != nil {
					t.Fatal(err)
				}
				if data, err := os.ReadFile(file); err != nil || string(data) != "as it was" || len(entries) != 1 {
					t.Errorf("the file holds %q, error %v, and the folder %v", data, err, entries)
				}
			})
		}
	}
}

// TestNotThere asks registries for content that they do not have or refuse to show.
func TestNotThere(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	if _, err := r.Verify(t.Context(), Reference{Repository: r.name("headers"), Tag: "1.0.0"}); !finding.Absent(err) {
		t.Errorf("verify: %v", err)
	}
	list, err := r.List(t.Context(), []string{"headers"})
	if err != nil || len(list) != 0 {
		t.Errorf("list: %v, error %v", list, err)
	}
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		r := openTest(t, faultproxytest.Start(t, startRegistry(t, embedded.Options{}), faultproxytest.Rule{Fault: faultproxytest.Status(code)}).Addr)
		if _, err := r.List(t.Context(), []string{"headers"}); err == nil || finding.Absent(err) {
			t.Errorf("list after %d: %v", code, err)
		}
	}
}

// TestNobodyListens gives up within the time that the retries take.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	r := openTest(t, "127.0.0.1:1")
	_, err := r.Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "")}, buildtest.Release("1.0.0")), PushOptions{})
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted by the user")
	cancel(cause)
	if _, err := r.Push(ctx, images(t, []build.Built{buildtest.Filter(t, "headers", "")}, buildtest.Release("1.0.0")), PushOptions{}); !errors.Is(err, cause) {
		t.Errorf("error %v, want the cause", err)
	}
}
