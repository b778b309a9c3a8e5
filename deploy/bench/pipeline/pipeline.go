// Package pipeline measures what it costs to build and publish filters, and how that
// grows with their number.
//
// It exists because a pipeline that is pleasant with three filters may not be with
// fifty. An unchanged filter must cost neither a compiler nor an upload, and that is
// easily lost without anybody noticing. So the bench makes repositories of 1, 10 and
// more filters. In them it runs the targets that everybody runs, each in a process of
// its own, against a registry that counts its requests.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Options say what is measured.
type Options struct {
	// Filters are the numbers of filters, ascending. Default: 1 and 10.
	Filters []int
	// Releases are those of Filters for which a release is measured too. Default: none;
	// then what a release needs is not warmed up either.
	Releases []int
	// Compiler and GoToolchain say what the filters are built with: see
	// build.Options.
	Compiler, GoToolchain, TinyGoVersion string
	// Log gets one line for each thing that is done. Default: no log.
	Log io.Writer
}

// Run measures. First it compiles what Slipway itself and all filters have in common,
// because a machine that is used for this work has compiled that already.
func Run(ctx context.Context, o Options) (*Result, error) {
	o.Log = cmp.Or(o.Log, io.Discard)
	if len(o.Filters) == 0 {
		o.Filters = []int{1, 10}
	}
	result, err := run(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("measure the pipeline: %w", err)
	}
	return result, nil
}

func run(ctx context.Context, o Options) (result *Result, err error) {
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(o.Log, "pipeline: compile the targets")
	mage, err := compileTargets(ctx, filepath.Join(dir, "targets"))
	if err != nil {
		return nil, err
	}
	key, err := newKey(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	b := bench{Options: o, dir: dir, mage: mage, key: key}
	fmt.Fprintln(o.Log, "pipeline: compile what all filters have in common")
	if _, _, err := b.play(ctx, 1, len(o.Releases) > 0, io.Discard); err != nil {
		return nil, err
	}
	result = &Result{}
	for _, n := range o.Filters {
		steps, compiler, err := b.play(ctx, n, slices.Contains(o.Releases, n), o.Log)
		if err != nil {
			return nil, err
		}
		result.Compiler = compiler
		result.add(steps)
	}
	return result, nil
}
