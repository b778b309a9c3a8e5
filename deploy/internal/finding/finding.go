// Package finding tells what an error says about something that was published: that it
// is not there, that it is not what it should be, or nothing at all.
//
// Most errors say nothing: a host that does not exist, an answer such as 401 or 405, a
// full disk. Whoever took them for a fault of what is published would send people after
// a fault that is not there. So a fault has to be marked where it is found, and what
// nobody marked is unknown.
package finding

import "errors"

// ErrAbsent is in the chain of a store's definite answer that it has no such thing: 404,
// or a list without it. 401 and 403 are no such answer.
var ErrAbsent = errors.New("there is no such object")

// Absence marks an error as such an answer. The text and the chain stay.
func Absence(err error) error { return &absence{err} }

type absence struct{ error }

func (a *absence) Unwrap() error      { return a.error }
func (*absence) Is(target error) bool { return target == ErrAbsent }

// Absent reports whether ErrAbsent is in the chain.
func Absent(err error) bool { return errors.Is(err, ErrAbsent) }

// Mismatch marks an error as the outcome of a comparison: what was read is not what it
// should be. The text and the chain stay.
func Mismatch(err error) error { return &mismatch{err} }

type mismatch struct{ error }

func (m *mismatch) Unwrap() error { return m.error }

// Mismatched reports whether Mismatch marked an error in the chain.
func Mismatched(err error) bool { return errors.As(err, new(*mismatch)) }
