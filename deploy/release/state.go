package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// stateFile is the name of the state's file in the work folder.
const stateFile = "state.json"

// state is what earlier runs have found out, for a run that goes on where they ended.
// It holds for one commit and one set of modules, byte for byte. If either has changed,
// it is dropped. It is as trustworthy as the checkout beside it: whoever can write one
// can write the other.
type state struct {
	// Asked is the request that the modules were built for.
	Asked asked `json:"asked"`
	// Checked is where a release was found to be possible: see destination.
	Checked string `json:"checked,omitempty"`
	// Modules are the wasm sha256 of the modules, by the filter's name.
	Modules map[string]string `json:"modules"`
	// Rebuilt says that a second build gave the same bytes.
	Rebuilt bool `json:"rebuilt"`
	// Tested says that the tests passed.
	Tested bool `json:"tested"`
	// Played is the report of e2e; nil if it has not passed.
	Played *scenario.Report `json:"played,omitempty"`
}

// asked holds the options that decide modules and tests.
type asked struct {
	Commit        string   `json:"commit"`
	Filters       []string `json:"filters"`
	Shard         string   `json:"shard,omitempty"`
	Compiler      string   `json:"compiler"`
	GoToolchain   string   `json:"goToolchain"`
	TinyGoVersion string   `json:"tinyGoVersion"`
	EnvoyVersions []string `json:"envoyVersions"`
}

func (r *run) asked() asked {
	return asked{
		Commit: r.git.Commit, Filters: catalog.NamesOf(r.sources), Shard: r.Shard.String(), Compiler: r.Compiler, GoToolchain: r.GoToolchain, TinyGoVersion: r.TinyGoVersion,
		// Not nil, because the value that is read back is not nil either.
		EnvoyVersions: append([]string{}, r.EnvoyVersions...),
	}
}

// loadState reads the state of earlier runs, if it is for the same request. It treats
// an unreadable state as none.
func (r *run) loadState() error {
	r.state = &state{Asked: r.asked()}
	old, err := readState(r.work(stateFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errState) {
		return nil
	}
	if err != nil {
		return err
	}
	if reflect.DeepEqual(old.Asked, r.state.Asked) && old.complete() {
		r.state = old
	}
	return nil
}

// errState says that a state cannot be read.
var errState = errors.New("it does not say what was done")

func readState(path string) (*state, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, errState, err)
	}
	return s, nil
}

// complete reports whether the state says of each filter which module it is about, and, if the
// scenarios passed, of these modules in some Envoy. What says less was not written here.
func (s *state) complete() bool {
	for _, filter := range s.Asked.Filters {
		if s.Modules[filter] == "" {
			return false
		}
	}
	if len(s.Modules) != len(s.Asked.Filters) {
		return false
	}
	return s.Played == nil || s.Played.Modules != nil && len(s.Played.EnvoyVersions) > 0 && reflect.DeepEqual(s.Played.Modules, s.Modules)
}

func (r *run) saveState() error {
	data, err := json.MarshalIndent(r.state, "", "  ")
	if err == nil {
		err = writeFile(r.work(stateFile), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("record how far the release is: %w", err)
	}
	return nil
}

// unchanged makes sure that the modules in dist are still those of the state, and that
// the checkout is still that of the commit: tests run on files, not on commits.
func (r *run) unchanged(ctx context.Context) error {
	now, err := gitinfo.Read(ctx, "", r.files...)
	if err != nil {
		return err
	}
	if now.Dirty || now.Commit != r.git.Commit {
		return fmt.Errorf("the checkout was changed while the release ran: it is at %s, and began at %s; run it again", now.Revision(), r.git.Commit)
	}
	modules, err := build.Load(r.Dist, catalog.NamesOf(r.sources))
	if err != nil {
		return err
	}
	if sums := sumsOf(modules); !reflect.DeepEqual(sums, r.state.Modules) {
		return fmt.Errorf("the modules in %s changed while the release ran; let nothing else build there, and run it again", r.Dist)
	}
	return nil
}

func writeFile(path string, data []byte) error { return scratch.WriteFile(path, data, 0o644) }

func sumsOf(modules []build.Module) map[string]string {
	sums := make(map[string]string, len(modules))
	for _, m := range modules {
		sums[m.Name] = m.WasmSHA256
	}
	return sums
}
