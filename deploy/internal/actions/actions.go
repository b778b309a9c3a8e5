// Package actions tells the runner of GitHub Actions what a target found: annotations at files
// and lines, the summary of a job, and outputs of a step. Elsewhere it does nothing.
package actions

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/printable"
)

// The variables that the runner sets:
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
const (
	runs    = "GITHUB_ACTIONS"
	summary = "GITHUB_STEP_SUMMARY"
	outputs = "GITHUB_OUTPUT"
)

// place matches a line of an error that names a file and a line, as compilers do, with what
// comes before.
var place = regexp.MustCompile(`^(?:.*?[\s"(])??([^\s:"(]+\.[a-z]+):([1-9][0-9]{0,6})(?::([1-9][0-9]{0,6}))?:? +(\S.*)$`)

// Annotate writes an error as annotations: one for each line of it that names a file and a line,
// at that file and line, and else one without a place. A file is named by its path in its git
// repository, as the page of a change has it. nil is none.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message
func Annotate(w io.Writer, err error) error {
	if err == nil || os.Getenv(runs) != "true" {
		return nil
	}
	var commands []string
	for line := range strings.Lines(err.Error()) {
		match := place.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		file, known := inRepository(match[1])
		if !known {
			continue
		}
		properties := "file=" + property(file) + ",line=" + match[2]
		if match[3] != "" {
			properties += ",col=" + match[3]
		}
		commands = append(commands, "::error "+properties+"::"+data(match[4]))
	}
	if len(commands) == 0 {
		commands = append(commands, "::error::"+data(err.Error()))
	}
	_, err = io.WriteString(w, strings.Join(commands, "\n")+"\n")
	return err
}

// inRepository returns the path of a file in its git repository; false if there is no such
// file, or none.
func inRepository(file string) (string, bool) {
	file, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	for root := filepath.Dir(file); ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, ".git")); err == nil {
			relative, err := filepath.Rel(root, file)
			return filepath.ToSlash(relative), err == nil
		}
		if root == filepath.Dir(root) {
			return "", false
		}
	}
}

// data escapes a message. Everything that is not printed is quoted, except its line breaks,
// which the runner takes as %0A.
func data(message string) string {
	var lines []string
	for line := range strings.Lines(message) {
		lines = append(lines, printable.Text(strings.TrimRight(line, "\r\n")))
	}
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(strings.Join(lines, "\n"))
}

// property escapes the value of a property, which also ends at a comma.
func property(value string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(value))
}

// Summarize adds Markdown to the summary of the job.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
func Summarize(markdown string) error {
	if err := add(summary, markdown+"\n"); err != nil {
		return fmt.Errorf("write the job's summary: %w", err)
	}
	return nil
}

// SummarizeFile adds a file of Markdown to the summary of the job. It adds nothing if there is
// no such file.
func SummarizeFile(path string) error {
	if os.Getenv(summary) == "" {
		return nil
	}
	markdown, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write the job's summary: %w", err)
	}
	return Summarize(string(markdown))
}

// Output sets an output of the step. The value has to be one line.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
func Output(name, value string) error {
	if strings.ContainsAny(value, "\r\n") {
		return fmt.Errorf("set the output %s: its value has more than one line", name)
	}
	if err := add(outputs, name+"="+value+"\n"); err != nil {
		return fmt.Errorf("set the output %s: %w", name, err)
	}
	return nil
}

// add adds a text to the file that a variable names.
func add(variable, text string) error {
	path := os.Getenv(variable)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, text)
	return errors.Join(err, file.Close())
}
