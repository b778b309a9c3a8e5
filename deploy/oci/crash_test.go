package oci

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
)

// The variable that names the module for the child of TestKilledPush.
const pushModule = "SLIPWAY_TEST_PUSH_MODULE"

// pushAsChild pushes as the child of TestKilledPush.
func pushAsChild(address string) int {
	path := os.Getenv(pushModule)
	wasm, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	r, err := Open(RegistryOptions{Address: address})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	images, err := NewImages(buildtest.Release("1.0.0", buildtest.At(path, "headers", wasm)), Shapes...)
	if err == nil {
		_, err = r.Push(context.Background(), images, PushOptions{})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// TestKilledPush kills pushes at random requests, with nothing to clean up after
// them. Whatever tags there are by then are complete, and the same push again ends
// where an undisturbed one does.
func TestKilledPush(t *testing.T) {
	t.Parallel()
	registry := distributiontest.Start(t, distributiontest.Options{})
	filter := buildtest.Filter(t, "headers", large)
	proxy := faultproxytest.Start(t, registry)
	undisturbed := openWith(t, RegistryOptions{Address: proxy.Addr + "/undisturbed"})
	want := push(t, undisturbed, "1.0.0", filter)
	requests := len(proxy.Requests(""))
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("%d requests in an undisturbed push; seed %d", requests, seed)
	for i := range 20 {
		at, late := 1+random.IntN(requests), random.IntN(2) == 1
		t.Run(fmt.Sprintf("%d", i), func(t *testing.T) {
			t.Parallel()
			r := openWith(t, RegistryOptions{Address: fmt.Sprintf("%s/crash%d", registry, i)})
			pushUntil(t, registry, r.Address(), filter.Module.Path, at, late)

			repo, err := r.repository("headers")
			if err != nil {
				t.Fatal(err)
			}
			tags, err := r.tags(t.Context(), repo)
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range tags {
				kind, ok := parseTag(tag)
				if !ok {
					t.Fatalf("tag %s", tag)
				}
				if digestOf(t, r, "headers", tag) == "" {
					continue // the registry lists a tag before it points to anything
				}
				checkComplete(t, r, "headers", tag, want[slices.Index(Shapes, kind.shape)].ManifestDigest)
			}

			got := push(t, r, "1.0.0", filter)
			for j := range want {
				if got[j].ManifestDigest != want[j].ManifestDigest {
					t.Errorf("killed at request %d: %s has digest %s, undisturbed %s", at, got[j].Tag, got[j].ManifestDigest, want[j].ManifestDigest)
				}
			}
			if diff := cmp.Diff(tagDigests(t, undisturbed), tagDigests(t, r)); diff != "" {
				t.Errorf("killed at request %d: tags (-undisturbed +got):\n%s", at, diff)
			}
		})
	}
}

// pushUntil pushes from another process through a proxy, which kills that process
// at its n-th request: before the registry gets it or, if late, after it has
// answered.
func pushUntil(t *testing.T, registry, address, module string, n int, late bool) {
	t.Helper()
	var count atomic.Int32
	child := make(chan *os.Process, 1)
	kill := func() {
		process := <-child
		if err := process.Kill(); err != nil {
			t.Error(err)
		}
		child <- process
	}
	proxy := faultproxytest.Start(t, registry, faultproxytest.Rule{Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if int(count.Add(1)) != n {
			next.ServeHTTP(w, r)
			return
		}
		if late {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		kill()
		faultproxytest.Reset(w, r, next)
	}})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), pushTo+"="+strings.Replace(address, registry, proxy.Addr, 1), pushModule+"="+module)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child <- cmd.Process
	// Filters are pushed side by side, so one push has a few requests more or less
	// than another and the last ones may not come.
	if err := cmd.Wait(); err == nil && int(count.Load()) >= n {
		t.Errorf("the push was to be killed at request %d and succeeded", n)
	} else if err != nil && cmd.ProcessState.Exited() {
		t.Errorf("the push failed before it was killed at request %d: %v\n%s", n, err, out.String())
	}
}

// tagDigests returns the manifest digest of each tag of the filter.
func tagDigests(t *testing.T, r *Registry) map[string]string {
	t.Helper()
	repo, err := r.repository("headers")
	if err != nil {
		t.Fatal(err)
	}
	tags, err := r.tags(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	digests := make(map[string]string)
	for _, tag := range tags {
		digests[tag] = digestOf(t, r, "headers", tag)
	}
	return digests
}
