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

// PID returns the id of Envoy's process, for measuring its resource use. func-e does not
// return it. It is the child of this process that was told to write its admin address into
// this run's folder.
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
		// If a command line cannot be read, that process has ended meanwhile.
		if args, err := child.CmdlineSliceWithContext(ctx); err == nil && slices.Contains(args, address) {
			return int(child.Pid), nil
		}
	}
	return 0, errors.New("find Envoy's process: it has ended")
}
