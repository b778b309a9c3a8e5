// Package progress shows the progress of transfers to people.
//
// On a terminal, one bar covers all transfers that run at the same time, and lines appear
// above it. In a log there are only lines.
package progress

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/slipway-wasm/slipway/deploy/internal/printable"
)

// Reporter prints lines and a bar to one writer. It may be used by several
// goroutines. A nil *Reporter prints nothing.
type Reporter struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool

	// bar is not nil while a transfer runs. It shows read of total bytes.
	bar         *progressbar.ProgressBar
	read, total int64
}

// New returns a Reporter that prints to out, with a bar if out is a terminal. A
// nil out discards everything.
func New(out io.Writer) *Reporter {
	if out == nil {
		return nil
	}
	return &Reporter{out: out, terminal: Width(out) > 0}
}

// Width returns the number of columns of the terminal out; 0 if out is not a terminal. A
// terminal that does not know its width counts as one column wide.
func Width(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, _ := term.GetSize(int(file.Fd()))
	return max(width, 1)
}

// Printf prints one line, with its arguments as package printable prints them. It adds the line
// break.
func (r *Reporter) Printf(format string, args ...any) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bar != nil {
		_ = r.bar.Clear() // a bar that cannot be drawn is no reason to fail
	}
	_ = printable.Fprintf(r.out, format+"\n", args...)
}

// Body counts what is read from body, until it is closed, towards a transfer of size bytes. If
// a body is closed early, its bytes are subtracted again, so that a second try is not counted
// twice.
func (r *Reporter) Body(body io.ReadCloser, size int64) io.ReadCloser {
	if r == nil || !r.terminal {
		return body
	}
	r.add(0, size)
	return &countedBody{ReadCloser: body, reporter: r, size: size}
}

func (r *Reporter) add(read, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read += read
	r.total += size
	if r.bar == nil && r.total > 0 {
		r.bar = progressbar.NewOptions64(r.total,
			progressbar.OptionSetWriter(r.out),
			progressbar.OptionShowBytes(true),
			progressbar.OptionShowTotalBytes(true),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
		)
	}
	if r.bar == nil {
		return
	}
	if r.read >= r.total {
		_ = r.bar.Clear()
		r.bar, r.read, r.total = nil, 0, 0
		return
	}
	if size != 0 {
		r.bar.ChangeMax64(r.total)
	}
	_ = r.bar.Add64(read)
}

type countedBody struct {
	io.ReadCloser
	reporter   *Reporter
	size, read int64
	closed     bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.reporter.add(int64(n), 0)
	return n, err
}

func (b *countedBody) Close() error {
	if !b.closed && b.read < b.size {
		b.reporter.add(-b.read, -b.size)
	}
	b.closed = true
	return b.ReadCloser.Close()
}
