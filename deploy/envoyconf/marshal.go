package envoyconf

import (
	"fmt"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"
)

// YAML returns b as YAML with the field names of Envoy's documentation, keys
// sorted. The same bootstrap always gives the same bytes.
func YAML(b *bootstrapv3.Bootstrap) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(b)
	var out []byte
	if err == nil {
		out, err = yaml.JSONToYAML(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("marshal Envoy bootstrap: %w", err)
	}
	return out, nil
}
