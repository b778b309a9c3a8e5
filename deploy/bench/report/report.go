// Package report combines what one run of the bench measured: a JSON file for programs,
// a Markdown file with plots for people, and the tables on a terminal.
package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/slipway-wasm/slipway/deploy/bench/cost"
	"github.com/slipway-wasm/slipway/deploy/bench/pipeline"
)

// Report is what one run measured.
type Report struct {
	// Time is when the run began, and Commit is what was measured, with a "+" at its
	// end if files were changed.
	Time   time.Time `json:"time"`
	Commit string    `json:"commit,omitempty"`
	// Machine is where it ran.
	Machine Machine `json:"machine"`
	// Filters is what filters cost a request, and Pipeline what it costs to build and
	// publish them. Nil means that it was not measured.
	Filters  *cost.Result     `json:"filters,omitempty"`
	Pipeline *pipeline.Result `json:"pipeline,omitempty"`
}

// New begins a report about the checkout in a folder, here and now.
func New(ctx context.Context, root string) (*Report, error) {
	machine, err := describeMachine(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe this machine: %w", err)
	}
	return &Report{Time: time.Now().UTC().Truncate(time.Second), Commit: commit(ctx, root), Machine: machine}, nil
}

// part is one kind of measurement.
type part interface {
	WriteTable(io.Writer) error
	WritePlots(dir string) error
	Markdown() string
	Summary() string
	// Err returns an error if something was measured that must not happen.
	Err() error
}

func (r *Report) parts() []part {
	var parts []part
	if r.Filters != nil {
		parts = append(parts, r.Filters)
	}
	if r.Pipeline != nil {
		parts = append(parts, r.Pipeline)
	}
	return parts
}

// Err returns an error if something was measured that must not happen: a request that
// failed, or something unchanged that was built or published again.
func (r *Report) Err() error {
	var problems []error
	for _, p := range r.parts() {
		problems = append(problems, p.Err())
	}
	return errors.Join(problems...)
}

// WriteTable prints the numbers for a terminal.
func (r *Report) WriteTable(out io.Writer) error {
	for _, p := range r.parts() {
		if err := p.WriteTable(out); err != nil {
			return err
		}
	}
	return nil
}

// WriteFiles writes bench.json, bench.md and its plots into a folder.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(dir, "bench.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	for _, p := range r.parts() {
		if err := p.WritePlots(dir); err != nil {
			return err
		}
	}
	return renameio.WriteFile(filepath.Join(dir, "bench.md"), []byte(r.markdown()), 0o644)
}

func (r *Report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What Slipway costs\n\n")
	fmt.Fprintf(&b, "Measured on %s. Written by `go tool mage bench`.\n", r.where())
	for _, p := range r.parts() {
		fmt.Fprintf(&b, "\n%s", p.Markdown())
	}
	return b.String()
}

// Summary returns what a README shows of a report, in Markdown. folder is the path from
// the README to the report's files.
func (r *Report) Summary(folder string) string {
	var b strings.Builder
	for _, p := range r.parts() {
		fmt.Fprintf(&b, "%s\n", p.Summary())
	}
	fmt.Fprintf(&b, "[All numbers and plots](%s/bench.md): %s.\n", folder, r.where())
	return b.String()
}

// where says on which machine, when and of which commit a report is.
func (r *Report) where() string {
	return fmt.Sprintf("%s, %s, %d × %s, %d MiB of memory, at commit %s, %s",
		r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.CPU, r.Machine.MemoryMiB, r.Commit, r.Time.Format("2006-01-02 15:04 UTC"))
}
