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

// marshal writes objects as YAML documents below a comment, with sorted keys.
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

// clean removes the fields that only a cluster fills in, and adds fields that protobuf's JSON
// leaves out because they hold the first value of an enumeration.
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

// explicit is an object with one field that must be written although it holds the default
// value.
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

// toStruct turns a typed message into the form of an EnvoyFilter's patch, with the field names
// of Envoy's documentation.
func toStruct(m proto.Message) (*structpb.Struct, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	s := &structpb.Struct{}
	return s, protojson.Unmarshal(raw, s)
}

// kustomization adds the file with which kustomize can build a folder.
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
