package gotest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// maxPlaces is how many places an error names. The output has all of them.
const maxPlaces = 20

var (
	// testPlace is how a test says where it failed.
	testPlace = regexp.MustCompile(`^ +(\S+\.go):([0-9]+): (.*)`)
	// buildPlace is how the compiler does.
	buildPlace = regexp.MustCompile(`^(\S+\.go:[0-9]+:[0-9]+: .*)`)
)

// failures names the places, FILE:LINE, at which tests failed or could not be built, from what
// "go test -json" wrote to a file. The compiler names files as seen from the folder dir, and
// tests as seen from that of their package. nil if the file names none.
func failures(path, dir string, folders map[string]string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // "go test" failed before it began, and its error says why
	}
	defer func() { _ = f.Close() }()
	type test struct{ pkg, name string }
	said := map[test][]error{}
	var places []error
	decoder := json.NewDecoder(bufio.NewReader(f))
	for len(places) < maxPlaces {
		var e struct {
			event
			Output string
		}
		if decoder.Decode(&e) != nil {
			break // the end, or what a killed process left
		}
		t := test{e.Package, e.Test}
		output := strings.TrimRight(e.Output, "\n")
		switch e.Action {
		case "build-output":
			if match := buildPlace.FindStringSubmatch(output); match != nil {
				places = append(places, errors.New(filepath.Join(dir, match[1])))
			}
		case "output":
			if match := testPlace.FindStringSubmatch(output); match != nil && e.Test != "" {
				said[t] = append(said[t], fmt.Errorf("%s:%s: %s: %s", filepath.Join(folders[e.Package], match[1]), match[2], e.Test, match[3]))
			}
		case "fail":
			places = append(places, said[t]...)
		}
	}
	return errors.Join(places...)
}

// step is how a reason names the step that failed.
var step = regexp.MustCompile(`(?s)step ("(?:[^"\\]|\\.)*"):.*`)

// failedScenarios names the steps of the scenarios that failed, as FILE:LINE, with the reasons.
// nil if none failed.
func failedScenarios(root string, report scenario.Report) error {
	var places []error
	for _, r := range report.Results {
		if r.Outcome != scenario.Failed || len(places) == maxPlaces {
			continue
		}
		reason, line := r.Reason, 1
		file := filepath.Join(root, "filter", r.Filter, scenario.Folder, r.Scenario+".yaml")
		if text, err := os.ReadFile(file); err == nil {
			if match := step.FindStringSubmatch(reason); match != nil {
				reason, line = match[0], lineOf(string(text), match[1])
			}
		} else {
			file = filepath.Join(root, "filter", r.Filter, catalog.MetadataFile) // the one that every filter has
		}
		places = append(places, fmt.Errorf("%s:%d: in Envoy %s: %s", file, line, r.EnvoyVersion, strings.Join(strings.Fields(reason), " ")))
	}
	return errors.Join(places...)
}

// lineOf is the line of a scenario's file that has the name of a step, which is quoted; 1 if there
// is none.
func lineOf(text, quoted string) int {
	name, err := strconv.Unquote(quoted)
	number := 0
	for line := range strings.Lines(text) {
		number++
		if _, value, found := strings.Cut(strings.TrimSpace(line), "name: "); err == nil && found && strings.Trim(value, `"'`) == name {
			return number
		}
	}
	return 1
}
