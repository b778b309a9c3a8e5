package play

import (
	"context"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// PlayAll does what Play does, and goes on after a step has failed. It returns an error for each
// step.
func PlayAll(ctx context.Context, s *scenario.Scenario, place Place) []error {
	p := newPlayer(s, place)
	errs := make([]error, len(s.Steps))
	for i := range s.Steps {
		if errs[i] = p.step(ctx, i); errs[i] != nil {
			_ = p.end(ctx)
		}
	}
	return errs
}
