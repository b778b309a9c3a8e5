//go:build linux

package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DefaultDataDir is where Istio's agent keeps the modules that it has fetched. No option
// changes it:
// https://github.com/istio/istio/blob/1.31.1/pkg/config/constants/constants.go
const DefaultDataDir = "/var/lib/istio/data"

// journalFile lists what a mesh has put below the folder and which folders it has made.
// If the mesh is killed, the next one clears that away.
const journalFile = ".slipway-mesh"

// DataDir is the folder of the agents' modules while a mesh runs. Only what this mesh, or
// one that was killed, has put there is removed.
type DataDir struct {
	path    string
	out     io.Writer
	journal *os.File // locked

	mu    sync.Mutex
	paths []string // the journal's lines
}

// OpenDataDir makes sure that agents can write, and waits until no other mesh uses
// the folder; out is told if it has to wait.
func OpenDataDir(ctx context.Context, path string, out io.Writer) (*DataDir, error) {
	d := &DataDir{path: path, out: out}
	if err := d.open(ctx); err != nil {
		return nil, fmt.Errorf("open the agent's folder: Istio's agent keeps modules in %[1]s and nowhere else: %[2]w; make the folder for the user who runs this: sudo install -d -o \"$USER\" %[1]s", path, err)
	}
	return d, nil
}

func (d *DataDir) open(ctx context.Context) error {
	var made []string
	for d.journal == nil {
		made = append(made, missing(d.path)...)
		if err := os.MkdirAll(d.path, 0o755); err != nil {
			return err
		}
		if err := d.lock(ctx); err != nil {
			return err
		}
	}
	old, err := io.ReadAll(d.journal)
	if err != nil {
		return err
	}
	d.paths = strings.FieldsFunc(string(old), func(r rune) bool { return r == '\n' })
	if err := d.clear(); err != nil {
		return err
	}
	slices.Sort(made) // the highest first
	for _, dir := range slices.Compact(made) {
		if err := d.add(dir); err != nil {
			return err
		}
	}
	return nil
}

// missing lists the folders that have to be made for path.
func missing(path string) []string {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return append(missing(filepath.Dir(path)), path)
}

// lock sets journal, unless the process that held the file before has removed it.
func (d *DataDir) lock(ctx context.Context) error {
	path := filepath.Join(d.path, journalFile)
	journal, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // with the folder
	}
	if err != nil {
		return err
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for told := false; ; told = true {
		err := syscall.Flock(int(journal.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return errors.Join(err, journal.Close())
		}
		if !told {
			fmt.Fprintf(d.out, "mesh: another one uses %s; waiting until it ends\n", d.path)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), journal.Close())
		}
	}
	ours, err := journal.Stat()
	if err != nil {
		return errors.Join(err, journal.Close())
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(ours, there) {
		return journal.Close()
	}
	d.journal = journal
	return nil
}

// add notes a path before it is made.
func (d *DataDir) add(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paths = append(d.paths, path)
	_, err := fmt.Fprintln(d.journal, path)
	return err
}

// Expect notes the folders into which agents will put the modules of manifests.
func (d *DataDir) Expect(manifests string) error {
	for _, name := range moduleNames(manifests) {
		sum := sha256.Sum256([]byte(name))
		if err := d.add(filepath.Join(d.path, hex.EncodeToString(sum[:]))); err != nil {
			return err
		}
	}
	return nil
}

var moduleURL = regexp.MustCompile(`oci://[^@\s"']+|https?://\S+\.wasm`)

// moduleNames returns the URLs of modules, without the tag and digest of an image. The
// agent names a module's folder after this:
// https://github.com/istio/istio/blob/1.31.1/pkg/wasm/cache.go
func moduleNames(manifests string) []string {
	names := moduleURL.FindAllString(manifests, -1)
	for i, name := range names {
		if slash, colon := strings.LastIndex(name, "/"), strings.LastIndex(name, ":"); colon > slash {
			names[i] = name[:colon]
		}
	}
	return names
}

// clear removes the modules that the journal names. The journal still lists the folders
// that were made.
func (d *DataDir) clear() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var made []string
	for _, path := range d.paths {
		if filepath.Dir(path) != d.path {
			made = append(made, path)
		} else if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	d.paths = made
	if err := d.journal.Truncate(0); err != nil {
		return err
	}
	_, err := d.journal.WriteString(strings.Join(append(made, ""), "\n"))
	return err
}

// Close removes everything, once no agent runs any more.
func (d *DataDir) Close() error {
	err := d.clear()
	err = errors.Join(err, os.Remove(d.journal.Name()))
	for _, dir := range slices.Backward(d.paths) {
		err = errors.Join(err, os.Remove(dir)) // fails if there is still something in it
	}
	return errors.Join(err, d.journal.Close())
}
