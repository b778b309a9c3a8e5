package objects

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// marshal writes objects as YAML documents below a comment, keys sorted.
func marshal(comment string, objects ...any) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(comment) {
		b.WriteString("# " + strings.TrimRight(line, "\n") + "\n")
	}
	for i, object := range objects {
		content, err := clean(object)
		if err != nil {
			return "", fmt.Errorf("write %T as YAML: %w", object, err)
		}
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(content)
	}
	return b.String(), nil
}

// clean leaves out what only a cluster fills in, and writes what protobuf's JSON
// leaves out because it is the first value of an enumeration.
func clean(object any) ([]byte, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	delete(tree, "status")
	for _, at := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		delete(descend(tree, at...), "creationTimestamp")
	}
	if explicit, ok := object.(explicit); ok {
		in := descend(tree, explicit.at...)
		if _, set := in[explicit.field]; !set {
			in[explicit.field] = explicit.value
		}
	}
	return yaml.Marshal(tree)
}

// explicit is an object with one field that has to be written although it has the
// value that counts when it is missing.
type explicit struct {
	object any
	at     []string
	field  string
	value  string
}

func (e explicit) MarshalJSON() ([]byte, error) { return json.Marshal(e.object) }

// descend returns the object at a path, or an empty one if there is none.
func descend(tree map[string]any, at ...string) map[string]any {
	for _, name := range at {
		inner, ok := tree[name].(map[string]any)
		if !ok {
			return map[string]any{}
		}
		tree = inner
	}
	return tree
}

// toStruct turns a typed message into the form that an EnvoyFilter's patch has,
// with the field names of Envoy's documentation.
func toStruct(m proto.Message) (*structpb.Struct, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	s := &structpb.Struct{}
	return s, protojson.Unmarshal(raw, s)
}

// kustomization adds the file that makes a folder one that kustomize builds.
func (o *output) kustomization(folder, comment string, resources []string) error {
	content, err := marshal(comment, &types.Kustomization{
		TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources: resources,
	})
	if err != nil {
		return err
	}
	o.files = append(o.files, manifest.File{Path: path.Join(folder, kustomizationFile), Content: content})
	return nil
}
