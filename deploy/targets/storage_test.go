package targets

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Modules that were uploaded to the embedded storage can be fetched where it is served,
// under the names in rendered manifests.
func TestServeStorage(t *testing.T) {
	project(t)
	run(t, func(o Output) error { return upload(t.Context(), variables.Values{}, "1.0.0", o) })
	want, err := os.ReadFile(filepath.Join("dist", "headers.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	var out lines
	address := regexp.MustCompile(`STORAGE_PUBLIC_URL=(\S+) in`)
	var got []byte
	ctx, done := out.until(t.Context(), func(line string) bool {
		match := address.FindStringSubmatch(line)
		if match == nil {
			return false
		}
		res, err := http.Get(match[1] + "/headers/1.0.0/headers.wasm")
		if err != nil {
			t.Error(err)
			return true
		}
		defer res.Body.Close()
		if got, err = io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s, %v", res.Status, err)
		}
		return true
	})
	defer done()
	if err := serveStorage(ctx, "127.0.0.1:0", Output{Out: &out, Err: &out}); err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got %d bytes, want the module's %d", len(got), len(want))
	}
}
