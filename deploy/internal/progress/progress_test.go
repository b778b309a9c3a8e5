package progress

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestPlainLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := New(&out)
	body := r.Body(io.NopCloser(strings.NewReader("hello")), 5)
	if _, err := io.Copy(io.Discard, body); err != nil {
		t.Fatal(err)
	}
	r.Printf("pushed %s", "headers")
	if got := out.String(); got != "pushed headers\n" {
		t.Errorf("printed %q", got)
	}
}

func TestNil(t *testing.T) {
	t.Parallel()
	r := New(nil)
	r.Printf("nobody reads this")
	if body := r.Body(io.NopCloser(strings.NewReader("")), 0); body.Close() != nil {
		t.Error("close failed")
	}
}

// TestBar reads one transfer in full and another one twice, because its first try
// broke off.
func TestBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := &Reporter{out: &out, terminal: true}
	body := func() io.ReadCloser {
		return r.Body(io.NopCloser(strings.NewReader(strings.Repeat("x", 1000))), 1000)
	}
	first, broken := body(), body()
	if _, err := io.CopyN(io.Discard, broken, 400); err != nil {
		t.Fatal(err)
	}
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	again := body()
	if r.read != 0 || r.total != 2000 {
		t.Errorf("%d of %d bytes after a transfer broke off, want 0 of 2000", r.read, r.total)
	}
	for _, b := range []io.ReadCloser{first, again} {
		if _, err := io.Copy(io.Discard, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r.Printf("done")
	if r.bar != nil || !strings.Contains(out.String(), "B/s") || !strings.HasSuffix(out.String(), "\rdone\n") {
		t.Errorf("printed %q", out.String())
	}
}
