package envoyconf

import (
	"cmp"
	"errors"
	"fmt"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Render returns the bootstrap that o describes as YAML, ready for Envoy to start with. Its
// errors are Build's and YAML's.
func Render(o BuildOptions) ([]byte, error) {
	bootstrap, err := Build(o)
	if err != nil {
		return nil, err
	}
	return YAML(bootstrap)
}

// Build returns the bootstrap that o describes, or an error that joins one
// line for each mistake in o; each line begins with the field at fault.
func Build(o BuildOptions) (*bootstrapv3.Bootstrap, error) {
	b := builder{clusters: map[string]bool{}}

	b.addCluster("upstream", Cluster{Name: UpstreamCluster, Address: o.Upstream})
	for i, c := range o.Clusters {
		b.addCluster(fmt.Sprintf("clusters[%d]", i), c)
	}
	if len(o.Listeners) == 0 {
		o.Listeners = []Listener{{}}
	}
	var listeners []*listenerv3.Listener
	names := map[string]bool{}
	for i, l := range o.Listeners {
		field := fmt.Sprintf("listeners[%d]", i)
		l.Name = cmp.Or(l.Name, DefaultListener)
		if names[l.Name] {
			b.errorf("%s.name: %q is used twice; give each listener its own name", field, l.Name)
		}
		names[l.Name] = true
		listeners = append(listeners, b.listener(field, l))
	}

	bootstrap := &bootstrapv3.Bootstrap{
		Admin: &bootstrapv3.Admin{Address: b.bindAddress("admin", o.Admin)},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Listeners: listeners,
			Clusters:  b.messages,
		},
	}
	if o.FlushOnAdmin {
		bootstrap.StatsFlush = &bootstrapv3.Bootstrap_StatsFlushOnAdmin{StatsFlushOnAdmin: true}
	}
	if o.Dynamic != "" {
		b.discovers = true
		bootstrap.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
			LdsConfig: b.followed("dynamic", ListenersFile(o.Dynamic)),
			CdsConfig: b.followed("dynamic", ClustersFile(o.Dynamic)),
		}
	}
	if b.discovers {
		bootstrap.Node = &corev3.Node{Id: nodeName, Cluster: nodeName}
	}
	b.validate("bootstrap", bootstrap)
	if len(b.errs) > 0 {
		return nil, fmt.Errorf("build Envoy bootstrap: %w", errors.Join(b.errs...))
	}
	return bootstrap, nil
}

// builder collects the parts that Build makes, and every mistake on the way, so that one run
// reports them all.
type builder struct {
	errs     []error
	messages []*clusterv3.Cluster
	clusters map[string]bool

	discovers bool // whether a filter is Discovered
}

// nodeName is Envoy's name for itself when it discovers a configuration. Without a name it
// refuses to discover anything, even from a file.
const nodeName = "slipway"

func (b *builder) errorf(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

// validate applies the rules of Envoy's own API definition.
func (b *builder) validate(field string, m proto.Message) {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			b.errorf("%s: %w", field, err)
		}
	}
}

// any packs m. It validates m first, because Bootstrap's own validation stops at an Any.
func (b *builder) any(field string, m proto.Message) *anypb.Any {
	b.validate(field, m)
	packed, err := anypb.New(m)
	if err != nil {
		b.errorf("%s: %w", field, err)
	}
	return packed
}

func (b *builder) listener(field string, l Listener) *listenerv3.Listener {
	l.Cluster = cmp.Or(l.Cluster, UpstreamCluster)
	if !b.clusters[l.Cluster] {
		b.errorf("%s.cluster: there is no cluster %q; add it to the clusters", field, l.Cluster)
	}
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix: "ingress_http",
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name: "local_route",
			VirtualHosts: []*routev3.VirtualHost{{
				Name:    "all",
				Domains: []string{"*"},
				Routes: []*routev3.Route{{
					Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
					Action: &routev3.Route_Route{Route: &routev3.RouteAction{
						ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: l.Cluster},
					}},
				}},
			}},
		}},
		HttpFilters: b.httpFilters(field, l.Filters),
	}
	if l.AccessLog {
		manager.AccessLog = []*accesslogv3.AccessLog{{
			Name:       "envoy.access_loggers.stdout",
			ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: b.any(field+".access_log", &streamv3.StdoutAccessLog{})},
		}}
	}
	return &listenerv3.Listener{
		Name:             l.Name,
		Address:          b.bindAddress(field, l.Address),
		TrafficDirection: l.TrafficDirection,
		FilterChains: []*listenerv3.FilterChain{{
			Filters: []*listenerv3.Filter{{
				Name:       "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: b.any(field, manager)},
			}},
		}},
	}
}

// httpFilters returns the chain of filters, with the router as its required end.
func (b *builder) httpFilters(field string, filters []Filter) []*hcmv3.HttpFilter {
	var chain []*hcmv3.HttpFilter
	names := map[string]bool{}
	for i, f := range filters {
		field := fmt.Sprintf("%s.filters[%d]", field, i)
		if names[f.Name] {
			b.errorf("%s.name: %q is used twice; give each filter of the chain its own name", field, f.Name)
		}
		names[f.Name] = true
		if filter := b.filter(field, f); filter != nil {
			chain = append(chain, filter)
		}
	}
	return append(chain, &hcmv3.HttpFilter{
		Name:       "envoy.filters.http.router",
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: b.any("router", &routerv3.Router{})},
	})
}
