package report

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's numbers, and the pages beside results/bench.json, anew")

// Where the committed report is, as seen from the README and from here.
const results = "deploy/bench/results"

var root = filepath.Join("..", "..", "..")

// The lines of a README between which the summary of a report stands.
const (
	readmeBegin = "<!-- bench -->\n"
	readmeEnd   = "<!-- /bench -->\n"
)

// TestREADME: the README and the pages repeat the committed report, so that nobody
// types numbers.
func TestREADME(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(root, results)
	var r Report
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "bench.json"))), &r); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "README.md")
	readme := read(t, file)
	want, err := inReadme(readme, r.Summary(results))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := r.WriteFiles(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	const how = `run "go test ./report -run README -update" in deploy/bench`
	if readme != want {
		t.Errorf("the README's numbers are not those of %s/bench.json; %s", results, how)
	}
	if read(t, filepath.Join(dir, "bench.md")) != r.markdown() {
		t.Errorf("%s/bench.md is not what bench.json gives; %s", results, how)
	}
}

func TestInReadme(t *testing.T) {
	t.Parallel()
	got, err := inReadme("a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n", "new\n")
	if want := "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := inReadme("a\n<!-- bench -->\nold\n", "new\n"); err == nil {
		t.Error("a README without the end of the numbers is no error")
	}
}

// inReadme returns a README with its summary replaced.
func inReadme(readme, summary string) (string, error) {
	before, rest, begins := strings.Cut(readme, readmeBegin)
	_, after, ends := strings.Cut(rest, readmeEnd)
	if !begins || !ends {
		return "", fmt.Errorf("the README lacks the lines %q and %q, between which the numbers stand", readmeBegin, readmeEnd)
	}
	return before + readmeBegin + summary + readmeEnd + after, nil
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
