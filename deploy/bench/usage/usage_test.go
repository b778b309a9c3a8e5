package usage

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

var sink []byte

func TestSelf(t *testing.T) {
	pid := os.Getpid()
	before, err := CPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	rss, err := RSS(pid)
	if err != nil {
		t.Fatal(err)
	}
	sink = make([]byte, 64<<20)
	for {
		for i := range sink {
			sink[i]++
		}
		after, err := CPU(pid)
		if err != nil {
			t.Fatal(err)
		}
		if after-before > 50*time.Millisecond {
			break
		}
	}
	after, err := RSS(pid)
	if err != nil || after < rss+32<<20 {
		t.Errorf("resident memory went from %d to %d with 64 MiB more in use (%v)", rss, after, err)
	}
}

func TestNoProcess(t *testing.T) {
	t.Parallel()
	const nobody = 1<<22 + 1 // above Linux's highest process id, PID_MAX_LIMIT
	if _, err := CPU(nobody); err == nil {
		t.Error("processor time of a process that is not there")
	}
	if _, err := RSS(nobody); err == nil {
		t.Error("memory of a process that is not there")
	}
}

// The memory of a descendant counts, however far down it is.
func TestTreeRSS(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "cat; true") // with "true", sh stays beside cat
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}()
	for deadline := time.Now().Add(10 * time.Second); ; {
		shell, err := RSS(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := TreeRSS(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := TreeRSS(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if shell > 0 && tree > shell && whole > tree {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("sh has %d, with cat %d, and with this process %d", shell, tree, whole)
		}
	}
}
