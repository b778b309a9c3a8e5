package pipeline

import (
	"errors"
	"fmt"

	"github.com/slipway-wasm/slipway/deploy/build"
)

// Result is what one run measured.
type Result struct {
	// Compiler is the compiler that built the filters.
	Compiler build.Toolchain `json:"compiler"`
	// Steps are what was done, in order.
	Steps []*Step `json:"steps"`
}

// Step is one thing that was done in repositories with more and more filters.
type Step struct {
	Name string `json:"name"`
	Rows []Row  `json:"rows"`
}

// Row is a step in one repository.
type Row struct {
	// Filters is the number of filters, and Changed the number of those that changed
	// since the step before.
	Filters int `json:"filters"`
	Changed int `json:"changed"`
	// Seconds is how long it took, and CPUSeconds the processor time, user and system,
	// of the target's process and all that it ran.
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// PeakRSS is the most resident memory that these processes had together, in bytes.
	PeakRSS uint64 `json:"peakRss"`
	// Built is how many modules were written to dist/.
	Built int `json:"built"`
	// Reads counts the registry's GET and HEAD requests, and Writes all others. Blobs
	// counts the uploads of a blob among the writes.
	Reads  int `json:"registryReads"`
	Writes int `json:"registryWrites"`
	Blobs  int `json:"blobsUploaded"`
}

// named is a row with the name of its step.
type named struct {
	step string
	row  Row
}

func (r *Result) add(rows []named) {
	for _, n := range rows {
		r.step(n.step).Rows = append(r.step(n.step).Rows, n.row)
	}
}

// step returns the step with a name, and adds it if it is missing.
func (r *Result) step(name string) *Step {
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	s := &Step{Name: name}
	r.Steps = append(r.Steps, s)
	return s
}

// Err returns an error if something unchanged was built or uploaded again, and says
// where; nil if nothing was.
func (r *Result) Err() error {
	var problems []error
	for _, s := range r.Steps {
		for _, row := range s.Rows {
			if err := row.err(); err != nil {
				problems = append(problems, fmt.Errorf("%s (filters: %d): %w", s.Name, row.Filters, err))
			}
		}
	}
	return errors.Join(problems...)
}

// blobsOfFilter are a module and its config.
const blobsOfFilter = 2

func (r Row) err() error {
	switch {
	case r.Built > r.Changed:
		return fmt.Errorf("modules built: %d, filters changed: %d", r.Built, r.Changed)
	case r.Changed == 0 && r.Writes > 0:
		return fmt.Errorf("requests that write: %d, and nothing had changed", r.Writes)
	case r.Changed < r.Filters && r.Blobs > blobsOfFilter*r.Changed:
		return fmt.Errorf("blobs uploaded: %d, filters changed: %d", r.Blobs, r.Changed)
	}
	return nil
}
