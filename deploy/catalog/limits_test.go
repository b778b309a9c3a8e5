package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// TestMetadataLimits: a file that would take minutes or gigabytes to parse is refused before
// it is parsed.
func TestMetadataLimits(t *testing.T) {
	const n = 1 << 20
	var keys strings.Builder
	for i := 0; keys.Len() < n-20; i++ {
		fmt.Fprintf(&keys, "k%d:\n", i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"text":           {"title: " + strings.Repeat("x", n), "more than the 1048576 bytes"},
		"keys":           {keys.String(), "more values than"},
		"items":          {"a: [" + strings.Repeat("1,", n/2-20) + "]", "more values than"},
		"lists":          {strings.Repeat("- ", 10_000) + "a", "nested deeper than 100 levels"},
		"flow lists":     {strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "nested deeper than 100 levels"},
		"open lists":     {strings.Repeat("[", 20_000), "nested deeper than 100 levels"},
		"maps":           {strings.Repeat("{a: ", 5_000) + strings.Repeat("}", 5_000), "nested deeper than 100 levels"},
		"keys in keys":   {strings.Repeat("? ", 10_000) + "a", "nested deeper than 100 levels"},
		"a deep example": {"example: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested deeper than 100 levels"},
	} {
		path := filepath.Join(t.TempDir(), "filter.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := catalog.ReadMetadata(path)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v\nwant %q", name, err, c.want)
		}
		if most := uint64(512 << 20); after.TotalAlloc-before.TotalAlloc > most {
			t.Errorf("%s: %d bytes were allocated", name, after.TotalAlloc-before.TotalAlloc)
		}
	}
	deep := "title: a\ndescription: b\nlicense: MIT\nexample: " + strings.Repeat("[", 50) + strings.Repeat("]", 50) + "\n"
	path := filepath.Join(t.TempDir(), "filter.yaml")
	if err := os.WriteFile(path, []byte(deep), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.ReadMetadata(path); err != nil {
		t.Errorf("50 levels: %v", err)
	}
}
