package targets

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// TestImmutableTags: where no tag can move, push says once how to choose that, and with that
// choice verify does not ask where the moving tags are.
func TestImmutableTags(t *testing.T) {
	project(t)
	registry := startRegistry(t)
	proxy := faultproxytest.Start(t, registry, faultproxytest.Rule{
		Match: "^PUT .*/manifests/[^:]*$", Fault: faultproxytest.ImmutableTags(http.StatusBadRequest, "tag is immutable"),
	})
	ctx, c := t.Context(), variables.Values{Registry: proxy.Addr + "/acme"}
	var told strings.Builder
	for _, version := range []string{"1.4.0", "1.4.1"} {
		if err := push(ctx, c, version, Output{Out: &told, Err: &told}); err != nil {
			t.Fatal(err)
		}
	}
	if said := strings.Count(told.String(), "MOVING_TAGS=none leaves them alone without trying"); said != 1 {
		t.Errorf("it says its choice %d times:\n%s", said, told.String())
	}
	if err := verifyPublished(ctx, c, "1.4.1", false, Output{Out: &told, Err: &told}); err == nil || !strings.Contains(err.Error(), "the tag is wrong") {
		t.Errorf("without the choice: %v", err)
	}
	c.MovingTags = true
	run(t, func(o Output) error { return verifyPublished(ctx, c, "1.4.1", false, o) })
}
