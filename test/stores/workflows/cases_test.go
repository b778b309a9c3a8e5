package workflows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keys has a pair for tests, whose password is test.
const keys = "../../../deploy/targets/testdata"

// TestPrivate: on GHCR a new package is private. Nobody can verify it from the outside before it
// is public, unless the workflow says that it stays private.
func TestPrivate(t *testing.T) {
	w := newWorld(t)
	w.publishSlipway(nil)
	w.privateNew = true
	r, err := w.release(nil)
	failed(t, r, err, "filters/verify", "without a password")
	if r.ended["filters/announce"].result != "skipped" || len(w.github.releases) > 0 {
		t.Errorf("of a private package: %v, and %d releases", r.ended, len(w.github.releases))
	}
	w.privateNew = false // its owner makes it public
	passed(t, r, r.again(t.Context(), false))
	w.published()

	// Another registry asks everybody for a password.
	w = newWorld(t)
	w.publishSlipway(nil)
	r, err = w.release(func(r *run) {
		r.lines = strings.Replace(adding("private: true")(r.lines), "registry: "+ghcr+"/", "registry: "+otherRegistry+"/", 1) +
			"    secrets:\n      registry-username: reader\n      registry-password: ${{ secrets.PASSWORD }}\n"
		r.secrets = map[string]any{"PASSWORD": readerPassword}
	})
	passed(t, r, err)
	w.published()
}

// TestKey: a key signs in place of an identity, also where the repository is private, whose name
// would get into a public log otherwise.
func TestKey(t *testing.T) {
	key, err := os.ReadFile(filepath.Join(keys, "cosign.key"))
	must(t, err)
	w := newWorld(t)
	w.publishSlipway(nil)
	w.private = true
	r, err := w.release(func(r *run) { r.lines = adding("compiler: go")(lines(t)) })
	failed(t, r, err, "filters/check", "public log")

	w = newWorld(t)
	w.publishSlipway(nil)
	w.private = true
	r, err = w.release(func(r *run) {
		r.lines = adding("sign: key", "verify-key: cosign.pub")(r.lines) +
			"    secrets:\n      sign-key: ${{ secrets.KEY }}\n      sign-password: ${{ secrets.PASSWORD }}\n"
		r.secrets = map[string]any{"KEY": string(key), "PASSWORD": "test"}
	})
	passed(t, r, err)
	w.published()
}

// TestLater releases one filter after a release of all. It is complete, and does not become the
// one that GitHub shows first. A version that is taken is refused before anything is built.
func TestLater(t *testing.T) {
	w := newWorld(t)
	w.publishSlipway(nil)
	r, err := w.release(nil)
	passed(t, r, err)
	dir := w.repositories[stranger]
	write(t, filepath.Join(dir, "CHANGES.md"), "Later.\n")
	const tag = "hello/v1.1.0"
	w.commit(stranger, dir, tag)
	r, err = w.pushed(t.Context(), stranger, tag, func(r *run) { r.lines = w.inputs(lines(t)) })
	passed(t, r, err)
	if later := w.github.release(tag); later.Draft || w.github.latest == later.ID {
		t.Errorf("%s is %+v; the latest is %d", tag, later, w.github.latest)
	}
	w.published()

	w.commit(stranger, dir, "v1.0.0") // another commit than that of the release
	r, err = w.pushed(t.Context(), stranger, "v1.0.0", func(r *run) { r.lines = w.inputs(lines(t)) })
	failed(t, r, err, "filters/check", "never changes")
	for job, end := range r.ended {
		if job != "filters/check" && end.result != "skipped" {
			t.Errorf("after a taken version %s is %s", job, end.result)
		}
	}
}
