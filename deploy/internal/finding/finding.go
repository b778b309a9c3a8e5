// Package finding says what an error means for a published object: it is absent, it is not
// what it should be, or the error does not tell.
//
// Most errors do not tell: a host that does not exist, an answer such as 401 or 405, a full
// disk. If they counted as faults of the object, people would look for a fault that is not
// there. So the code that finds a fault marks its error, and an unmarked error means that
// nothing is known.
package finding

import "errors"

// ErrAbsent is in the chain when a store says definitely that it does not have the object: by
// 404, or by a list without the object. 401 and 403 do not say that.
var ErrAbsent = errors.New("there is no such object")

// Absence marks an error as such an answer. The text and the chain stay the same.
func Absence(err error) error { return &absence{err} }

type absence struct{ error }

func (a *absence) Unwrap() error      { return a.error }
func (*absence) Is(target error) bool { return target == ErrAbsent }

// Absent reports whether ErrAbsent is in the chain.
func Absent(err error) bool { return errors.Is(err, ErrAbsent) }

// Mismatch marks an error as the result of a comparison: what was read is not what it should
// be. The text and the chain stay the same.
func Mismatch(err error) error { return &mismatch{err} }

type mismatch struct{ error }

func (m *mismatch) Unwrap() error { return m.error }

// Mismatched reports whether Mismatch marked an error in the chain.
func Mismatched(err error) bool { return errors.As(err, new(*mismatch)) }
