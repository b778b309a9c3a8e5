package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/slipway-wasm/slipway/deploy/version"
)

// hostileServer serves whatever the fuzzer says.
type hostileServer struct{ sums, sum, index, module []byte }

func (h hostileServer) RoundTrip(req *http.Request) (*http.Response, error) {
	body := h.module
	switch {
	case strings.HasSuffix(req.URL.Path, "/SHA256SUMS"):
		body = h.sums
	case strings.HasSuffix(req.URL.Path, ".sha256"):
		body = h.sum
	case strings.HasSuffix(req.URL.Path, "/index.json"):
		body = h.index
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: req, ContentLength: -1, Body: io.NopCloser(bytes.NewReader(body))}, nil
}

// FuzzAnswers: whatever a server answers, a verified module has the sum that all lists say,
// and an error is one line without control characters.
func FuzzAnswers(f *testing.F) {
	module := []byte("\x00asm\x01\x00\x00\x00")
	digest := sha256.Sum256(module)
	sum := hex.EncodeToString(digest[:])
	index, err := addEntry(nil, "headers", IndexEntry{Version: "1.0.0", WasmSHA256: sum, Path: "1.0.0/headers.wasm", Size: int64(len(module))}, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(sum+"  headers/1.0.0/headers.wasm\n"), sumFile("headers", sum), index, module)
	f.Add([]byte(sum+" *waf/1.0.0/waf.wasm\n"), sumFile("headers", strings.Repeat("c", 64)), []byte(`{"indexVersion":2}`), []byte("other"))
	f.Add([]byte("<html>\x1b[31m"), []byte{}, []byte(`{"indexVersion":1,"name":"headers","versions":[{"version":"1.0.0\n"}]}`), []byte{})
	f.Fuzz(func(t *testing.T, sums, sumFile, index, module []byte) {
		s, err := OpenPublic("https://storage.test/filters", Options{Transport: hostileServer{sums, sumFile, index, module}, Retry: fast})
		if err != nil {
			t.Fatal(err)
		}
		oneLine := func(err error) {
			if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("%q is not one line", err)
			}
		}
		for _, filters := range [][]string{nil, {"headers"}} {
			objects, err := Verify(t.Context(), s, VerifyOptions{Version: version.MustParse("1.0.0"), Filters: filters})
			oneLine(err)
			digest := sha256.Sum256(module)
			sum := hex.EncodeToString(digest[:])
			for _, o := range objects {
				if o.WasmSHA256 != sum || o.WasmSize != int64(len(module)) || !bytes.Contains(sums, []byte(sum+" ")) || !bytes.Contains(sumFile, []byte(sum+" ")) {
					t.Errorf("%+v passed, and the module has %s", o, sum)
				}
			}
		}
		entries, err := Versions(t.Context(), s, "headers")
		oneLine(err)
		if err != nil || len(entries) == 0 {
			return
		}
		// An index that was read can be written, and reads back as the same.
		again, err := addEntry(index, "headers", IndexEntry{Version: "9.9.9-fuzz", Path: "9.9.9-fuzz/headers.wasm", Size: 1, WasmSHA256: strings.Repeat("f", 64)}, "")
		if err != nil {
			return
		}
		if parsed, err := ParseIndex(again, "headers"); err != nil || !json.Valid(again) || len(parsed.Versions) < len(entries) {
			t.Errorf("%q became %q: %v", index, again, err)
		}
	})
}
