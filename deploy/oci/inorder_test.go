package oci

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// TestPushInOrder lets two releases of one version meet. Each starts with the filter
// that the other has last. One has to get all filters, and the other none.
func TestPushInOrder(t *testing.T) {
	t.Parallel()
	address := startRegistry(t, embedded.Options{})
	names := []string{"authtoken", "headers", "requestlog"}
	for round := range 3 {
		release := buildtest.Release(fmt.Sprintf("1.0.%d", round))
		var rivals [2][]build.Built
		for i, name := range names {
			rivals[0] = append(rivals[0], buildtest.Filter(t, name, "ours"))
			rivals[1] = append(rivals[1], buildtest.Filter(t, names[len(names)-1-i], "theirs"))
		}
		var failures [2]error
		var group sync.WaitGroup
		start := make(chan struct{})
		for i, filters := range rivals {
			shapes := slices.Clone(Shapes)
			if i == 1 {
				slices.Reverse(shapes)
			}
			r := openTest(t, address)
			group.Go(func() {
				<-start
				_, failures[i] = r.Push(t.Context(), images(t, filters, release, shapes...), PushOptions{HoldTags: true, InOrder: true})
			})
		}
		close(start)
		group.Wait()
		if (failures[0] == nil) == (failures[1] == nil) {
			t.Fatalf("%s: one has to win; errors are %v and %v", release.Version, failures[0], failures[1])
		}
		winner := 0
		if failures[0] != nil {
			winner = 1
		}
		if conflict := new(immutable.Conflict); !errors.As(failures[1-winner], &conflict) {
			t.Errorf("the loser's error is %v", failures[1-winner])
		}
		looked, err := openTest(t, address).Look(t.Context(), images(t, rivals[winner], release, Shapes...))
		if err != nil {
			t.Errorf("%s: %v", release.Version, err)
		}
		for _, p := range looked {
			if !p.Unchanged {
				t.Errorf("%s: %s is not published", release.Version, p.Filter)
			}
		}
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	there, missing := buildtest.Filter(t, "authtoken", "a"), buildtest.Filter(t, "headers", "b")
	want := push(t, r, "1.4.0", there)[0]
	looked, err := r.Look(t.Context(), images(t, []build.Built{there, missing}, buildtest.Release("1.4.0")))
	if err != nil || len(looked) != 2 || !looked[0].Unchanged || looked[0].ManifestDigest != want.ManifestDigest || looked[1].Unchanged {
		t.Errorf("%+v, %v", looked, err)
	}
	if digest := digestOf(t, r, "headers", "1.4.0"); digest != "" {
		t.Errorf("looking published %s", digest)
	}
	_, err = r.Look(t.Context(), images(t, []build.Built{missing, buildtest.Filter(t, "authtoken", "other")}, buildtest.Release("1.4.0")))
	if conflict := new(immutable.Conflict); !errors.As(err, &conflict) || conflict.Published != want.ManifestDigest {
		t.Errorf("error %v, want a conflict", err)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, r *Registry) {
		if list, err := r.Versions(t.Context(), "headers"); err != nil || len(list) != 0 {
			t.Errorf("of a filter that was never published: %v, %v", list, err)
		}
		if _, err := r.WasmSize(t.Context(), "headers", version.MustParse("1.4.0")); !finding.Absent(err) {
			t.Errorf("the size of what was never published: error %v", err)
		}
		filter := buildtest.Filter(t, "headers", "a")
		for _, version := range []string{"1.9.0", "1.10.0", "1.10.0-rc.1"} {
			push(t, r, version, filter)
		}
		list, err := r.Versions(t.Context(), "headers")
		if err != nil || len(list) != 3 || list[0].String() != "1.10.0" || list[1].String() != "1.10.0-rc.1" || list[2].String() != "1.9.0" {
			t.Errorf("versions %v, %v", list, err)
		}
		if size, err := r.WasmSize(t.Context(), "headers", version.MustParse("1.9.0")); err != nil || size != filter.Module.Size {
			t.Errorf("size %d, %v; want %d", size, err, filter.Module.Size)
		}
	})
}
