package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// ReportFile is the file in dist/ that e2e writes, a Report.
const ReportFile = "e2e.json"

// Write writes the report to ReportFile in the folder dist.
func (r Report) Write(dist string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return scratch.WriteFile(filepath.Join(dist, ReportFile), append(data, '\n'), 0o644)
}

// ReadReport reads a report. If there is no such file, the error is fs.ErrNotExist.
func ReadReport(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what was played: %w", err)
	}
	report := new(Report)
	if err := json.Unmarshal(data, report); err != nil {
		return nil, fmt.Errorf("read what was played from %s: %w", path, err)
	}
	return report, nil
}
