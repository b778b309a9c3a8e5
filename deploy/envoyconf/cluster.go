package envoyconf

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

const connectTimeout = 5 * time.Second

// addCluster adds a plain cluster. No other cluster may have its name.
func (b *builder) addCluster(field string, c Cluster) {
	switch {
	case c.Name == "":
		b.errorf("%s.name: missing; filters call a cluster by its name", field)
		return
	case b.clusters[c.Name]:
		b.errorf("%s.name: cluster %q exists already; choose another name", field, c.Name)
		return
	}
	b.clusters[c.Name] = true
	b.messages = append(b.messages, b.cluster(field, c))
}

// addRemoteCluster adds the cluster for fetching u, the URL of r, once for each name, and
// returns its name.
func (b *builder) addRemoteCluster(field string, u *url.URL, r Remote) string {
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		port, _ = strconv.Atoi(p) // checked by url.Parse to be digits, by cluster to be in range
	}
	name := r.Cluster
	switch {
	case name == "":
		if name = fmt.Sprintf("wasm_%s_%s_%d", u.Scheme, u.Hostname(), port); b.clusters[name] {
			return name
		}
	case b.clusters[name]:
		b.errorf("%s.cluster: cluster %q exists already; choose another name", strings.TrimSuffix(field, ".url"), name)
		return name
	}
	b.clusters[name] = true

	cluster := b.cluster(field, Cluster{Name: name, Address: Address{Host: u.Hostname(), Port: port}})
	if u.Scheme == "https" {
		cluster.TransportSocket = b.tls(field, u.Hostname(), r.CAFile)
	}
	b.messages = append(b.messages, cluster)
	return name
}

func (b *builder) cluster(field string, c Cluster) *clusterv3.Cluster {
	host := cmp.Or(c.Address.Host, DefaultHost)
	if c.Address.Port < 1 || c.Address.Port > 65535 {
		b.errorf("%s.port: %d is not a port to connect to; give 1 to 65535", field, c.Address.Port)
		c.Address.Port = 1 // reported; keep the API's own rule from repeating it
	}
	discovery := clusterv3.Cluster_STATIC
	if !isIP(host) {
		if !isHostname(host) {
			b.errorf("%s.host: %q is neither an IP address nor a DNS name", field, host)
		}
		discovery = clusterv3.Cluster_STRICT_DNS
	}
	return &clusterv3.Cluster{
		Name:                 c.Name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discovery},
		ConnectTimeout:       durationpb.New(connectTimeout),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: c.Name,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{
				LbEndpoints: []*endpointv3.LbEndpoint{{
					HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
						Endpoint: &endpointv3.Endpoint{Address: socketAddress(host, c.Address.Port)},
					},
				}},
			}},
		},
	}
}

// tls checks the server's certificate and name. Without a CA, Envoy would accept any
// certificate:
// https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/transport_sockets/tls/v3/common.proto
func (b *builder) tls(field, host, caFile string) *corev3.TransportSocket {
	caFile = cmp.Or(caFile, DefaultCAFile)
	san := &tlsv3.SubjectAltNameMatcher{
		SanType: tlsv3.SubjectAltNameMatcher_DNS,
		Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: host}},
	}
	sni := host
	if isIP(host) {
		san.SanType = tlsv3.SubjectAltNameMatcher_IP_ADDRESS
		sni = "" // RFC 6066 section 3: literal addresses are not permitted
	}
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: b.any(field+" TLS", &tlsv3.UpstreamTlsContext{
			Sni: sni,
			CommonTlsContext: &tlsv3.CommonTlsContext{
				ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
					ValidationContext: &tlsv3.CertificateValidationContext{
						TrustedCa:                 &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: caFile}},
						MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{san},
					},
				},
			},
		})},
	}
}

// bindAddress is the address on which Envoy listens: an IP address, because Envoy does not
// resolve names there, and any port.
func (b *builder) bindAddress(field string, a Address) *corev3.Address {
	host := cmp.Or(a.Host, DefaultHost)
	if !isIP(host) {
		b.errorf("%s.host: %q is not an IP address; Envoy listens on addresses such as 127.0.0.1 or 0.0.0.0 only", field, host)
	}
	if a.Port < 0 || a.Port > 65535 {
		b.errorf("%s.port: %d is not a port; give 0 (the kernel chooses) to 65535", field, a.Port)
		a.Port = 0
	}
	return socketAddress(host, a.Port)
}

func socketAddress(host string, port int) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// isHostname is RFC 1123's rule (letters, digits, hyphens, dots), with the
// underscore that container networks use in names.
func isHostname(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for _, r := range label {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			default:
				return false
			}
		}
	}
	return true
}
