package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Preview prints to opts.Out what Release would do, and changes nothing. It runs the
// checks that come before any work, and looks up what is published. It builds nothing.
// In a rehearsal it does not open the stores, because that would create them.
func Preview(ctx context.Context, opts Options) error {
	r, err := newRun(opts)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	err = r.preview(ctx)
	if err = errors.Join(err, r.closeStores()); err != nil {
		return fmt.Errorf("release %s would fail: %w", r.Version, err)
	}
	return nil
}

func (r *run) preview(ctx context.Context) error {
	r.previewing = true
	note, _, err := r.check(ctx, r.Out)
	if err != nil {
		return err
	}
	if err := r.previewStores(ctx); err != nil {
		return err
	}
	fmt.Fprintf(r.Out, "release %s would:\n", r.Version)
	for _, s := range steps {
		lines := []string{note}
		if s.would != nil {
			lines = s.would(r)
		}
		for i, line := range lines {
			name := s.name
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(r.Out, "  %-8s %s\n", name, line)
		}
		if s.name == r.Until {
			break
		}
	}
	fmt.Fprintln(r.Out, "Nothing was changed.")
	return nil
}

// unless describes a step's work, or that an earlier run has done it.
func (r *run) unless(confirmed bool, text string) []string {
	if confirmed {
		text = "nothing, if the bytes are those that an earlier run had: it did this"
	}
	return []string{text}
}

// previewStores looks up what is published, and refuses a version that is taken. It does
// nothing in a rehearsal: opening its stores would create them.
func (r *run) previewStores(ctx context.Context) error {
	if r.rehearsal() {
		return nil
	}
	ctx, cancel := r.transfer(ctx)
	defer cancel()
	if err := r.open(ctx, r.Out); err != nil || r.stores.registry == nil {
		return err
	}
	r.versions = make(map[string][]version.Version)
	for _, f := range r.sources {
		var err error
		if r.versions[f.Name], err = r.stores.registry.Versions(ctx, f.Name); err != nil {
			return err
		}
	}
	return r.checkTaken(ctx)
}

func (r *run) wouldPush() (lines []string) {
	if r.rehearsal() {
		return []string{fmt.Sprintf("push to the embedded registry in %s/registry", r.Dist)}
	}
	if r.stores.registry == nil {
		return nil
	}
	for _, f := range r.sources {
		line := fmt.Sprintf("push %s/%s:%s as %s", r.stores.registry.Address(), f.Name, r.Version, joined(r.Shapes))
		if slices.ContainsFunc(r.versions[f.Name], r.Version.Equal) {
			line += ", or confirm it: it is published"
		}
		lines = append(lines, line)
	}
	return lines
}

func (r *run) wouldUpload() (lines []string) {
	if r.rehearsal() {
		return []string{fmt.Sprintf("upload to the embedded storage in %s/storage", r.Dist)}
	}
	if r.stores.storage == nil {
		return nil
	}
	for _, f := range r.sources {
		lines = append(lines, "upload "+r.stores.storage.PublicURL(storage.ModuleKey(f.Name, r.Version.String())))
	}
	return lines
}

func (r *run) wouldMoveTags() (lines []string) {
	if r.rehearsal() {
		return []string{"let the moving tags there point to it, where it is the newest"}
	}
	if r.stores.registry == nil {
		return nil
	}
	for _, f := range r.sources {
		var moves []string
		for _, tag := range r.Version.Ranges() {
			// The newest comes first.
			ahead := slices.IndexFunc(r.versions[f.Name], func(v version.Version) bool {
				return v.Compare(r.Version) > 0 && slices.Contains(v.Ranges(), tag)
			})
			if ahead >= 0 {
				tag = fmt.Sprintf("%s stays at %s", tag, r.versions[f.Name][ahead])
			}
			moves = append(moves, tag)
		}
		if len(moves) > 0 {
			lines = append(lines, fmt.Sprintf("%s: %s", f.Name, strings.Join(moves, ", ")))
		}
	}
	return lines
}

func joined(shapes []oci.Shape) string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
