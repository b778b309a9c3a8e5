// Package version is the version of a release: its text, its git tag, and the filter to which
// the tag limits the release.
//
// A version becomes a tag in a registry, a folder in a storage and a label in a cluster. If
// one of them accepted a version and another refused it, half a release would be published. So
// the text is read once, where it enters, and everything else gets the value.
package version

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Version is a version that can be published. The zero value means that there is none.
type Version struct {
	text   string
	filter string // of a tag for one filter
	semver semver.Version
}

// ErrOther says that a text is neither a version nor a tag. It may be something else.
var ErrOther = errors.New("neither a version nor a git tag")

// ErrOtherFilters says that a git tag is for one filter, and that other filters were asked
// for.
var ErrOtherFilters = errors.New("others are asked for")

// maxLength is the maximum length of a version. The tightest limit is that of a label's value
// in a cluster; a registry's tag has room for 128 characters.
//
// Reference: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
const maxLength = 63

// Parse reads a version that can be published: a semantic version with all three numbers and
// an optional pre-release, without a leading v and without build metadata.
//
// Reference: https://semver.org/spec/v2.0.0.html
func Parse(text string) (Version, error) {
	v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err != nil {
		return Version{}, fmt.Errorf("version %q is not a semantic version; write three numbers such as 1.4.0, or 1.4.0-rc.1 for a pre-release", text)
	}
	// All that is wrong is said at once, so that the version that is left is right.
	var wrong []string
	right, found := strings.CutPrefix(text, "v")
	if found {
		wrong = append(wrong, "write it without the v")
	}
	if v.Metadata() != "" {
		right = strings.TrimSuffix(right, "+"+v.Metadata())
		wrong = append(wrong, fmt.Sprintf("leave +%s out, because a registry's tag cannot hold build metadata, and versions that differ in nothing else count as equal", v.Metadata()))
	}
	if trimmed := strings.TrimRight(right, "-"); trimmed != right {
		right = trimmed
		wrong = append(wrong, "leave out the hyphen at its end, which a label in a cluster may not have there")
	}
	if len(right) > maxLength {
		return Version{}, fmt.Errorf("version %q is too long: a label in a cluster has room for %d characters", text, maxLength)
	}
	if len(wrong) > 0 {
		return Version{}, fmt.Errorf("version %q: %s: %s", text, strings.Join(wrong, "; "), right)
	}
	return Version{text: text, semver: *v}, nil
}

// MustParse does what Parse does for a version in the program's own text. It panics if the
// version is wrong.
func MustParse(text string) Version {
	v, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return v
}

// ParseTag reads the git tag of a release, in the form in which Go names versions of modules:
// "v1.4.0" is a release of all filters, "headers/v1.4.0" is a release of one.
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

// Read reads a version or its git tag, and returns the filters to release: the filter in the
// tag or, without one, the filters that were asked for. If both are given and differ, it
// fails. If the text has neither form, the error is ErrOther, and says what is wrong with the
// text as a version or a tag.
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
		return Version{}, nil, fmt.Errorf("tag %s belongs to %s, and %w: %s", text, v.filter, ErrOtherFilters, strings.Join(filters, ", "))
	}
	return v, []string{v.filter}, nil
}

// other is an error of Parse or ParseTag that also matches ErrOther.
type other struct{ error }

func (o *other) Is(target error) bool { return target == ErrOther }
func (o *other) Unwrap() error        { return o.error }

// String returns the version's text, such as "1.4.0".
func (v Version) String() string { return v.text }

// Tag returns the git tag of the version: for one filter if it was read from such a tag,
// otherwise for all.
func (v Version) Tag() string {
	if v.filter == "" {
		return "v" + v.text
	}
	return v.filter + "/v" + v.text
}

// Filter returns the filter in the tag that the version was read from; empty if there was
// none.
func (v Version) Filter() string { return v.filter }

// IsZero reports whether there is no version.
func (v Version) IsZero() bool { return v.text == "" }

// Prerelease reports whether the version is a pre-release, such as 1.4.0-rc.1.
func (v Version) Prerelease() bool { return v.semver.Prerelease() != "" }

// Ranges returns the ranges that contain the version, the narrowest first: "1.4", "1" and
// "latest". No range contains a pre-release.
func (v Version) Ranges() []string {
	if v.Prerelease() {
		return nil
	}
	return []string{fmt.Sprintf("%d.%d", v.semver.Major(), v.semver.Minor()), fmt.Sprint(v.semver.Major()), "latest"}
}

// Compare returns a negative number if v is older than the other version, and a positive one
// if it is newer.
func (v Version) Compare(other Version) int { return v.semver.Compare(&other.semver) }

// Equal reports whether two versions are the same, whatever tag they were read from.
func (v Version) Equal(other Version) bool { return v.text == other.text }

// MarshalText writes the version's text.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.text), nil }

// UnmarshalText reads the output of MarshalText.
func (v *Version) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*v = Version{}
		return nil
	}
	*v, err = Parse(string(text))
	return err
}
