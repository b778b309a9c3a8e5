package release

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// MaxUnsharded is how many filters one machine releases in a time that people wait for.
const MaxUnsharded = 20

// Shard is one of the parts that a release is built and tested in, on machines of their own.
// Its zero value is a release in one part.
type Shard struct {
	// Number is the part's number, from 1 to Count.
	Number int
	// Count is how many parts there are.
	Count int
}

var shardPattern = regexp.MustCompile(`^([1-9][0-9]{0,3})/([1-9][0-9]{0,3})$`)

// ParseShard reads a Shard as String writes it. The empty text and "1/1" are a release in one
// part.
func ParseShard(text string) (Shard, error) {
	if text == "" || text == "1/1" {
		return Shard{}, nil
	}
	var s Shard
	if match := shardPattern.FindStringSubmatch(text); match != nil {
		s.Number, _ = strconv.Atoi(match[1]) // up to four digits
		s.Count, _ = strconv.Atoi(match[2])
	}
	if s.Number == 0 || s.Number > s.Count {
		return Shard{}, fmt.Errorf("shard %q is not K/N, such as 2/3 for the second of three parts", text)
	}
	return s, nil
}

// String returns the shard as K/N; empty for a release in one part.
func (s Shard) String() string {
	if s == (Shard{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Number, s.Count)
}

// Divide divides filters into n parts that take about the same time, and returns the names in
// each. Every filter is in one part, and no part is empty: there are never more parts than
// filters. n of 0 gives one part for every MaxUnsharded filters. Dist is the folder with the
// last build; empty means "dist".
//
// A filter weighs as much as its module in the last build. If not all of them are there, as in
// a new clone, they weigh the same. So machines that have the same commit, and that have built
// all of it or nothing, divide it in the same way.
func Divide(filters []catalog.Filter, dist string, n int) ([][]string, error) {
	if n < 0 {
		return nil, fmt.Errorf("divide the filters: there cannot be %d parts; give a number, or 0 for one part for every %d filters", n, MaxUnsharded)
	}
	if n == 0 {
		n = (len(filters) + MaxUnsharded - 1) / MaxUnsharded
	}
	names, weights := catalog.NamesOf(filters), map[string]int64{}
	if modules, err := build.Load(dist, names); err == nil {
		for _, m := range modules {
			weights[m.Name] = m.Size
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(weights[b], weights[a]), strings.Compare(a, b))
	})
	parts := make([][]string, min(n, len(names)))
	loads := make([]int64, len(parts))
	// The heaviest that is left goes to the part that has the least.
	for _, name := range names {
		least := 0
		for i := range loads {
			if cmp.Or(cmp.Compare(loads[i], loads[least]), cmp.Compare(len(parts[i]), len(parts[least]))) < 0 {
				least = i
			}
		}
		parts[least] = append(parts[least], name)
		loads[least] += weights[name]
	}
	for _, part := range parts {
		slices.Sort(part)
	}
	return parts, nil
}

// checkShard refuses options that only a whole release can have.
func (r *run) checkShard() error {
	switch {
	case r.Shard != Shard{} && r.Parts != "":
		return errors.New("parts are joined without a shard")
	case r.Shard != Shard{} && r.reaches[StepPush]:
		return fmt.Errorf("a part of a release is not published: stop the shard %s after %s, and join all parts", r.Shard, StepE2E)
	}
	return nil
}

// narrow leaves only the filters of the shard. An earlier run of it chose them.
func (r *run) narrow() error {
	if r.Shard == (Shard{}) {
		return nil
	}
	if old, err := readState(r.work(stateFile)); err == nil && r.differs(old.Asked) == "" && old.Asked.Shard == r.Shard.String() && old.complete() {
		return r.keep(old.Asked.Filters)
	}
	parts, err := Divide(r.sources, r.Dist, r.Shard.Count)
	if err != nil {
		return err
	}
	if r.Shard.Count > len(parts) {
		return fmt.Errorf("shard %s: there are %s, and so at most that many parts", r.Shard, count(len(r.sources), "filter"))
	}
	return r.keep(parts[r.Shard.Number-1])
}

func (r *run) keep(names []string) error {
	r.sources = slices.DeleteFunc(r.sources, func(f catalog.Filter) bool { return !slices.Contains(names, f.Name) })
	if len(r.sources) != len(names) {
		return fmt.Errorf("shard %s: an earlier run chose %s, and not all of them are here; remove %s", r.Shard, strings.Join(names, ", "), r.work(stateFile))
	}
	return nil
}

// part is what one shard left: a folder as Options.Dist of that shard.
type part struct {
	name    string // of its folder
	dir     string
	state   *state
	modules []build.Module
}

// join puts together what the shards of this release left in the folders below Options.Parts.
// Nothing is written before all of it was found to be there once, and to belong together.
func (r *run) join() error {
	parts, err := r.readParts()
	if err != nil {
		return err
	}
	joined := &state{Asked: r.asked(), Modules: map[string]string{}, Rebuilt: true}
	var problems []error
	from := map[string]part{}
	for _, p := range parts {
		problems = append(problems, r.checkPart(p, parts[0]))
		for _, name := range p.state.Asked.Filters {
			if first, twice := from[name]; twice {
				problems = append(problems, fmt.Errorf("filter %s is in two parts, %s and %s; give each part once", name, first.name, p.name))
			}
			from[name] = p
		}
	}
	var missing []string
	played := *parts[0].state.Played
	played.Modules, played.Results = joined.Modules, nil
	for _, f := range r.sources {
		p, ok := from[f.Name]
		if !ok {
			missing = append(missing, f.Name)
			continue
		}
		joined.Modules[f.Name] = p.state.Modules[f.Name]
		for _, result := range p.state.Played.Results {
			if result.Filter == f.Name {
				played.Results = append(played.Results, result)
			}
		}
	}
	joined.Played = &played
	if len(missing) > 0 {
		problems = append(problems, fmt.Errorf("no part has %s; the parts are %s", strings.Join(missing, ", "), r.describe(parts)))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("join the parts in %s: %w", r.Parts, err)
	}
	return r.take(parts, joined)
}

// readParts reads the states and modules of all parts.
func (r *run) readParts() ([]part, error) {
	entries, err := os.ReadDir(r.Parts)
	if err != nil {
		return nil, fmt.Errorf("join parts: %w", err)
	}
	var parts []part
	var problems []error
	for _, entry := range entries {
		p := part{name: entry.Name(), dir: filepath.Join(r.Parts, entry.Name())}
		p.state, err = readState(filepath.Join(p.dir, workFolder, stateFile))
		if err == nil && (!p.state.complete() || !p.state.Rebuilt || !p.state.Tested || p.state.Played == nil) {
			err = errors.New("it was not built twice, tested and played to the end")
		}
		if err == nil {
			p.modules, err = build.Load(p.dir, p.state.Asked.Filters)
		}
		if err == nil && !maps.Equal(sumsOf(p.modules), p.state.Modules) {
			err = errors.New("its modules are not those that were tested")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("part %s: %w", p.name, err))
			continue
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 && len(problems) == 0 {
		problems = append(problems, errors.New("there is none"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("join the parts in %s: %w", r.Parts, err)
	}
	return parts, nil
}

// checkPart refuses a part of another release, or one that was made otherwise than the first.
func (r *run) checkPart(p, first part) error {
	var problems []error
	if what := r.differs(p.state.Asked); what != "" {
		problems = append(problems, fmt.Errorf("part %s is not of this release: %s", p.name, what))
	}
	for _, name := range p.state.Asked.Filters {
		if !slices.Contains(catalog.NamesOf(r.sources), name) {
			problems = append(problems, fmt.Errorf("part %s has filter %s, which is not in this release", p.name, name))
		}
	}
	for _, m := range p.modules {
		if ours, theirs := compiler(first.modules[0].Compiler), compiler(m.Compiler); ours != theirs {
			problems = append(problems, fmt.Errorf("part %s has %s built with %s, and part %s is built with %s", p.name, m.Name, theirs, first.name, ours))
		}
	}
	if ours, theirs := first.state.Played.EnvoyVersions, p.state.Played.EnvoyVersions; !slices.Equal(ours, theirs) {
		problems = append(problems, fmt.Errorf("part %s ran in Envoy %s, and part %s in %s", p.name, strings.Join(theirs, ", "), first.name, strings.Join(ours, ", ")))
	}
	return errors.Join(problems...)
}

// differs says in what a request differs from this run's, besides the filters; empty if in
// nothing.
func (r *run) differs(other asked) string {
	ours := r.asked()
	for _, field := range []struct{ name, ours, theirs string }{
		{"commit", ours.Commit, other.Commit},
		{"compiler", ours.Compiler, other.Compiler},
		{"Go toolchain", ours.GoToolchain, other.GoToolchain},
		{"TinyGo", ours.TinyGoVersion, other.TinyGoVersion},
		{"Envoy", strings.Join(ours.EnvoyVersions, ", "), strings.Join(other.EnvoyVersions, ", ")},
	} {
		if field.ours != field.theirs {
			return fmt.Sprintf("its %s is %q, and here it is %q", field.name, field.theirs, field.ours)
		}
	}
	return ""
}

func (r *run) describe(parts []part) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.name
		if p.state.Asked.Shard != "" {
			texts[i] += " (" + p.state.Asked.Shard + ")"
		}
	}
	return strings.Join(texts, ", ")
}

// take copies the parts' modules to dist, as one build would have left them, and then the
// state that vouches for them.
func (r *run) take(parts []part, joined *state) error {
	for _, p := range parts {
		for _, m := range p.modules {
			for _, suffix := range []string{".wasm", ".json"} {
				data, err := os.ReadFile(filepath.Join(p.dir, m.Name+suffix))
				if err == nil {
					err = writeFile(filepath.Join(r.Dist, m.Name+suffix), data)
				}
				if err != nil {
					return fmt.Errorf("join part %s: %w", p.name, err)
				}
			}
		}
	}
	if err := joined.Played.Write(r.Dist); err != nil {
		return fmt.Errorf("join the parts in %s: %w", r.Parts, err)
	}
	r.state = joined
	return r.saveState()
}

// tested says which packages this run tests, by their folders relative to the repository's: nil
// for all. A shard tests its filters. What belongs to no filter may need all modules, and is
// tested where the parts are joined.
func (r *run) tested() func(folder string) bool {
	within := func(filters []catalog.Filter) func(string) bool {
		return func(folder string) bool {
			abs, err := filepath.Abs(folder)
			return err == nil && slices.ContainsFunc(filters, func(f catalog.Filter) bool {
				return abs == f.Dir || strings.HasPrefix(abs, f.Dir+string(filepath.Separator))
			})
		}
	}
	switch {
	case r.Shard != Shard{}:
		return within(r.sources)
	case r.Parts != "":
		theirs := within(r.sources)
		return func(folder string) bool { return !theirs(folder) }
	}
	return nil
}
