package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/actions"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Shards divides the filters for N machines (0: one for every 20 filters), and prints a matrix for GitHub Actions as JSON; -release=TAG has those of that release alone.
//
// Each machine runs "release TAG -until=e2e -shard=K/N". Filters weigh what their modules
// weighed in the last build, if all are in dist. In a step of GitHub Actions the matrix is
// the output "matrix", too, and the number of parts the output "parts".
//
// Example:
//
//	go tool mage shards 3 -release=v1.4.0
func Shards(_ context.Context, n int, release *string) error {
	return do(nil, func(c variables.Values, out Output) error {
		return printShards(c, n, given(release), out)
	})
}

// matrix is a matrix of GitHub Actions:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
type matrix struct {
	Include []shardJob `json:"include"`
}

// shardJob is a job of the matrix.
type shardJob struct {
	// Shard is the part, as K/N.
	Shard string `json:"shard"`
	// Artifact names what the job leaves: part-K, or filters where there is one part only.
	Artifact string `json:"artifact"`
	// Filters are the part's filters, for people.
	Filters string `json:"filters"`
}

func printShards(c variables.Values, n int, tag string, out Output) error {
	names := c.Filters
	if tag != "" {
		var err error
		if _, names, err = version.Read(tag, c.Filters); err != nil {
			return fmt.Errorf("shards: %w", err)
		}
	}
	filters, err := catalog.Load(catalog.LoadOptions{Names: names})
	if err == nil && len(filters) == 0 {
		err = errors.New("there is no filter")
	}
	var parts [][]string
	if err == nil {
		parts, err = rel.Divide(filters, dist, n)
	}
	if err != nil {
		return fmt.Errorf("shards: %w", err)
	}
	var m matrix
	for i, part := range parts {
		job := shardJob{Shard: fmt.Sprintf("%d/%d", i+1, len(parts)), Artifact: fmt.Sprintf("part-%d", i+1), Filters: strings.Join(part, ", ")}
		if len(parts) == 1 {
			job.Artifact = "filters"
		}
		m.Include = append(m.Include, job)
	}
	text, err := json.Marshal(m)
	if err == nil {
		err = errors.Join(actions.Output("matrix", string(text)), actions.Output("parts", fmt.Sprint(len(parts))))
	}
	if err == nil {
		err = printable.Fprintln(out.Out, string(text))
	}
	if err != nil {
		return fmt.Errorf("shards: %w", err)
	}
	return nil
}
