package attest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Predicate types of the statements.
const (
	// PredicateSignature is what "cosign sign" signs: a statement that says no more
	// than that the subject is signed.
	//
	// Reference: https://github.com/sigstore/cosign/blob/v3.1.3/pkg/types/predicate.go
	PredicateSignature = "https://sigstore.dev/cosign/sign/v1"
	// PredicateProvenance says from what and how the subject was built.
	//
	// Reference: https://slsa.dev/spec/v1.1/provenance
	PredicateProvenance = "https://slsa.dev/provenance/v1"
	// PredicateSBOM is a CycloneDX bill of materials.
	//
	// Reference: https://github.com/in-toto/attestation/blob/main/spec/predicates/cyclonedx.md
	PredicateSBOM = "https://cyclonedx.org/bom"
)

// predicates are the statements about each manifest, in the order in which they are
// made, with their names for people.
var predicates = []struct{ name, uri string }{
	{"signature", PredicateSignature},
	{"provenance", PredicateProvenance},
	{"sbom", PredicateSBOM},
}

// statementType is the version of the statement's form.
//
// Reference: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
const statementType = "https://in-toto.io/Statement/v1"

// Statement is an in-toto statement: something that is said about its subjects. What
// is signed is the JSON of this type, which is the same each time; in-toto's own type
// is protobuf's, whose JSON is not: see RATIONALE.md.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Resource      `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Resource is in-toto's ResourceDescriptor, as far as it is used here.
//
// Reference: https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
type Resource struct {
	Name string `json:"name,omitempty"`
	URI  string `json:"uri,omitempty"`
	// Digest maps an algorithm, such as "sha256", to a digest in hex.
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// newStatement says something about subjects, as JSON.
func newStatement(predicateType string, subjects []Resource, predicate any) ([]byte, error) {
	content, err := json.Marshal(predicate)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Statement{Type: statementType, Subject: subjects, PredicateType: predicateType, Predicate: content})
}

// names reports whether a digest, "sha256:…", is one of the statement's subjects.
func (s Statement) names(digest string) bool {
	algorithm, hex, _ := strings.Cut(digest, ":")
	for _, subject := range s.Subject {
		if hex != "" && subject.Digest[algorithm] == hex {
			return true
		}
	}
	return false
}

func parseStatement(data []byte) (Statement, error) {
	var s Statement
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read the statement: %w", err)
	}
	if s.Type != statementType {
		return s, fmt.Errorf("it is a statement of type %q, not %s", s.Type, statementType)
	}
	return s, nil
}
