package envoyconf

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
)

const (
	// DefaultListener names a listener that is given no name, for example in the
	// admin interface's /listeners.
	DefaultListener = "main"
	// UpstreamCluster names the cluster that every request is routed to.
	UpstreamCluster = "upstream"

	// DefaultHost is where listeners bind when no host is given.
	DefaultHost = "127.0.0.1"
	// DefaultRemoteTimeout bounds one attempt to fetch a module. Istio's agent
	// allows the same for the whole fetch.
	DefaultRemoteTimeout = 30 * time.Second
	// DefaultRemoteRetries is how often a failed fetch is tried again, with
	// Envoy's own back-off of 1 to 10 seconds.
	DefaultRemoteRetries = 3
	// DefaultCAFile holds the certificates that https servers are checked
	// against: its place in Debian, Ubuntu, Alpine and Envoy's own images.
	DefaultCAFile = "/etc/ssl/certs/ca-certificates.crt"
)

// BuildOptions describe one bootstrap. Only Upstream is required.
type BuildOptions struct {
	// Admin is where the admin interface listens. The zero value is
	// 127.0.0.1 and a port that the kernel chooses.
	Admin Address
	// Listeners are where requests arrive, each with filters of its own. None
	// means one with the zero value.
	Listeners []Listener
	// Upstream is where requests go after the last filter.
	Upstream Address
	// Clusters are what filters may call besides the upstream. The clusters
	// from which remote modules are fetched are added without being named.
	Clusters []Cluster
}

// Listener is one way in.
type Listener struct {
	// Name tells listeners apart. Empty means DefaultListener.
	Name string
	// Address is where it listens. The zero value is 127.0.0.1 and a port that
	// the kernel chooses; the admin interface's /listeners tells it.
	Address Address
	// TrafficDirection is what filters read as xds.listener_direction. The
	// zero value leaves it unspecified.
	TrafficDirection corev3.TrafficDirection
	// AccessLog makes Envoy write one line for each request to its standard
	// output, in Envoy's default format.
	AccessLog bool
	// Filters are the chain, in the order in which they see a request.
	Filters []Filter
}

// Address is a TCP address.
type Address struct {
	// Host is an IP address or, where Envoy connects to it, a DNS name.
	// Empty means DefaultHost.
	Host string
	// Port is 1 to 65535; for a listener 0 lets the kernel choose.
	Port int
}

// Cluster is a plain HTTP/1.1 service that a filter calls by name.
type Cluster struct {
	// Name is what the filter's configuration calls it.
	Name string
	// Address is where it listens.
	Address Address
}

// Filter is one proxy-wasm HTTP filter of the chain.
type Filter struct {
	// Name tells the filters of a chain apart, in the configuration and in
	// Envoy's log.
	Name string
	// RootID selects a root context within the module. Modules made with the
	// Go SDK have one and ignore it.
	RootID string
	// VMID is the namespace of shared data: VMs with the same id share it.
	// Empty means Name.
	VMID string
	// VMConfiguration is handed to the VM as it stands (a JSON text is a
	// string too). Empty means none.
	VMConfiguration string
	// Environment are variables that the VM sees. Envoy refuses a name that
	// HostEnvironment has, too.
	Environment map[string]string
	// HostEnvironment names the variables of Envoy's own environment that the VM
	// sees.
	HostEnvironment []string
	// Configuration is handed to the plugin as it stands. Empty means none.
	Configuration string
	// FailurePolicy says what happens to requests when the plugin cannot run.
	// The zero value is rendered as FAIL_CLOSED, so that the choice is visible.
	FailurePolicy wasmv3.FailurePolicy
	// Source is where the module comes from, Remote or Local, or the whole
	// configuration: Discovered.
	Source Source
}

// Source is where Envoy gets a module from: a Remote, a Local or a Discovered.
type Source interface{ isSource() }

// Remote is a module that Envoy itself fetches by HTTP.
type Remote struct {
	// URL is the absolute http or https URL of the raw module.
	URL string
	// SHA256 is the sum of the served body: 64 lower-case hex digits. It is
	// the sum of the module, never the digest of an OCI manifest.
	SHA256 string
	// Timeout bounds one attempt. Zero means DefaultRemoteTimeout.
	Timeout time.Duration
	// Retries is how often a failed attempt (another sum is one, too) is
	// tried again. Zero means DefaultRemoteRetries; a negative number, none.
	Retries int
	// Cluster names the cluster from which it is fetched. Empty means a name made
	// of the URL's scheme, host and port, so that filters share it.
	Cluster string
	// CAFile holds the PEM certificates that an https server is checked
	// against, on the machine that runs Envoy. Empty means DefaultCAFile.
	CAFile string
}

// Local is a module that Envoy reads from its own file system.
type Local struct {
	// Path is absolute: Envoy would look for a relative one in whatever
	// directory it was started in.
	Path string
}

// Discovered is a filter whose configuration, module and all, Envoy reads from a
// file that it watches: when another file is renamed to that name, Envoy loads what
// it says without a restart, and keeps what it had if it cannot. [Discovery] makes
// the file's content. The Filter's other fields but Name belong there.
//
// Reference: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/overview/extension
type Discovered struct {
	// Path of the file is absolute.
	Path string
}

func (Remote) isSource()     {}
func (Local) isSource()      {}
func (Discovered) isSource() {}
