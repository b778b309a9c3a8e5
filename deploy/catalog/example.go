package catalog

import (
	"encoding/json"
	"fmt"
)

// ExampleConfiguration returns Example in the form that the filter gets: a string unchanged,
// anything else as JSON, and "" if there is none.
func (m Metadata) ExampleConfiguration() (string, error) {
	switch example := m.Example.(type) {
	case nil:
		return "", nil
	case string:
		return example, nil
	default:
		text, err := json.Marshal(example)
		if err != nil {
			return "", fmt.Errorf("write the example configuration as JSON: %w", err)
		}
		return string(text), nil
	}
}
