package report

import (
	"fmt"
	"strings"
)

// The lines of a README between which the summary of a report stands.
const (
	readmeBegin = "<!-- bench -->\n"
	readmeEnd   = "<!-- /bench -->\n"
)

// Summary is what a README shows of a report, in Markdown. folder is where the
// report's files are, as seen from the README.
func (r *Report) Summary(folder string) string {
	var b strings.Builder
	for _, p := range r.parts() {
		fmt.Fprintf(&b, "%s\n", p.Summary())
	}
	fmt.Fprintf(&b, "[All numbers and plots](%s/bench.md): %s.\n", folder, r.where())
	return b.String()
}

// inReadme returns a README with another summary.
func inReadme(readme, summary string) (string, error) {
	before, rest, begins := strings.Cut(readme, readmeBegin)
	_, after, ends := strings.Cut(rest, readmeEnd)
	if !begins || !ends {
		return "", fmt.Errorf("the README lacks the lines %q and %q, between which the numbers stand", readmeBegin, readmeEnd)
	}
	return before + readmeBegin + summary + readmeEnd + after, nil
}
