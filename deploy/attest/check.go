package attest

import (
	"errors"
	"fmt"
	"io"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
)

// State is the state of something that a release should have.
type State string

const (
	// OK says that it is there and right.
	OK State = "ok"
	// Missing says that it does not exist.
	Missing State = "missing"
	// Wrong says that it exists, and is not what it should be.
	Wrong State = "wrong"
	// Unchecked says that it exists, and that no policy says whose signature counts.
	Unchecked State = "unchecked"
	// Unknown says that it could not be examined. It is not known whether it exists, or
	// what it is.
	Unknown State = "unknown"
)

// StateOf returns the state that an error of a read stands for. It is OK for nil, Wrong
// if a comparison failed, and Missing if the answer was definitely that it does not
// exist. It is Unknown for everything else, such as a refusal, a host that cannot be
// reached, a full disk or a deadline.
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

// Check is the result of one check.
type Check struct {
	// Subject is what was checked: a reference, a URL or a file.
	Subject string `json:"subject"`
	// What names the part of it: manifest, signature, provenance, sbom, tested, record,
	// module, sum, tag or pin (how a manifest names a module).
	What string `json:"what"`
	// State is the result.
	State State `json:"state"`
	// Detail says why, or who signed.
	Detail string `json:"detail,omitempty"`
	// Err is the error whose text is Detail, if there is one.
	Err error `json:"-"`
	// Optional says that it may be missing, because nobody asked for it.
	Optional bool `json:"optional,omitempty"`
	// Results are the signed test results that are right, if that is what was checked.
	Results []TestResult `json:"results,omitempty"`
	// Filter is the filter whose record was checked.
	Filter string `json:"-"`
	// Records are the signed records that are right, if that is what was checked.
	Records []SignedRecord `json:"-"`
}

// WhatTested is the What of a check of a manifest's test results.
const WhatTested = "tested"

// Noun is What in a sentence.
func (c Check) Noun() string {
	if c.What == WhatTested {
		return "test result"
	}
	return c.What
}

// ErrFailed is in the chain of the errors that Failed returns.
var ErrFailed = errors.New("verification failed")

// Failed returns an error that names every failed check; nil if there is none.
func Failed(checks []Check) error {
	return failures(checks, func(c Check) bool { return c.State != OK && (c.State != Missing || !c.Optional) })
}

// Undecided returns an error that names every check whose state is Unknown; nil if
// there is none.
func Undecided(checks []Check) error {
	return failures(checks, func(c Check) bool { return c.State == Unknown })
}

func failures(checks []Check, failed func(Check) bool) error {
	var failures []error
	for _, c := range checks {
		if !failed(c) {
			continue
		}
		f := &failure{fmt.Sprintf("%s: %v: the %s is %s: %s", printable.Text(c.Subject), ErrFailed, c.Noun(), c.State, printable.Text(c.Detail)), []error{ErrFailed}}
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
	table := printable.NewTable(w)
	table.Row("STATE", "WHAT", "OF", "DETAIL")
	for _, c := range checks {
		table.Row(string(c.State), c.What, c.Subject, c.Detail)
	}
	return table.Flush()
}
