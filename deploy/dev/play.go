package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/local"
)

// play plays the filter's scenarios with the module that was built last, in the same Envoy, and
// says what holds and what changed since they were played before. ctx ends when there is
// something newer to play.
func (s *session) play(ctx context.Context, proxy *envoy.Proxy, binary envoy.Binary, saved time.Time) {
	s.view.playing(true)
	results, err := s.playAll(ctx, proxy, binary)
	s.view.playing(false)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.failed(err, "The scenarios were not played.")
		return
	}
	outcomes := map[string]scenario.Outcome{}
	var mended, still []string
	for i, r := range results.Results {
		outcomes[r.Scenario] = r.Outcome
		before, known := s.outcomes[r.Scenario]
		switch {
		case r.Outcome == scenario.Failed && known && before == scenario.Failed:
			still = append(still, r.Scenario)
		case r.Outcome == scenario.Failed:
			s.view.say(color.FgRed, "broke", "%s", r.Scenario)
		case r.Outcome == scenario.Passed && before == scenario.Failed:
			mended = append(mended, r.Scenario)
		case r.Outcome == scenario.LeftOut && !known:
			s.view.say(color.FgYellow, "left out", "%s: %s", r.Scenario, results.Results[i].Reason)
		}
		if r.Outcome == scenario.Failed {
			s.view.print(r.Reason + "\n")
		}
	}
	s.outcomes = outcomes
	text := fmt.Sprintf("%d of %d scenarios, %s after the save", results.Count(scenario.Passed), len(results.Results)-results.Count(scenario.LeftOut), seconds(time.Since(saved)))
	if len(mended) > 0 {
		text += "; mended: " + strings.Join(mended, ", ")
	}
	if len(still) > 0 {
		text += "; still broken: " + strings.Join(still, ", ")
	}
	mark := color.FgGreen
	if results.Count(scenario.Failed) > 0 {
		mark = color.FgRed
	}
	s.view.say(mark, "holds", "%s", text)
}

func (s *session) playAll(ctx context.Context, proxy *envoy.Proxy, binary envoy.Binary) (local.Results, error) {
	filter, err := s.filter()
	if err != nil {
		return local.Results{}, err
	}
	filters := []catalog.Filter{filter}
	scenarios, err := scenario.Load(filters)
	if err != nil {
		return local.Results{}, err
	}
	dir, err := os.MkdirTemp(s.dir, "scenarios-")
	if err != nil {
		return local.Results{}, err
	}
	results, err := s.guest.Play(ctx, proxy, local.Options{
		Filters:   filters,
		Modules:   map[string]local.Module{s.Filter: {Path: s.module}},
		Scenarios: scenarios,
		Envoys:    []envoy.Binary{binary},
		Dir:       dir,
	})
	if err == nil && len(results.Failures) == 0 {
		err = os.RemoveAll(dir)
	}
	return results, err
}

// scenarioFolders is the folder with the filter's scenarios, if there is one, with its files'
// folders.
func scenarioFolders(filter catalog.Filter) []string {
	var folders []string
	_ = filepath.WalkDir(filepath.Join(filter.Dir, scenario.Folder), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return nil
	})
	return slices.Clip(folders)
}
