package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/build"
)

// The section that makes the second release's bytes others than the first one's. Every runtime
// passes over a custom section that it does not know:
// https://webassembly.github.io/spec/core/appendix/custom.html
const (
	sectionName    = "slipway.rollout"
	sectionContent = "release " + Second
)

// secondRelease writes the modules of the second release into dir, and returns them. They do
// what those of the first release do, and have other digests.
func secondRelease(modules []build.Module, dir string) ([]build.Module, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// Both lengths fit into one byte.
	section := append([]byte{0, byte(1 + len(sectionName) + len(sectionContent)), byte(len(sectionName))}, sectionName+sectionContent...)
	second := make([]build.Module, len(modules))
	for i, m := range modules {
		content, err := os.ReadFile(m.Path)
		if err != nil {
			return nil, err
		}
		content = append(content, section...)
		m.Path = filepath.Join(dir, m.Name+".wasm")
		if err := os.WriteFile(m.Path, content, 0o600); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		m.WasmSHA256, m.Size = hex.EncodeToString(sum[:]), int64(len(content))
		second[i] = m
	}
	return second, nil
}
