// Package version is the version of a release: its text, the git tag that stands for it,
// and the filters that the tag narrows the release to.
//
// A version becomes a tag in a registry, a folder in a storage and a label in a
// cluster. What one of them took and another refused would be half a release. So it is
// read once, where it enters, and everything else gets the value.
package version

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Version is a version that can be published. The zero value is none.
type Version struct {
	text   string
	filter string // of a tag for one filter
	semver semver.Version
}

// ErrOther says that a text is neither a version nor a tag, and may be something else.
var ErrOther = errors.New("neither a version nor a git tag")

// ErrOtherFilters says that a git tag is one filter's, and that others are asked for.
var ErrOtherFilters = errors.New("others are asked for")

// maxLength is how long a version may be. The shortest of all places is a label's
// value in a cluster; a registry's tag has room for 128 characters.
//
// Reference: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
const maxLength = 63

// Parse reads a version that can be published: a semantic version with all three
// numbers, perhaps a pre-release, and neither a leading v nor build metadata.
//
// Reference: https://semver.org/spec/v2.0.0.html
func Parse(text string) (Version, error) {
	v, err := semver.StrictNewVersion(text)
	if err != nil {
		if _, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v")); err == nil {
			return Version{}, fmt.Errorf("version %q: write it without the v: %s", text, strings.TrimPrefix(text, "v"))
		}
		return Version{}, fmt.Errorf("version %q is not a semantic version; write three numbers such as 1.4.0, or 1.4.0-rc.1 for a pre-release", text)
	}
	if v.Metadata() != "" {
		return Version{}, fmt.Errorf("version %q: a registry's tag cannot hold build metadata, and versions that differ in nothing else count as equal; leave +%s out", text, v.Metadata())
	}
	if len(text) > maxLength {
		return Version{}, fmt.Errorf("version %q is too long: a label in a cluster has room for %d characters", text, maxLength)
	}
	return Version{text: text, semver: *v}, nil
}

// MustParse is Parse of a version that the program itself names. It panics on any other.
func MustParse(text string) Version {
	v, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return v
}

// ParseTag reads the git tag of a release, as Go names the versions of modules:
// "v1.4.0" is that of all filters, "headers/v1.4.0" that of one.
//
// Reference: https://go.dev/ref/mod#vcs-version
func ParseTag(tag string) (Version, error) {
	filter, rest, found := strings.Cut(tag, "/")
	if !found {
		filter, rest = "", tag
	} else if err := catalog.CheckName(filter); err != nil {
		return Version{}, fmt.Errorf("tag %q: %w", tag, err)
	}
	text, found := strings.CutPrefix(rest, "v")
	if !found {
		return Version{}, fmt.Errorf("tag %q: a release's tag is v1.4.0, or headers/v1.4.0 for one filter", tag)
	}
	v, err := Parse(text)
	if err != nil {
		return Version{}, fmt.Errorf("tag %q: %w", tag, err)
	}
	v.filter = filter
	return v, nil
}

// Read reads a version or the git tag of one, and returns the filters that it is about:
// that of the tag, or else those that were asked for. Both are an error if they differ.
// A text that has the form of neither gives ErrOther, in a chain that says what is wrong
// with it as a version or tag.
func Read(text string, filters []string) (v Version, names []string, err error) {
	if v, err = Parse(text); err == nil {
		return v, filters, nil
	}
	tagged := strings.HasPrefix(text, "v") || strings.Contains(text, "/")
	if tagged {
		v, err = ParseTag(text)
	}
	switch {
	case err != nil:
		return Version{}, nil, &other{err}
	case v.filter == "":
		return v, filters, nil
	case len(filters) > 0 && !slices.Equal(filters, []string{v.filter}):
		return Version{}, nil, fmt.Errorf("tag %s is that of %s, and %w: %s", text, v.filter, ErrOtherFilters, strings.Join(filters, ", "))
	}
	return v, []string{v.filter}, nil
}

// other is an error of Parse or ParseTag that is an ErrOther too.
type other struct{ error }

func (o *other) Is(target error) bool { return target == ErrOther }
func (o *other) Unwrap() error        { return o.error }

// String is the version's text, such as "1.4.0".
func (v Version) String() string { return v.text }

// Tag is the git tag of the version: of all filters, or of the one whose tag was read.
func (v Version) Tag() string {
	if v.filter == "" {
		return "v" + v.text
	}
	return v.filter + "/v" + v.text
}

// Filter is the filter whose tag was read; empty if the version is not that of one.
func (v Version) Filter() string { return v.filter }

// IsZero reports whether there is no version.
func (v Version) IsZero() bool { return v.text == "" }

// Prerelease reports whether the version is a pre-release, such as 1.4.0-rc.1.
func (v Version) Prerelease() bool { return v.semver.Prerelease() != "" }

// Ranges are the ranges of versions that a version is in, the narrowest first: "1.4",
// "1" and "latest". A pre-release is in none.
func (v Version) Ranges() []string {
	if v.Prerelease() {
		return nil
	}
	return []string{fmt.Sprintf("%d.%d", v.semver.Major(), v.semver.Minor()), fmt.Sprint(v.semver.Major()), "latest"}
}

// Compare is negative if v is older than another version, and positive if it is newer.
func (v Version) Compare(other Version) int { return v.semver.Compare(&other.semver) }

// Equal reports whether two versions are the same, whatever tag they were read from.
func (v Version) Equal(other Version) bool { return v.text == other.text }

// MarshalText writes the version's text.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.text), nil }

// UnmarshalText reads what MarshalText wrote.
func (v *Version) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*v = Version{}
		return nil
	}
	*v, err = Parse(string(text))
	return err
}
