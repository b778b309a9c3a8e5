package envoyconf

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// runtimeV8 is the only wasm runtime in Envoy's own releases.
const runtimeV8 = "envoy.wasm.runtime.v8"

var sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// BuildFilter returns one filter's own message and the cluster from which Envoy fetches its
// module (none for a Local one). It is for callers that put them into another configuration.
// Its errors are Build's.
func BuildFilter(f Filter) (*wasmfilterv3.Wasm, []*clusterv3.Cluster, error) {
	b := builder{clusters: map[string]bool{}}
	wasm := b.wasm("filter", f)
	b.validate("filter", wasm)
	for _, c := range b.messages {
		b.validate("cluster "+c.Name, c)
	}
	if len(b.errs) > 0 {
		return nil, nil, fmt.Errorf("build Envoy filter: %w", errors.Join(b.errs...))
	}
	return wasm, b.messages, nil
}

func (b *builder) filter(field string, f Filter) *hcmv3.HttpFilter {
	if source, ok := f.Source.(Discovered); ok {
		return b.discovered(field, f, source)
	}
	wasm := b.wasm(field, f)
	if wasm == nil {
		return nil
	}
	return &hcmv3.HttpFilter{
		Name:       f.Name,
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: b.any(field, wasm)},
	}
}

// wasm returns nil after a mistake that leaves nothing to build.
func (b *builder) wasm(field string, f Filter) *wasmfilterv3.Wasm {
	if f.Name == "" {
		b.errorf("%s.name: missing; Envoy's log tells filters apart by it", field)
		return nil
	}
	f.VMID = cmp.Or(f.VMID, f.Name)
	if f.FailurePolicy == wasmv3.FailurePolicy_UNSPECIFIED {
		f.FailurePolicy = wasmv3.FailurePolicy_FAIL_CLOSED
	}
	if _, known := wasmv3.FailurePolicy_name[int32(f.FailurePolicy)]; !known {
		b.errorf("%s.failure_policy: %d is not one of Envoy's", field, f.FailurePolicy)
	}
	return &wasmfilterv3.Wasm{Config: &wasmv3.PluginConfig{
		Name:          f.Name,
		RootId:        f.RootID,
		FailurePolicy: f.FailurePolicy,
		Configuration: b.text(field, f.Configuration),
		Vm: &wasmv3.PluginConfig_VmConfig{VmConfig: &wasmv3.VmConfig{
			VmId:                 f.VMID,
			Runtime:              runtimeV8,
			Code:                 b.code(field+".source", f.Source),
			Configuration:        b.text(field, f.VMConfiguration),
			EnvironmentVariables: b.environment(field, f),
		}},
	}}
}

func (b *builder) environment(field string, f Filter) *wasmv3.EnvironmentVariables {
	if len(f.Environment) == 0 && len(f.HostEnvironment) == 0 {
		return nil
	}
	for _, name := range f.HostEnvironment {
		if _, both := f.Environment[name]; both {
			b.errorf("%s.environment: %s is given and taken from the host, too; keep one", field, name)
		}
	}
	return &wasmv3.EnvironmentVariables{HostEnvKeys: f.HostEnvironment, KeyValues: f.Environment}
}

// text wraps a configuration in a StringValue, which Envoy unwraps before it hands the text
// over. (Envoy would parse a Struct and write it as JSON again.)
func (b *builder) text(field, s string) *anypb.Any {
	if s == "" {
		return nil
	}
	return b.any(field, wrapperspb.String(s))
}

func (b *builder) code(field string, source Source) *corev3.AsyncDataSource {
	switch s := source.(type) {
	case Remote:
		return &corev3.AsyncDataSource{Specifier: &corev3.AsyncDataSource_Remote{Remote: b.remote(field, s)}}
	case Local:
		if !filepath.IsAbs(s.Path) {
			b.errorf("%s.path: %q is not absolute; Envoy would look for it in the directory it was started in", field, s.Path)
		}
		return &corev3.AsyncDataSource{Specifier: &corev3.AsyncDataSource_Local{Local: &corev3.DataSource{
			Specifier: &corev3.DataSource_Filename{Filename: s.Path},
		}}}
	default:
		b.errorf("%s: missing; give Remote (URL and sha256) or Local (path)", field)
		return nil
	}
}

func (b *builder) remote(field string, r Remote) *corev3.RemoteDataSource {
	if !sha256Pattern.MatchString(r.SHA256) {
		b.errorf("%s.sha256: %q is not 64 lower-case hex digits; give what sha256sum prints for the module", field, r.SHA256)
	}
	if r.Timeout < 0 {
		b.errorf("%s.timeout: %v is negative; give a positive duration, or zero for %v", field, r.Timeout, DefaultRemoteTimeout)
	}
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = DefaultRemoteTimeout
	}
	retries := cmp.Or(r.Retries, DefaultRemoteRetries)
	return &corev3.RemoteDataSource{
		HttpUri: &corev3.HttpUri{
			Uri:              r.URL,
			HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: b.remoteCluster(field, r)},
			Timeout:          durationpb.New(timeout),
		},
		Sha256:      r.SHA256,
		RetryPolicy: &corev3.RetryPolicy{NumRetries: wrapperspb.UInt32(uint32(max(retries, 0)))},
	}
}

// remoteCluster checks r's URL and returns the name of the cluster for its host. If the URL is
// wrong, it reports that. The name that it returns then only keeps the API's own rules from
// reporting the same mistake again.
func (b *builder) remoteCluster(field string, r Remote) string {
	const none = "none"
	u, err := url.Parse(r.URL)
	switch {
	case err != nil:
		// This leaves out url.Error's text, which repeats the URL and with it a password.
		b.errorf("%s.url: not a URL; give an absolute one such as https://example.com/headers.wasm", field)
	case u.User != nil:
		b.errorf("%s.url: carries a user or password, which Envoy would not send; serve the module without credentials", field)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		b.errorf("%s.url: %q is not an absolute http or https URL", field, redact.Address(r.URL))
	case u.Fragment != "":
		b.errorf("%s.url: %q has a fragment, which no server sees; remove it", field, redact.Address(r.URL))
	default:
		return b.addRemoteCluster(field+".url", u, r)
	}
	return none
}
