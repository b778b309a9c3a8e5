package envoyconf

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
)

const (
	// DefaultListener is the default name of a listener, for example in the admin interface's
	// /listeners.
	DefaultListener = "main"
	// UpstreamCluster is the name of the cluster to which every request is routed.
	UpstreamCluster = "upstream"

	// DefaultHost is the address on which listeners listen by default.
	DefaultHost = "127.0.0.1"
	// DefaultRemoteTimeout limits one attempt to fetch a module. Istio's agent allows the same
	// time for the whole fetch.
	DefaultRemoteTimeout = 30 * time.Second
	// DefaultRemoteRetries is how often a failed fetch is tried again, with
	// Envoy's own back-off of 1 to 10 seconds.
	DefaultRemoteRetries = 3
	// DefaultCAFile holds the certificates with which https servers are checked. The path is
	// the one on Debian, Ubuntu, Alpine and Envoy's own images.
	DefaultCAFile = "/etc/ssl/certs/ca-certificates.crt"
)

// BuildOptions describe one bootstrap. Only Upstream is required.
type BuildOptions struct {
	// Admin is the address of the admin interface. The zero value is 127.0.0.1 and a port that
	// the kernel chooses.
	Admin Address
	// Listeners receive requests. Each has its own filters. Empty means one listener with the
	// zero value.
	Listeners []Listener
	// Upstream is the server that gets requests after the last filter.
	Upstream Address
	// Clusters are the services besides the upstream that filters may call. The clusters for
	// fetching remote modules are added automatically.
	Clusters []Cluster
	// Dynamic is a folder with further listeners and clusters, which Envoy follows while it runs:
	// see Dynamic. Empty means none.
	Dynamic string
	// FlushOnAdmin makes Envoy bring its histograms up to date whenever the admin interface is
	// asked for statistics, instead of every 5 seconds.
	FlushOnAdmin bool
}

// Listener is one address on which Envoy receives requests.
type Listener struct {
	// Name tells listeners apart. Empty means DefaultListener.
	Name string
	// Address is the address to listen on. The zero value is 127.0.0.1 and a port that the
	// kernel chooses; the admin interface's /listeners shows it.
	Address Address
	// TrafficDirection is the value that filters read as xds.listener_direction. The zero
	// value leaves it unspecified.
	TrafficDirection corev3.TrafficDirection
	// AccessLog makes Envoy write one line for each request to its standard
	// output, in Envoy's default format.
	AccessLog bool
	// Cluster is the cluster that gets requests after the last filter: one of BuildOptions'
	// Clusters. Empty means UpstreamCluster.
	Cluster string
	// Filters are the chain, in the order in which they see a request.
	Filters []Filter
}

// Address is a TCP address.
type Address struct {
	// Host is an IP address. For an address that Envoy connects to, it may also be a DNS name.
	// Empty means DefaultHost.
	Host string
	// Port is 1 to 65535; for a listener 0 lets the kernel choose.
	Port int
}

// Cluster is a plain HTTP/1.1 service that a filter calls by name.
type Cluster struct {
	// Name is the cluster's name in the filter's configuration.
	Name string
	// Address is the address of the service.
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
	// VMConfiguration is passed to the VM unchanged (JSON is a text, too). Empty means none.
	VMConfiguration string
	// Environment are variables that the VM sees. Envoy refuses a name that is also in
	// HostEnvironment.
	Environment map[string]string
	// HostEnvironment names the variables of Envoy's own environment that the VM
	// sees.
	HostEnvironment []string
	// Configuration is passed to the plugin unchanged. Empty means none.
	Configuration string
	// FailurePolicy says what happens to requests when the plugin cannot run.
	// The zero value is rendered as FAIL_CLOSED, so that the choice is visible.
	FailurePolicy wasmv3.FailurePolicy
	// Source is the source of the module, Remote or Local, or of the whole configuration:
	// Discovered.
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
	// Timeout limits one attempt. Zero means DefaultRemoteTimeout.
	Timeout time.Duration
	// Retries is how often a failed attempt is tried again. A module with another sum counts
	// as a failure, too. Zero means DefaultRemoteRetries; a negative number means no retries.
	Retries int
	// Cluster is the name of the cluster for the fetch. Empty means a name made of the URL's
	// scheme, host and port, so that filters share the cluster.
	Cluster string
	// CAFile is the path, on the machine that runs Envoy, of the PEM certificates with which
	// an https server is checked. Empty means DefaultCAFile.
	CAFile string
}

// Local is a module that Envoy reads from its own file system.
type Local struct {
	// Path is absolute: Envoy would look for a relative one in the directory in which it was
	// started.
	Path string
}

// Discovered is a filter whose whole configuration, including the module, Envoy reads from a
// file that it watches. When another file is renamed to that name, Envoy loads its
// configuration without a restart. If it cannot, it keeps the old one. [Discovery] makes the
// file's content. All other fields of the Filter but Name belong in the file.
//
// Reference: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/overview/extension
type Discovered struct {
	// Path is the absolute path of the file.
	Path string
}

func (Remote) isSource()     {}
func (Local) isSource()      {}
func (Discovered) isSource() {}
