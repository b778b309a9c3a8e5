package attest

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// State is what was found of something that a release should have.
type State string

const (
	// OK says that it is there and right.
	OK State = "ok"
	// Missing says that it is not there.
	Missing State = "missing"
	// Wrong says that it is there and not what it should be.
	Wrong State = "wrong"
	// Unchecked says that it is there and nobody said whose word counts.
	Unchecked State = "unchecked"
	// Unknown says that it could not be looked at: whether it is there, and what it is,
	// nobody knows.
	Unknown State = "unknown"
)

// StateOf is what the error of reading something says about it: OK for nil, Wrong if a
// comparison failed, Missing if there is a definite answer that it is not there, and
// Unknown for everything else, such as a refusal, a host that cannot be reached, a full
// disk or a deadline.
func StateOf(err error) State {
	switch {
	case err == nil:
		return OK
	case finding.Mismatched(err):
		return Wrong
	case finding.Absent(err):
		return Missing
	}
	return Unknown
}

// Check is one line of what was verified.
type Check struct {
	// Subject is what it is about: a reference, a URL or a file.
	Subject string `json:"subject"`
	// What was verified: manifest, signature, provenance, sbom, module, sum or
	// record.
	What string `json:"what"`
	// State is what was found.
	State State `json:"state"`
	// Detail is why, or by whom.
	Detail string `json:"detail,omitempty"`
	// Err is the error that Detail is the text of, if it is one.
	Err error `json:"-"`
	// Optional says that it may be missing, because nobody asked for it.
	Optional bool `json:"optional,omitempty"`
}

// ErrFailed is in the chain of what Failed returns.
var ErrFailed = errors.New("verification failed")

// Failed names every check that did not end well; nil if all did.
func Failed(checks []Check) error {
	return failures(checks, func(c Check) bool { return c.State != OK && (c.State != Missing || !c.Optional) })
}

// Undecided names every check whose state is Unknown; nil if there is none.
func Undecided(checks []Check) error {
	return failures(checks, func(c Check) bool { return c.State == Unknown })
}

func failures(checks []Check, failed func(Check) bool) error {
	var failures []error
	for _, c := range checks {
		if !failed(c) {
			continue
		}
		f := &failure{fmt.Sprintf("%s: %v: the %s is %s: %s", c.Subject, ErrFailed, c.What, c.State, retry.Printable(c.Detail)), []error{ErrFailed}}
		if c.State == Unchecked {
			f.chain = append(f.chain, ErrPolicy)
		}
		if c.Err != nil {
			f.chain = append(f.chain, c.Err)
		}
		failures = append(failures, f)
	}
	return errors.Join(failures...)
}

// WriteChecks writes checks as a table for people.
func WriteChecks(w io.Writer, checks []Check) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tWHAT\tOF\tDETAIL")
	for _, c := range checks {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.State, c.What, c.Subject, retry.Printable(c.Detail))
	}
	return table.Flush()
}
