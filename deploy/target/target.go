// Package target holds what is more than one call in the magefile's targets: it
// reads what the configuration names, hands it to the packages that do the work,
// and prints the result. So targets can be tested, and the magefile stays an index.
package target

import (
	"encoding/json"
	"fmt"
	"io"
)

// Output is where a target prints.
type Output struct {
	// Out receives the result.
	Out io.Writer
	// Err receives the lines that say what is being done, and the progress bar.
	Err io.Writer
	// JSON prints the result as JSON instead of for people.
	JSON bool
}

// Given is the value of an optional argument of a target; the zero value if it was not
// given.
func Given[T any](argument *T) T {
	if argument == nil {
		var zero T
		return zero
	}
	return *argument
}

// print writes a result: as JSON, or what text writes.
func (o Output) print(value any, text func(io.Writer) error) error {
	if !o.JSON {
		return text(o.Out)
	}
	encoder := json.NewEncoder(o.Out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
