package report

import (
	"context"
	"os/exec"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
)

// Machine describes the machine of a run.
type Machine struct {
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	CPU       string `json:"cpu"`
	CPUs      int    `json:"cpus"`
	MemoryMiB uint64 `json:"memoryMiB"`
}

func describeMachine(ctx context.Context) (Machine, error) {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
	if infos, err := cpu.InfoWithContext(ctx); err == nil && len(infos) > 0 {
		m.CPU = strings.TrimSpace(infos[0].ModelName)
	}
	if info, err := host.InfoWithContext(ctx); err == nil {
		// What follows the numbers of a kernel's release is up to its builder: leave it out.
		kernel, _, _ := strings.Cut(info.KernelVersion, "-")
		m.OS = strings.TrimSpace(info.Platform + " " + info.PlatformVersion + ", " + info.OS + " " + kernel)
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return Machine{}, err
	}
	m.MemoryMiB = memory.Total >> 20
	return m, nil
}

// commit is "" outside of a git checkout.
func commit(ctx context.Context, root string) string {
	head, err := gitOutput(ctx, root, "rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	if changed, err := gitOutput(ctx, root, "status", "--porcelain", "--", "filter", "deploy"); err != nil || changed != "" {
		head += "+"
	}
	return head
}

func gitOutput(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}
