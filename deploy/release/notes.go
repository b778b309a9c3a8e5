package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// Notes describes the release for people, in GitHub's Markdown. previous are the versions
// before it, by the filters' names.
//
// Reference: https://github.github.com/gfm/#tables-extension-
func (r Record) Notes(previous map[string]Previous) string {
	var b strings.Builder
	if r.Rehearsal {
		b.WriteString("This is a rehearsal: the addresses are those of an embedded registry and storage.\n\n")
	}
	fmt.Fprintf(&b, "Built from commit `%s` with %s, twice, with the same bytes. Tested in Envoy %s.\n",
		r.Commit, compiler(r.Compiler), strings.Join(r.EnvoyVersions, ", "))

	b.WriteString("\n## Size\n\n| filter | bytes | change |\n|---|--:|--:|\n")
	for _, f := range r.Filters {
		fmt.Fprintf(&b, "| %s | %d | %s |\n", f.Name, f.WasmSize, f.change(previous))
	}
	r.writeScenarios(&b)
	if r.inRegistry() {
		b.WriteString("\n## From a registry\n\nThe digest is that of the manifest: what an `oci://` URL is pinned to.\n\n```text\n")
		for _, f := range r.Filters {
			for _, m := range f.Manifests {
				fmt.Fprintf(&b, "oci://%s:%s@%s\n", m.Repository, m.Tag, m.ManifestDigest)
			}
		}
		b.WriteString("```\n")
	}
	if r.inStorage() {
		b.WriteString("\n## By URL\n\n| filter | URL | wasm sha256 |\n|---|---|---|\n")
		for _, f := range r.Filters {
			fmt.Fprintf(&b, "| %s | <%s> | `%s` |\n", f.Name, f.URL, f.WasmSHA256)
		}
	}
	return b.String()
}

// inCell keeps a text in its cell of a table.
var inCell = strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ")

// writeScenarios writes a table of the scenarios, with a column for each Envoy.
func (r Record) writeScenarios(b *strings.Builder) {
	if !slices.ContainsFunc(r.Filters, func(f FilterRecord) bool { return len(f.Scenarios) > 0 }) {
		return
	}
	fmt.Fprintf(b, "\n## Scenarios\n\n| filter | scenario | Envoy %s |\n|---|---|%s\n", strings.Join(r.EnvoyVersions, " | Envoy "), strings.Repeat("---|", len(r.EnvoyVersions)))
	for _, f := range r.Filters {
		outcomes := map[string]map[string]scenario.Outcome{} // by scenario and version
		for _, t := range f.Scenarios {
			if outcomes[t.Scenario] == nil {
				outcomes[t.Scenario] = map[string]scenario.Outcome{}
			}
			outcomes[t.Scenario][t.EnvoyVersion] = t.Outcome
		}
		for _, name := range slices.Sorted(maps.Keys(outcomes)) {
			fmt.Fprintf(b, "| %s | %s |", f.Name, inCell.Replace(name))
			for _, version := range r.EnvoyVersions {
				fmt.Fprintf(b, " %s |", outcomes[name][version])
			}
			b.WriteString("\n")
		}
	}
}

func (r Record) inRegistry() bool { return len(r.Filters) > 0 && len(r.Filters[0].Manifests) > 0 }
func (r Record) inStorage() bool  { return len(r.Filters) > 0 && r.Filters[0].URL != "" }

// change says how a filter's size differs from that of the version before, for people.
func (f FilterRecord) change(all map[string]Previous) string {
	previous, ok := all[f.Name]
	if !ok {
		return "new"
	}
	difference := f.WasmSize - previous.WasmSize
	if difference == 0 {
		return "same as " + previous.Version
	}
	return fmt.Sprintf("%+d (%+.1f %%) since %s", difference, 100*float64(difference)/float64(previous.WasmSize), previous.Version)
}
