package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/shirou/gopsutil/v4/process"
)

// PID returns the id of Envoy's process, for measuring what it uses. func-e does
// not tell it; among this process's children it is the one that was told to write
// its admin address into this run's folder.
func (p *Proxy) PID(ctx context.Context) (int, error) {
	self, err := process.NewProcessWithContext(ctx, int32(os.Getpid()))
	if err != nil {
		return 0, fmt.Errorf("find Envoy's process: %w", err)
	}
	children, err := self.ChildrenWithContext(ctx)
	if err != nil {
		return 0, fmt.Errorf("find Envoy's process: %w", err)
	}
	address := filepath.Join(p.dir, adminAddressFile)
	for _, child := range children {
		// One whose command line cannot be read has ended since.
		if args, err := child.CmdlineSliceWithContext(ctx); err == nil && slices.Contains(args, address) {
			return int(child.Pid), nil
		}
	}
	return 0, errors.New("find Envoy's process: it has ended")
}
