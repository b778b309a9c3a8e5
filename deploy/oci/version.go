package oci

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// ParseVersion reads a version that can be published: a semantic version with
// all three numbers, perhaps a pre-release, and neither a leading v nor build
// metadata.
//
// Reference: https://semver.org/spec/v2.0.0.html
func ParseVersion(text string) (*semver.Version, error) {
	v, err := semver.StrictNewVersion(text)
	if err != nil {
		if _, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v")); err == nil {
			return nil, fmt.Errorf("version %q: write it without the v: %s", text, strings.TrimPrefix(text, "v"))
		}
		return nil, fmt.Errorf("version %q is not a semantic version; write three numbers such as 1.4.0, or 1.4.0-rc.1 for a pre-release", text)
	}
	if v.Metadata() != "" {
		return nil, fmt.Errorf("version %q: a tag cannot hold build metadata, and versions that differ in nothing else count as equal; leave +%s out", text, v.Metadata())
	}
	if tag := Compat.tag(text); len(tag) > maxTag {
		return nil, fmt.Errorf("version %q is too long: the tag %s would have more than %d characters", text, tag, maxTag)
	}
	return v, nil
}

// maxTag is how long a tag may be.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
const maxTag = 128

// movingTags are the tags that stand for the newest version of a range, the
// narrowest first. A pre-release has none.
func movingTags(v *semver.Version) []string {
	if v.Prerelease() != "" {
		return nil
	}
	return []string{fmt.Sprintf("%d.%d", v.Major(), v.Minor()), fmt.Sprint(v.Major()), "latest"}
}

// movingTag matches what movingTags returns.
var movingTag = regexp.MustCompile(`^(latest|(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))?)$`)

// tagKind is what a tag in a filter's repository means.
type tagKind struct {
	shape   Shape
	version *semver.Version // of a version tag
	moving  string          // of a moving tag, without the shape's prefix
}

// parseTag reads a tag that Slipway writes. Everything else, such as the fallback
// tags of referrers, gives ok == false.
func parseTag(tag string) (kind tagKind, ok bool) {
	kind.shape = Artifact
	for _, shape := range []Shape{Compat, CNCF} {
		if rest, found := strings.CutPrefix(tag, shape.tag("")); found {
			kind.shape, tag = shape, rest
		}
	}
	if movingTag.MatchString(tag) {
		kind.moving = tag
		return kind, true
	}
	v, err := ParseVersion(tag)
	kind.version = v
	return kind, err == nil
}
