// Package versions says what a version is, and which git tag stands for it.
//
// A version becomes a tag in a registry, a folder in a storage and a label in a
// cluster. What one of them took and another refused would be half a release, so
// all of them ask here.
package versions

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// maxLength is how long a version may be. The shortest of all places is a label's
// value in a cluster; a registry's tag has room for 128 characters.
//
// Reference: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
const maxLength = 63

// Parse reads a version that can be published: a semantic version with all three
// numbers, perhaps a pre-release, and neither a leading v nor build metadata.
//
// Reference: https://semver.org/spec/v2.0.0.html
func Parse(text string) (*semver.Version, error) {
	v, err := semver.StrictNewVersion(text)
	if err != nil {
		if _, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v")); err == nil {
			return nil, fmt.Errorf("version %q: write it without the v: %s", text, strings.TrimPrefix(text, "v"))
		}
		return nil, fmt.Errorf("version %q is not a semantic version; write three numbers such as 1.4.0, or 1.4.0-rc.1 for a pre-release", text)
	}
	if v.Metadata() != "" {
		return nil, fmt.Errorf("version %q: a registry's tag cannot hold build metadata, and versions that differ in nothing else count as equal; leave +%s out", text, v.Metadata())
	}
	if len(text) > maxLength {
		return nil, fmt.Errorf("version %q is too long: a label in a cluster has room for %d characters", text, maxLength)
	}
	return v, nil
}

// ParseTag reads the git tag of a release, as Go names the versions of modules:
// "v1.4.0" is that of all filters and gives no filter, "headers/v1.4.0" that of one.
//
// Reference: https://go.dev/ref/mod#vcs-version
func ParseTag(tag string) (filter string, version *semver.Version, err error) {
	rest := tag
	if name, after, found := strings.Cut(tag, "/"); found {
		if err := catalog.CheckName(name); err != nil {
			return "", nil, fmt.Errorf("tag %q: %w", tag, err)
		}
		filter, rest = name, after
	}
	text, found := strings.CutPrefix(rest, "v")
	if !found {
		return "", nil, fmt.Errorf("tag %q: a release's tag is v1.4.0, or headers/v1.4.0 for one filter", tag)
	}
	if version, err = Parse(text); err != nil {
		return "", nil, fmt.Errorf("tag %q: %w", tag, err)
	}
	return filter, version, nil
}

// Tag is the git tag of a version: of all filters, or of the one that is named.
func Tag(filter, version string) string {
	if filter == "" {
		return "v" + version
	}
	return filter + "/v" + version
}
