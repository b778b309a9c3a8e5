package envoyconf

import (
	"bytes"
	"encoding/json"
	"fmt"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"
)

// JSON returns b as indented JSON with the field names of Envoy's
// documentation. The same bootstrap always gives the same bytes.
func JSON(b *bootstrapv3.Bootstrap) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("marshal Envoy bootstrap: %w", err)
	}
	// protojson varies its white space on purpose, so that nobody depends on it.
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("marshal Envoy bootstrap: %w", err)
	}
	return append(out.Bytes(), '\n'), nil
}

// YAML returns b as YAML with the field names of Envoy's documentation, keys
// sorted. The same bootstrap always gives the same bytes.
func YAML(b *bootstrapv3.Bootstrap) ([]byte, error) {
	raw, err := JSON(b)
	if err != nil {
		return nil, err
	}
	out, err := yaml.JSONToYAML(raw)
	if err != nil {
		return nil, fmt.Errorf("marshal Envoy bootstrap: %w", err)
	}
	return out, nil
}
