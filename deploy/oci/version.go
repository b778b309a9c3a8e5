package oci

import (
	"regexp"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/version"
)

// movingTag matches the moving tags, which version.Version.Ranges returns: they stand
// for the newest version of a range.
var movingTag = regexp.MustCompile(`^(latest|(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))?)$`)

// tagKind is the meaning of a tag in a filter's repository.
type tagKind struct {
	shape   Shape
	version version.Version // of a version tag
	moving  string          // of a moving tag, without the shape's prefix
}

// parseTag reads a tag that Slipway writes. For other tags, such as the fallback tags
// of referrers, ok is false.
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
	v, err := version.Parse(tag)
	kind.version = v
	return kind, err == nil
}
