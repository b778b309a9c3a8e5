package usage

import (
	"os"
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
