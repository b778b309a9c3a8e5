package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	s, dir := embedded(t)
	if versions, err := Versions(t.Context(), s, "headers"); err != nil || len(versions) != 0 {
		t.Errorf("of a filter that was never published: %v, %v", versions, err)
	}
	for i, version := range []string{"1.9.0", "1.10.0", "1.10.0-rc.1"} {
		mustUpload(t, s, release(version, module(t, "headers", 'a', i+1)))
	}
	versions, err := Versions(t.Context(), s, "headers")
	if err != nil || len(versions) != 3 || versions[0].Version != "1.10.0" || versions[0].Size != 2 || versions[2].Version != "1.9.0" {
		t.Errorf("versions %v, %v", versions, err)
	}
	if _, err := Versions(t.Context(), s, "../headers"); err == nil {
		t.Error("a name that climbs out of the storage was looked up")
	}
	if err := os.WriteFile(filepath.Join(dir, "headers", "index.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Versions(t.Context(), s, "headers"); err == nil || !strings.Contains(err.Error(), "not of \"headers\"") {
		t.Errorf("of an index that is none: error %v", err)
	}
}
