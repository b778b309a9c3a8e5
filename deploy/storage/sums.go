package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// sumLine is one line of a checksum file.
type sumLine struct {
	sha256 string
	name   string
}

func (l sumLine) String() string { return l.sha256 + "  " + l.name + "\n" }

// parseSums reads a checksum file as "sha256sum" writes it, in text or binary mode.
func parseSums(data []byte) ([]sumLine, error) {
	var lines []sumLine
	for text := range strings.Lines(string(data)) {
		text = strings.TrimSuffix(text, "\n")
		sum, name, ok := strings.Cut(text, " ")
		if ok {
			ok = strings.HasPrefix(name, " ") || strings.HasPrefix(name, "*")
		}
		if !ok || !isSHA256(sum) || len(name) < 2 {
			return nil, finding.Mismatch(fmt.Errorf("%q is no line of sha256sum", shorten(text)))
		}
		if slices.ContainsFunc(lines, func(l sumLine) bool { return l.name == name[1:] }) {
			return nil, finding.Mismatch(fmt.Errorf("it names %q twice", shorten(name[1:])))
		}
		lines = append(lines, sumLine{sum, name[1:]})
	}
	if len(lines) == 0 {
		return nil, finding.Mismatch(errors.New("it is empty"))
	}
	return lines, nil
}

// parseReleaseSums reads the object under SumsKey. Each of its lines is that of a module of the
// version; its filters are returned in the order of the lines.
func parseReleaseSums(data []byte, v version.Version) (lines []sumLine, filters []string, err error) {
	if lines, err = parseSums(data); err != nil {
		return nil, nil, err
	}
	for _, line := range lines {
		filter, _, _ := strings.Cut(line.name, "/")
		if checkNames(v, []string{filter}) != nil || line.name != ModuleKey(filter, v.String()) {
			return nil, nil, finding.Mismatch(fmt.Errorf("it names %q, which is not a module of version %s", shorten(line.name), v))
		}
		filters = append(filters, filter)
	}
	return lines, filters, nil
}

// parseSumFile reads the object under SumKey and returns the sum in it.
func parseSumFile(data []byte, filter string) (string, error) {
	lines, err := parseSums(data)
	if err != nil {
		return "", err
	}
	if want := filter + ".wasm"; len(lines) != 1 || lines[0].name != want {
		return "", finding.Mismatch(fmt.Errorf("it has the sum of %q, and should have that of %s alone", lines[0].name, want))
	}
	return lines[0].sha256, nil
}

// addSums adds lines to the object under SumsKey. The lines name objects by their path below
// the storage's address. A line is never changed. name is the object's address, for error
// messages.
func addSums(old []byte, v version.Version, lines []sumLine, name string) ([]byte, error) {
	var all []sumLine
	if len(old) > 0 {
		var err error
		if all, _, err = parseReleaseSums(old, v); err != nil {
			return nil, err
		}
	}
	for _, line := range lines {
		i := slices.IndexFunc(all, func(l sumLine) bool { return l.name == line.name })
		if i >= 0 && all[i].sha256 != line.sha256 {
			return nil, &immutable.Conflict{Name: name + ": " + line.name, Kind: "wasm sha256", Published: all[i].sha256, Ours: line.sha256}
		}
		if i < 0 {
			all = append(all, line)
		}
	}
	slices.SortFunc(all, func(a, b sumLine) int { return strings.Compare(a.name, b.name) })
	var data bytes.Buffer
	for _, l := range all {
		data.WriteString(l.String())
	}
	return data.Bytes(), nil
}

// isSHA256 reports whether text is a sha256 in lowercase hex.
func isSHA256(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// shorten keeps text from a server from filling the screen.
func shorten(text string) string {
	if len(text) > 80 {
		return text[:80] + "…"
	}
	return text
}
