package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// newRecord is the record of what is published by now.
func (r *run) newRecord() Record {
	compiler := r.toolchain()
	compiler.BuildTags = nil // they follow from its version and flags
	record := Record{
		Schema:        SchemaURL,
		RecordVersion: RecordVersion,
		Version:       r.Version.String(),
		Tag:           r.Version.Tag(),
		Rehearsal:     r.rehearsal(),
		Commit:        r.git.Commit,
		Committed:     r.git.Time,
		Source:        r.git.Source,
		Compiler:      compiler,
		EnvoyVersions: r.state.Played.EnvoyVersions,
		Tools:         tools(),
	}
	for i, m := range r.release.Modules() {
		f := FilterRecord{Name: m.Name, WasmSHA256: m.WasmSHA256, WasmSize: m.Size, Scenarios: attest.TestsOf(*r.state.Played, m.Name)}
		if len(r.objects) > 0 {
			f.URL = r.recorded(r.objects[i].URL)
		}
		for _, p := range r.published {
			if p.Filter == m.Name {
				f.Manifests = append(f.Manifests, ManifestRecord{Shape: p.Shape, Repository: r.recorded(p.Repository), Tag: p.Tag, ManifestDigest: p.ManifestDigest})
			}
		}
		record.Filters = append(record.Filters, f)
	}
	return record
}

// libraries are the modules, besides Slipway, that influence what is published.
var libraries = []string{
	"github.com/klauspost/compress", // the compat layer's bytes
	"oras.land/oras-go/v2",
}

// tools are Go and the libraries that this program was built with.
func tools() []Tool {
	list := []Tool{{Name: "go", Version: strings.TrimPrefix(runtime.Version(), "go")}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return list
	}
	for _, dependency := range info.Deps {
		if slices.Contains(libraries, dependency.Path) {
			list = append(list, Tool{Name: dependency.Path, Version: dependency.Version})
		}
	}
	return list
}

// writeRecord writes the record, its bundle and the notes.
func (r *run) writeRecord(context.Context, io.Writer) (note string, confirmed bool, err error) {
	path := filepath.Join(r.Dist, RecordFile)
	record := r.newRecord()
	data, err := record.encode()
	if err != nil {
		return "", false, err
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		confirmed = true
	} else if err := scratch.WriteFile(path, data, 0o644); err != nil {
		return "", false, err
	}
	bundle := filepath.Join(r.Dist, BundleFile)
	if r.bundle == nil {
		err = os.Remove(bundle)
	} else {
		err = scratch.WriteFile(bundle, r.bundle, 0o644)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	notes := filepath.Join(r.Dist, NotesFile)
	if err := scratch.WriteFile(notes, []byte(record.Notes(r.previous)), 0o644); err != nil {
		return "", false, err
	}
	r.record = &record
	return fmt.Sprintf("%s, %s", path, notes), confirmed, nil
}

func (r *run) wouldRecord() []string {
	return []string{fmt.Sprintf("write %s/%s and %s/%s", r.Dist, RecordFile, r.Dist, NotesFile)}
}

// summarize prints what was released. If the terminal is too narrow for whole digests,
// it shows their beginnings; the record has them in full.
func (r *run) summarize() error {
	table := r.table(func(digest string) string { return digest })
	if !r.list.fits(table) {
		const short = 12 // digits, as docker shows them
		table = r.table(func(digest string) string { return digest[:min(len(digest), len("sha256:")+short)] + "…" })
	}
	what := "Released"
	if r.rehearsal() {
		what = "Rehearsed"
	}
	_, err := fmt.Fprintf(r.Out, "\n%s%s %s in %s.\n", table, what, r.Version, time.Since(r.started).Round(time.Second/10))
	return err
}

// table lists what was released where. shown says how to print a digest.
func (r *run) table(shown func(digest string) string) string {
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILTER\tSIZE\tCHANGE\tWHERE\tDIGEST")
	for _, f := range r.record.Filters {
		size, change := fmt.Sprint(f.WasmSize), f.change(r.previous)
		for _, m := range f.Manifests {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s:%s\t%s\n", f.Name, size, change, m.Repository, m.Tag, shown(m.ManifestDigest))
		}
		if f.URL != "" {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\twasm sha256 %s\n", f.Name, size, change, f.URL, shown(f.WasmSHA256))
		}
	}
	_ = table.Flush() // into memory
	return out.String()
}
