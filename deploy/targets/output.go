package targets

import (
	"fmt"
	"io"

	"github.com/slipway-wasm/slipway/deploy/internal/printable"
)

// Output is where a target prints.
type Output struct {
	// Out receives the result.
	Out io.Writer
	// Err receives the lines that say what is being done, and the progress bar.
	Err io.Writer
	// JSON prints the result as JSON instead of as text for people.
	JSON bool
}

// given is the value of an optional argument of a target; the zero value if it was not
// given.
func given[T any](argument *T) T {
	if argument == nil {
		var zero T
		return zero
	}
	return *argument
}

// print writes a result: as JSON, or what text writes. text prints with package printable.
func (o Output) print(value any, text func(io.Writer) error) error {
	if !o.JSON {
		return text(o.Out)
	}
	if err := printable.JSON(o.Out, value); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
