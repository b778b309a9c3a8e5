package envoyconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

// typeWasm is the type of a wasm filter's configuration.
const typeWasm = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"

// Discovery returns the content of the file of a Discovered: the configuration of the filter
// with that name, as JSON. Envoy's /config_dump shows version. The module must be Local,
// because Envoy gets no new clusters in this way. Other errors are Build's.
func Discovery(f Filter, version string) ([]byte, error) {
	b := builder{}
	if _, ok := f.Source.(Local); !ok {
		b.errorf("filter.source: is %T; give Local (path)", f.Source)
		f.Source = Local{Path: "/"} // reported
	}
	resource := &corev3.TypedExtensionConfig{Name: f.Name}
	if wasm := b.wasm("filter", f); wasm != nil {
		resource.TypedConfig = b.any("filter", wasm)
	}
	// This does not use the message DiscoveryResponse itself, whose package depends on gRPC.
	response, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(b.any("filter", resource))
	if err := errors.Join(append(b.errs, err)...); err != nil {
		return nil, fmt.Errorf("build Envoy filter: %w", err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(map[string]any{"version_info": version, "resources": []json.RawMessage{response}})
	return out.Bytes(), err
}

func (b *builder) discovered(field string, f Filter, source Discovered) *hcmv3.HttpFilter {
	b.discovers = true
	if f.Name == "" {
		b.errorf("%s.name: missing; the file's content is found by it", field)
	}
	if !filepath.IsAbs(source.Path) {
		b.errorf("%s.source.path: %q is not absolute; Envoy would look for it in the directory it was started in", field, source.Path)
	}
	if !reflect.DeepEqual(f, Filter{Name: f.Name, Source: source}) {
		b.errorf("%s: what is discovered has its configuration in %s; give a name and the path here, and all else to Discovery", field, source.Path)
	}
	return &hcmv3.HttpFilter{
		Name: f.Name,
		ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
			ConfigSource: &corev3.ConfigSource{
				ResourceApiVersion: corev3.ApiVersion_V3,
				ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{
					PathConfigSource: &corev3.PathConfigSource{Path: source.Path},
				},
			},
			TypeUrls: []string{typeWasm},
		}},
	}
}
