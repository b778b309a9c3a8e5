package oci

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/internal/versions"
)

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
	v, err := versions.Parse(tag)
	kind.version = v
	return kind, err == nil
}
