package usage

import "fmt"

// TreeRSS is the resident memory of a process and all its descendants together, in
// bytes. Memory that they share counts once for each. A descendant may or may not count
// if it ends meanwhile, or if its parent has ended.
func TreeRSS(pid int) (uint64, error) {
	processes, err := list()
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	children := map[int][]relative{}
	for _, p := range processes {
		children[p.parent] = append(children[p.parent], p)
	}
	total, err := RSS(pid)
	if err != nil {
		return 0, err
	}
	for below := children[pid]; len(below) > 0; below = below[1:] {
		total += below[0].rss
		below = append(below, children[below[0].pid]...)
	}
	return total, nil
}

// relative is a process with its parent and its resident memory in bytes.
type relative struct {
	pid, parent int
	rss         uint64
}
