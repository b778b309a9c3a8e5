// Package immutable writes names whose content never changes.
//
// Most registries and object stores let clients overwrite a name. Slipway exists to prevent a
// version from changing under a running mesh. So the client keeps the rule, and the rule is
// written once for all kinds of stores.
package immutable

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

// Conflict says that a name has other content than ours.
type Conflict struct {
	// Name is the name that was to be written, for example "ghcr.io/acme/headers:1.4.0".
	Name string
	// Kind says what Published and Ours are, for example "manifest digest".
	Kind string
	// Published and Ours identify the two contents.
	Published, Ours string
	// Lost says that the other content arrived while we wrote ours.
	Lost bool
}

func (c *Conflict) Error() string {
	if c.Lost {
		return fmt.Sprintf("%s was published by somebody else at the same moment, with %s %s (ours is %s); choose a new version", c.Name, c.Kind, c.Published, c.Ours)
	}
	return fmt.Sprintf("%s exists with %s %s (ours is %s); a published version never changes: choose a new version", c.Name, c.Kind, c.Published, c.Ours)
}

// Slot is a name in a store, and the content that it must have for ever.
type Slot struct {
	// Name is the full name, for messages.
	Name string
	// Kind says, for messages, what identifies the content: "manifest digest" or "wasm
	// sha256". The two are never called by the same name.
	Kind string
	// Ours is the sum or digest of the content to write.
	Ours string
	// Current returns the sum or digest of the published content, or an error that is
	// finding.ErrAbsent.
	Current func(context.Context) (string, error)
	// Create writes the content. If it tries more than once, it calls Check before each
	// further try. If the store can refuse an existing name (If-None-Match), Create asks it
	// to, and returns nil if the store refuses.
	Create func(context.Context) error
	// Overwrites says that Create cannot refuse, and replaces any other content by ours. Then
	// Write waits before it reads back: see Settled.
	Overwrites bool
}

// Check looks the name up without writing. It returns true if our content is published, false
// if nothing is, and a *Conflict if something else is.
func (s Slot) Check(ctx context.Context) (bool, error) {
	published, err := s.Current(ctx)
	switch {
	case finding.Absent(err):
		return false, nil
	case err != nil:
		return false, err
	case published != s.Ours:
		return false, &Conflict{Name: s.Name, Kind: s.Kind, Published: published, Ours: s.Ours}
	}
	return true, nil
}

// Write publishes the content under the name, unless it is there already, and reports whether
// it wrote anything. It looks before it writes, and again afterwards. If two writers meet, the
// one whose content was lost gets a *Conflict.
func (s Slot) Write(ctx context.Context) (bool, error) {
	written, settled, err := s.Put(ctx)
	if !written || err != nil {
		return false, err
	}
	if err := Settle(ctx, settled); err != nil {
		return false, err
	}
	if err := s.Confirm(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// Put is the first half of Write: it looks and, if nothing is published under the name,
// writes. The second half is Settle, until the returned time, and then Confirm. A caller that
// writes many names needs to settle only once for all of them.
func (s Slot) Put(ctx context.Context) (written bool, settled time.Time, err error) {
	start := time.Now()
	if exists, err := s.Check(ctx); exists || err != nil {
		return false, time.Time{}, err
	}
	if err := s.Create(ctx); err != nil {
		return false, time.Time{}, err
	}
	if s.Overwrites {
		settled = Settled(start)
	}
	return true, settled, nil
}

// Confirm reads the name back after Put, and returns a *Conflict if our content is
// not there.
func (s Slot) Confirm(ctx context.Context) error {
	published, err := s.Current(ctx)
	if err != nil {
		return fmt.Errorf("read %s back: %w", s.Name, err)
	}
	if published != s.Ours {
		return &Conflict{Name: s.Name, Kind: s.Kind, Published: published, Ours: s.Ours, Lost: true}
	}
	return nil
}

// minWait covers machines so busy that a program pauses between two requests.
const minWait = 250 * time.Millisecond

// maxWait limits the wait after a write that took long because it was retried. A Create that
// retries looks again first.
const maxWait = 10 * time.Second

// Settled returns the time by which other writers have most likely written, too: those that
// looked at a name before our write, and write without looking again. start is when we looked;
// our write has just ended. In a store without conditional writes, this is how two writers
// notice each other. The one that was overwritten sees it when it reads back, as long as it
// reads after the other has written (Fischer's algorithm for mutual exclusion). The assumption
// is that the others need at most five times as long as we did from looking to having written.
//
// Reference: https://lamport.azurewebsites.net/pubs/fast-mutex.pdf, section 1
func Settled(start time.Time) time.Time {
	now := time.Now()
	return now.Add(min(max(4*now.Sub(start), minWait), maxWait))
}

// Settle waits until the time that Put or Settled returned.
func Settle(ctx context.Context, settled time.Time) error {
	timer := time.NewTimer(time.Until(settled))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
