package release

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// Preview prints to opts.Out what Release would do, and changes nothing: it checks
// what can be checked before any work, looks up what is published, and builds
// nothing. In a rehearsal it does not open the stores, which would make them.
func Preview(ctx context.Context, opts Options) error {
	r, err := newRun(opts)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	err = r.preview(ctx)
	if err = errors.Join(err, r.closeStores()); err != nil {
		return fmt.Errorf("release %s would fail: %w", r.version, err)
	}
	return nil
}

func (r *run) preview(ctx context.Context) error {
	note, _, err := r.check(ctx, r.Out)
	if err != nil {
		return err
	}
	if err := r.loadState(); err != nil {
		return err
	}
	say := map[string][]string{
		StepCheck:   {note},
		StepBuild:   {"build " + strings.Join(r.filterNames(), ", ")},
		StepRebuild: {r.unless(r.state.Rebuilt, "build them again from the commit, in another folder with empty caches, and compare")},
		StepLook:    {"refuse if anything else is published under this version"},
		StepTest:    {r.unless(r.state.Tested, "run all tests")},
		StepE2E:     {r.unless(r.state.Played != nil, "play the scenarios in real Envoys with exactly these bytes")},
		StepAttest:  {"attach what proves where they come from"},
		StepRender:  {"write manifests to " + r.Dist + "/manifests"},
		StepVerify:  {"read everything back from the outside"},
		StepRecord:  {fmt.Sprintf("write %s/%s and %s/%s", r.Dist, RecordFile, r.Dist, NotesFile)},
	}
	if r.Rehearsal {
		say[StepPush] = []string{fmt.Sprintf("push to the embedded registry in %s/registry", r.Dist)}
		say[StepUpload] = []string{fmt.Sprintf("upload to the embedded storage in %s/storage", r.Dist)}
		say[StepTags] = []string{"let the moving tags there point to it, where it is the newest"}
	} else if err := r.previewStores(ctx, say); err != nil {
		return err
	}
	fmt.Fprintf(r.Out, "release %s would:\n", r.version)
	for _, s := range r.plan() {
		for i, line := range say[s.name] {
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

// unless says what is done, if an earlier run has not done it.
func (r *run) unless(confirmed bool, text string) string {
	if confirmed {
		return "nothing, if the bytes are those that an earlier run had: it did this"
	}
	return text
}

// previewStores says what is published where.
func (r *run) previewStores(ctx context.Context, say map[string][]string) error {
	ctx, cancel := r.Transfer(ctx)
	defer cancel()
	if err := r.open(ctx, r.Out); err != nil {
		return err
	}
	for _, f := range r.filters {
		if r.stores.Registry != nil {
			if err := r.previewRegistry(ctx, f.Name, say); err != nil {
				return err
			}
		}
		if r.stores.Storage != nil {
			say[StepUpload] = append(say[StepUpload], "upload "+r.stores.Storage.PublicURL(storage.ModuleKey(f.Name, r.version.Original())))
		}
	}
	return nil
}

func (r *run) previewRegistry(ctx context.Context, filter string, say map[string][]string) error {
	published, err := oci.Versions(ctx, r.stores.Registry, filter)
	if err != nil {
		return err
	}
	repository := r.stores.Registry.Address() + "/" + filter
	line := fmt.Sprintf("push %s:%s as %s", repository, r.version, joined(r.Shapes))
	ahead := make(map[string]string) // by moving tag
	for _, v := range published {
		if v.Equal(r.version) {
			line += ", or confirm it: it is published"
		}
		for _, tag := range oci.MovingTags(v) {
			if v.GreaterThan(r.version) && ahead[tag] == "" {
				ahead[tag] = v.Original()
			}
		}
	}
	say[StepPush] = append(say[StepPush], line)
	var moves []string
	for _, tag := range oci.MovingTags(r.version) {
		if v := ahead[tag]; v != "" {
			moves = append(moves, fmt.Sprintf("%s stays at %s", tag, v))
		} else {
			moves = append(moves, tag)
		}
	}
	if len(moves) > 0 {
		say[StepTags] = append(say[StepTags], fmt.Sprintf("%s: %s", filter, strings.Join(moves, ", ")))
	}
	return nil
}

func joined(shapes []oci.Shape) string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
