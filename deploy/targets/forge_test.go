package targets

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/verify"
)

// TestForgedOutput: whatever a module or a registry says, it makes no line of its own in what
// the targets print, and nothing that a terminal obeys. The same holds for JSON.
func TestForgedOutput(t *testing.T) {
	project(t)
	const forged = "1.4.0\r\x1b[2K\nok     signature  headers:1.4.0 signed with cosign.pub\x1b[8m\u009b8m\u202e"
	o := wasmtest.Filter()
	o.Custom = forged
	o.Imports = []wasmtest.Func{{Module: "env", Name: forged, Signature: ":i"}}
	o.Exports = append(o.Exports, wasmtest.Func{Name: forged, Signature: ":"})
	file := filepath.Join(t.TempDir(), "forged.wasm")
	write(t, file, string(wasmtest.Encode(o)))

	manifest := &oci.Verification{
		Reference: "ghcr.io/acme/headers:1.4.0", ManifestDigest: forged,
		Annotations: map[string]string{ocispec.AnnotationVersion: forged, oci.AnnotationCompiler: forged},
		Referrers:   []oci.Node{{ArtifactType: forged, Files: []string{forged}, ManifestDigest: forged}},
		Problems:    []string{forged},
	}
	report := &verify.Report{Manifests: []*oci.Verification{manifest}, Checks: []attest.Check{{Subject: forged, What: "manifest", State: attest.Wrong, Detail: forged}}}
	for name, print := range map[string]func(Output) error{
		"inspect": func(o Output) error { return inspectModule(t.Context(), variables.Values{}, file, o) },
		"verify":  func(o Output) error { return printReport(report, o) },
		"list": func(o Output) error {
			return printList([]oci.Listed{{Filter: forged, Tag: forged, Created: forged}}, o)
		},
		"referrers": func(o Output) error { return printTree(oci.Tree{Reference: forged, Referrers: manifest.Referrers}, o) },
	} {
		for _, json := range []bool{false, true} {
			var out strings.Builder
			if err := print(Output{Out: &out, Err: &out, JSON: json}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(strings.TrimSpace(line), "ok ") {
					t.Errorf("%s, JSON %t: it prints the line %q", name, json, line)
				}
				if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%s, JSON %t: a terminal obeys %q", name, json, line)
				}
			}
			if !strings.Contains(out.String(), `signed with cosign.pub`) {
				t.Errorf("%s, JSON %t: it does not show what it found:\n%s", name, json, out.String())
			}
		}
	}
}
