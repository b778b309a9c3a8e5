// Package immutable writes names that never change their content.
//
// Most registries and object stores let a name be overwritten, and a version that
// changes under a running mesh is what Slipway exists to prevent. So the rule is
// kept by the client, and written down once for all kinds of stores.
package immutable

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrAbsent is what Slot.Current returns for a name that nothing was published
// under. Only a definite answer counts as absent: 404, and never 401 or 403.
var ErrAbsent = errors.New("nothing is published there")

// Conflict says that a name has other content than ours.
type Conflict struct {
	// Name is what was to be written, for example "ghcr.io/acme/headers:1.4.0".
	Name string
	// Kind is what Published and Ours are, for example "manifest digest".
	Kind string
	// Published and Ours identify the two contents.
	Published, Ours string
	// Lost says that the other content arrived while ours was being written.
	Lost bool
}

func (c *Conflict) Error() string {
	if c.Lost {
		return fmt.Sprintf("%s was published by somebody else at the same moment, with %s %s (ours is %s); choose a new version", c.Name, c.Kind, c.Published, c.Ours)
	}
	return fmt.Sprintf("%s exists with %s %s (ours is %s); a published version never changes: choose a new version", c.Name, c.Kind, c.Published, c.Ours)
}

// Slot is a name in a store, and the content that it is to have for ever.
type Slot struct {
	// Name is the full name, for messages.
	Name string
	// Kind is what identifies the content, for messages: "manifest digest" or
	// "wasm sha256". The two never share a name.
	Kind string
	// Ours identifies the content to write.
	Ours string
	// Current returns what identifies the published content, or ErrAbsent.
	Current func(context.Context) (string, error)
	// Create writes the content. If it tries more than once, it looks with Check
	// before each further try. Where the store can refuse an existing name
	// (If-None-Match), Create lets it, and returns nil if it did.
	Create func(context.Context) error
	// Overwrites says that Create cannot refuse and puts our content in the place
	// of any other. Write then waits before it reads back: see Settled.
	Overwrites bool
}

// Check looks the name up without writing: it returns true if our content is
// published, false if nothing is, and a *Conflict if something else is.
func (s Slot) Check(ctx context.Context) (bool, error) {
	published, err := s.Current(ctx)
	switch {
	case errors.Is(err, ErrAbsent):
		return false, nil
	case err != nil:
		return false, err
	case published != s.Ours:
		return false, &Conflict{Name: s.Name, Kind: s.Kind, Published: published, Ours: s.Ours}
	}
	return true, nil
}

// Write publishes the content under the name unless it already is, and reports
// whether anything was written. It looks before it writes, and again afterwards:
// where two writers met, the one whose content is not there gets a *Conflict.
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

// Put is the first half of Write: it looks and, if nothing is published under the
// name, writes. The second half is Settle until the returned time, and Confirm; who
// writes many names settles once for all of them.
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

// minWait is for machines so busy that a program stands still between two requests.
const minWait = 250 * time.Millisecond

// maxWait bounds the wait after a write that took long because it had to be tried
// again. A Create that tries again looks again before it does.
const maxWait = 10 * time.Second

// Settled is when another writer, who looked at a name before our write and writes
// without looking again, has most likely written as well. start is when we looked;
// the write has just been done. In a store without conditional writes that is how
// two writers find out about each other: the one that is overwritten sees it when
// it reads back, if it reads later than the other writes (Fischer's algorithm for
// mutual exclusion). The others are taken to need at most five times as long as we
// did between looking and having written.
//
// Reference: https://lamport.azurewebsites.net/pubs/fast-mutex.pdf, section 1
func Settled(start time.Time) time.Time {
	now := time.Now()
	return now.Add(min(max(4*now.Sub(start), minWait), maxWait))
}

// Settle waits until a time that Put or Settled returned.
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
