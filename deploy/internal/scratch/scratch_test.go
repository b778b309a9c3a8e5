//go:build unix

package scratch

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestMain makes this test binary a process that holds a folder or a file until it is killed.
func TestMain(m *testing.M) {
	if parent := os.Getenv("SLIPWAY_TEST_SCRATCH"); parent != "" {
		dir, _, err := Dir(parent, "work-")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(dir)
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
	}
	if path := os.Getenv("SLIPWAY_TEST_SCRATCH_FILE"); path != "" {
		file, _, err := NewFile(path, 0o644)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(file.Name())
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
	}
	os.Exit(m.Run())
}

func exists(t *testing.T, dir string) bool {
	t.Helper()
	_, err := os.Stat(dir)
	return err == nil
}

// holder starts this test binary as TestMain says, and returns what it holds, and what kills it.
func holder(t *testing.T, variable string) (held string, kill func()) {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), variable)
	if _, err := process.StdinPipe(); err != nil { // it stays open
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), func() {
		t.Helper()
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait() // it was killed
	}
}

// TestKilled: a folder stays as long as its process lives, and goes when the next is made.
func TestKilled(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	other := filepath.Join(parent, "other-1")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	held, kill := holder(t, "SLIPWAY_TEST_SCRATCH="+parent)
	if err := os.WriteFile(filepath.Join(held, "module.wasm"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, remove, err := Dir(parent, "work-")
	if err != nil {
		t.Fatal(err)
	}
	if !exists(t, held) {
		t.Fatal("the folder of a living process was removed")
	}
	kill()
	second, _, err := Dir(parent, "work-")
	if err != nil {
		t.Fatal(err)
	}
	if exists(t, held) {
		t.Error("the folder of a killed process is still there")
	}
	if !exists(t, mine) || !exists(t, second) || !exists(t, other) {
		t.Error("a folder was removed that somebody uses, or that is not of this kind")
	}
	if err := remove(); err != nil || exists(t, mine) {
		t.Errorf("removed: %t, error %v", !exists(t, mine), err)
	}
}

// TestAtOnce: those who make folders at once do not remove each other's.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			dir, remove, err := Dir(parent, "work-")
			if err != nil {
				t.Error(err)
				return
			}
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
				t.Error(err)
			}
			if err := remove(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left %v, error %v", left, err)
	}
}

// TestForeign: a folder that others can use is refused, and a link is.
func TestForeign(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("slipway-%d", os.Getuid()))
	if _, _, err := Dir("", "work-"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Dir("", "work-"); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Dir("", "work-"); err == nil || !strings.Contains(err.Error(), "others can use it") {
		t.Errorf("open to all: error %v", err)
	}
	if err := os.Rename(folder, folder+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder+"-away", folder); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Dir("", "work-"); err == nil || !strings.Contains(err.Error(), "belongs to somebody else") {
		t.Errorf("a link: error %v", err)
	}
}
