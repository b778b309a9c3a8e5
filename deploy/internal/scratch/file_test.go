//go:build unix

package scratch

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestFileOfKilled: what a killed process had written of a file goes when that file is written
// again, and not while the process lives.
func TestFileOfKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "release.json")
	others := []string{".release.json.bak", ".other.json123"}
	for _, other := range others {
		if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	half, kill := holder(t, "SLIPWAY_TEST_SCRATCH_FILE="+path)
	if err := WriteFile(path, []byte("whole"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !exists(t, half) {
		t.Fatal("the file of a living process was removed")
	}
	kill()
	if err := WriteFile(path, []byte("again"), 0o644); err != nil {
		t.Fatal(err)
	}
	if exists(t, half) {
		t.Error("the file of a killed process is still there")
	}
	for _, other := range others {
		if !exists(t, filepath.Join(dir, other)) {
			t.Errorf("%s was removed, and is of another kind", other)
		}
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "again" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestFilesAtOnce: those who write one file at once do not remove each other's.
func TestFilesAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if err := WriteFile(path, []byte("whole"), 0o644); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, error %v", left, err)
	}
}
