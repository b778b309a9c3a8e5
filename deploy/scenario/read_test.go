package scenario_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

func TestReadReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), scenario.ReportFile)
	if _, err := scenario.ReadReport(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for content, want := range map[string]string{
		`{"modules": {"headers": "00"}, "results": [{"scenario": "a", "outcome": "left out"}]}`: "",
		`{"modules": []}`: "read what was played from " + path,
		``:                "read what was played from " + path,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := scenario.ReadReport(path)
		if want == "" && (err != nil || report.Results[0].Outcome != scenario.LeftOut || report.Modules["headers"] != "00") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v", content, report, err)
		}
	}
}
