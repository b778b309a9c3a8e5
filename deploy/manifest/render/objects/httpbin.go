package objects

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"sigs.k8s.io/yaml"
)

// httpbinYAML lacks the namespace and the image.
//
//go:embed httpbin.yaml
var httpbinYAML string

// httpbin is a service that shows a filter's effect: it answers with the request that it got.
func httpbin(namespace, image string) (objects []any, err error) {
	if err := checkImage(image); err != nil {
		return nil, err
	}
	for document := range strings.SplitSeq(httpbinYAML, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return nil, err
		}
		if namespace != "" {
			descend(object, "metadata")["namespace"] = namespace
		}
		if containers, ok := descend(object, "spec", "template", "spec")["containers"].([]any); ok {
			containers[0].(map[string]any)["image"] = image
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func checkImage(image string) error {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return fmt.Errorf("image %q is not an image reference; write one such as mccutchen/go-httpbin:v2.26.0 or …@sha256:…", image)
	}
	_, digested := ref.(reference.Digested)
	tagged, hasTag := ref.(reference.Tagged)
	if !digested && (!hasTag || tagged.Tag() == "latest") {
		return fmt.Errorf("image %q is not pinned; add a tag other than latest, or a digest", image)
	}
	return nil
}
