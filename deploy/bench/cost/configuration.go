package cost

import (
	"fmt"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

// The listeners of each Envoy.
const (
	direct  = "direct"   // Envoy answers by itself
	proxied = "upstream" // httpbin answers
)

// configuration is a bootstrap with a listener for each kind of traffic.
func configuration(c contestant, httpbin int) ([]byte, error) {
	bootstrap, err := envoyconf.Build(envoyconf.BuildOptions{
		Listeners: []envoyconf.Listener{{Name: direct, Filters: c.filters}, {Name: proxied, Filters: c.filters}},
		Upstream:  envoyconf.Address{Port: httpbin},
		Clusters:  c.clusters,
	})
	if err != nil {
		return nil, err
	}
	if err := adapt(bootstrap, c.native); err != nil {
		return nil, err
	}
	return envoyconf.YAML(bootstrap)
}

// adapt puts Envoy's own filter first, and makes the listener direct answer by itself.
// envoyconf does neither, because it is about wasm filters.
func adapt(bootstrap *bootstrapv3.Bootstrap, native proto.Message) error {
	for _, listener := range bootstrap.GetStaticResources().GetListeners() {
		packed := listener.FilterChains[0].Filters[0].GetTypedConfig()
		manager := &hcmv3.HttpConnectionManager{}
		if err := packed.UnmarshalTo(manager); err != nil {
			return fmt.Errorf("adapt Envoy bootstrap: %w", err)
		}
		if native != nil {
			config, err := anypb.New(native)
			if err != nil {
				return fmt.Errorf("adapt Envoy bootstrap: %w", err)
			}
			manager.HttpFilters = slices.Insert(manager.HttpFilters, 0, &hcmv3.HttpFilter{
				Name:       "native",
				ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config},
			})
		}
		if listener.Name == direct {
			manager.GetRouteConfig().VirtualHosts[0].Routes[0].Action = &routev3.Route_DirectResponse{
				DirectResponse: &routev3.DirectResponseAction{
					Status: 200,
					Body:   &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "hello\n"}},
				},
			}
		}
		if err := packed.MarshalFrom(manager); err != nil {
			return fmt.Errorf("adapt Envoy bootstrap: %w", err)
		}
	}
	return nil
}
