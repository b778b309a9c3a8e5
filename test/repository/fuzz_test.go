package repository

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	fuzzRow      = regexp.MustCompile(`(?m)^ +- \{folder: (\S+), fuzz: (\w+)\}$`)
)

// TestNightlyFuzz: each fuzz test of the repository runs every night.
func TestNightlyFuzz(t *testing.T) {
	t.Parallel()
	var there []string
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") || entry.Name() == "fuzz_test.go" && filepath.Base(filepath.Dir(path)) == "repository" {
			return err
		}
		data, err := os.ReadFile(path)
		folder, err2 := filepath.Rel(root, filepath.Dir(path))
		for _, found := range fuzzFunction.FindAllSubmatch(data, -1) {
			there = append(there, fmt.Sprintf("%s %s", filepath.ToSlash(folder), found[1]))
		}
		if err == nil {
			err = err2
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	workflow, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "nightly.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var nightly []string
	for _, row := range fuzzRow.FindAllSubmatch(workflow, -1) {
		nightly = append(nightly, fmt.Sprintf("%s %s", row[1], row[2]))
	}
	slices.Sort(there)
	slices.Sort(nightly)
	if len(there) == 0 || !slices.Equal(there, nightly) {
		t.Errorf("fuzz tests are\n%s\nand nightly.yml runs\n%s", strings.Join(there, "\n"), strings.Join(nightly, "\n"))
	}
}
