package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/actions"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Compare prints how size and cost of the filters in dist differ from those in another dist, as Markdown.
//
// The other dist is that of another commit, built in a checkout of its own. A module's size is
// always there, its cost where bench ran in both. In a step of GitHub Actions it is the job's
// summary, too.
//
// Example:
//
//	go tool mage compare ../main/dist
func Compare(_ context.Context, otherDist string) error {
	return do(nil, func(c variables.Values, out Output) error {
		text, err := comparison(c, otherDist)
		if err == nil {
			_, err = out.Out.Write([]byte(text))
		}
		if err == nil {
			err = actions.Summarize(text)
		}
		if err != nil {
			return fmt.Errorf("compare with %s: %w", otherDist, err)
		}
		return nil
	})
}

func comparison(c variables.Values, other string) (string, error) {
	if info, err := os.Stat(other); err != nil || !info.IsDir() {
		return "", errors.Join(err, errors.New("give the folder dist of the other checkout"))
	}
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return "", err
	}
	modules, err := build.Load(dist, catalog.NamesOf(filters))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("## Size\n\n| filter | bytes | base | change |\n|---|--:|--:|--:|\n")
	for _, m := range modules {
		base, change := "", "new"
		switch before, err := build.Load(other, []string{m.Name}); {
		case errors.Is(err, build.ErrNotBuilt):
		case err != nil:
			return "", err
		case before[0].Size == m.Size:
			base, change = fmt.Sprint(m.Size), "none"
		default:
			base = fmt.Sprint(before[0].Size)
			change = fmt.Sprintf("%+d (%+.1f %%)", m.Size-before[0].Size, 100*float64(m.Size-before[0].Size)/float64(before[0].Size))
		}
		printable.Fprintf(&b, "| %s | %d | %s | %s |\n", m.Name, m.Size, base, change)
	}
	costs, err := costs(other)
	return b.String() + costs, err
}

// again is the row of a bench that says what the error of its numbers is.
const again = "no filter again"

// costs compares what bench measured; empty if it did not run in both folders.
func costs(other string) (string, error) {
	ours, err := readCosts(dist)
	theirs, err2 := readCosts(other)
	if err := errors.Join(err, err2); err != nil || ours == nil || theirs == nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("\n## Cost\n\nProcessor time that a request costs more than without a filter, in µs: the median, and the quartiles round it. " +
		"Each column is a run of its own, and the first row is its error.\n\n| filter | added | base |\n|---|--:|--:|\n")
	slices.SortStableFunc(ours, func(a, b costRow) int {
		if a.Name == again {
			return -1
		}
		if b.Name == again {
			return 1
		}
		return 0
	})
	for _, row := range ours {
		if strings.HasSuffix(row.Name, "(Envoy)") || strings.HasPrefix(row.Name, "no filter") && row.Name != again {
			continue
		}
		base := ""
		if i := slices.IndexFunc(theirs, func(r costRow) bool { return r.Name == row.Name }); i >= 0 {
			base = theirs[i].String()
		}
		printable.Fprintf(&b, "| %s | %s | %s |\n", strings.ReplaceAll(printable.Text(row.Name), "|", `\|`), row, base)
	}
	return b.String(), nil
}

// costRow is what is compared of a row in dist/bench.json, which deploy/bench writes.
type costRow struct {
	Name  string `json:"name"`
	Added struct {
		Low, Median, High float64
	} `json:"addedCpuMicroseconds"`
}

func (r costRow) String() string {
	return fmt.Sprintf("%.1f (%.1f to %.1f)", r.Added.Median, r.Added.Low, r.Added.High)
}

// readCosts reads the rows of requests that Envoy answers by itself. nil if bench did not run.
func readCosts(dist string) ([]costRow, error) {
	path := filepath.Join(dist, "bench.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var measured struct {
		Filters struct {
			Traffic []struct{ Rows []costRow }
		}
	}
	if err := json.Unmarshal(data, &measured); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(measured.Filters.Traffic) == 0 {
		return nil, nil
	}
	return measured.Filters.Traffic[0].Rows, nil
}
