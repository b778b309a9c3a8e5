package advice_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
)

var errOther = errors.New("something else")

func TestAdd(t *testing.T) {
	t.Parallel()
	notBuilt := fmt.Errorf("push: headers: %w", build.ErrNotBuilt)
	more := advice.Row{About: errOther, Do: "do that"}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"known":         {notBuilt, `push: headers: not built; run "go tool mage build"`},
		"unknown":       {errors.New("no"), "no"},
		"given":         {errOther, "something else; do that"},
		"twice":         {advice.Add(notBuilt), `push: headers: not built; run "go tool mage build"`},
		"several lines": {errors.Join(notBuilt, build.ErrChanged, errOther), "push: headers: not built\nchanged after it was built\nsomething else\nrun \"go tool mage build\"\ndo that"},
	} {
		got := advice.Add(c.err, more)
		if got.Error() != c.want || !errors.Is(got, c.err) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if err := advice.Add(nil); err != nil {
		t.Errorf("nil becomes %v", err)
	}
}
