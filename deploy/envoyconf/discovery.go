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
	"google.golang.org/protobuf/types/known/anypb"
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
	packed := b.any("filter", resource)
	if len(b.errs) > 0 {
		return nil, fmt.Errorf("build Envoy filter: %w", errors.Join(b.errs...))
	}
	return response(version, packed)
}

// response is the content of a file that Envoy follows. This does not use the message
// DiscoveryResponse itself, whose package depends on gRPC.
func response(version string, packed ...*anypb.Any) ([]byte, error) {
	resources := []json.RawMessage{}
	for _, p := range packed {
		resource, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("marshal Envoy resource: %w", err)
		}
		resources = append(resources, resource)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(map[string]any{"version_info": version, "resources": resources})
	return out.Bytes(), err
}

// ListenersFile is the file with the listeners in the folder BuildOptions.Dynamic. It and
// ClustersFile are in folders of their own, because Envoy is notified of each file that appears there. They must be
// there when Envoy starts, and are replaced by renaming.
func ListenersFile(dir string) string { return filepath.Join(dir, "listeners", "listeners.json") }

// ClustersFile is the file with the clusters: see ListenersFile.
func ClustersFile(dir string) string { return filepath.Join(dir, "clusters", "clusters.json") }

// Dynamic returns the content of ListenersFile and ClustersFile: the listeners and clusters of
// options, as JSON. Envoy has to have the clusters before it gets the listeners. Without options
// there are none. Envoy's /config_dump shows version. Other errors are Build's.
func Dynamic(o *BuildOptions, version string) (listeners, clusters []byte, err error) {
	var packedListeners, packedClusters []*anypb.Any
	if o != nil {
		bootstrap, err := Build(*o)
		if err != nil {
			return nil, nil, err
		}
		b := builder{}
		for _, l := range bootstrap.StaticResources.Listeners {
			packedListeners = append(packedListeners, b.any("listener", l))
		}
		for _, c := range bootstrap.StaticResources.Clusters {
			if c.Name != UpstreamCluster { // which the bootstrap has
				packedClusters = append(packedClusters, b.any("cluster", c))
			}
		}
		if err := errors.Join(b.errs...); err != nil {
			return nil, nil, err
		}
	}
	if listeners, err = response(version, packedListeners...); err != nil {
		return nil, nil, err
	}
	clusters, err = response(version, packedClusters...)
	return listeners, clusters, err
}

// followed is a file that Envoy follows.
func (b *builder) followed(field, path string) *corev3.ConfigSource {
	if !filepath.IsAbs(path) {
		b.errorf("%s.path: %q is not absolute; Envoy would look for it in the directory it was started in", field, path)
	}
	return &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{
			PathConfigSource: &corev3.PathConfigSource{Path: path},
		},
	}
}

func (b *builder) discovered(field string, f Filter, source Discovered) *hcmv3.HttpFilter {
	b.discovers = true
	if f.Name == "" {
		b.errorf("%s.name: missing; the file's content is found by it", field)
	}
	if !reflect.DeepEqual(f, Filter{Name: f.Name, Source: source}) {
		b.errorf("%s: what is discovered has its configuration in %s; give a name and the path here, and all else to Discovery", field, source.Path)
	}
	return &hcmv3.HttpFilter{
		Name: f.Name,
		ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
			ConfigSource: b.followed(field+".source", source.Path),
			TypeUrls:     []string{typeWasm},
		}},
	}
}
