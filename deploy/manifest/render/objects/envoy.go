package objects

import (
	"encoding/json"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

// failurePolicies are Envoy's names for Istio's fail strategies.
var failurePolicies = map[string]wasmv3.FailurePolicy{
	catalog.FailClose:  wasmv3.FailurePolicy_FAIL_CLOSED,
	catalog.FailOpen:   wasmv3.FailurePolicy_FAIL_OPEN,
	catalog.FailReload: wasmv3.FailurePolicy_FAIL_RELOAD,
}

// plainEnvoy is a bootstrap that runs the filter in front of a service on port
// 8080, as a reverse proxy on port 8085.
func plainEnvoy(s subject) (content, reason string, err error) {
	if s.URL == "" {
		return "", notInStorage, nil
	}
	if s.Redirect != "" {
		return "", "its URL redirects to " + s.Redirect + ", and Envoy follows no redirect; serve the module at the URL itself", nil
	}
	filter := wasmFilter(s, catalog.ContextInbound, envoyconf.Remote{URL: s.URL, SHA256: s.WasmSHA256})
	filter.Name = s.Name
	body, err := envoyconf.Render(envoyconf.BuildOptions{
		Admin: envoyconf.Address{Port: 8001},
		Listeners: []envoyconf.Listener{{
			Address:          envoyconf.Address{Port: 8085},
			TrafficDirection: corev3.TrafficDirection_INBOUND,
			Filters:          []envoyconf.Filter{filter},
		}},
		Upstream: envoyconf.Address{Port: 8080},
	})
	if err != nil {
		return "", "", err
	}
	comment, err := marshal(header(s))
	return comment + string(body), "", err
}

// wasmFilter returns the filter as Envoy runs it in one context.
func wasmFilter(s subject, context string, from envoyconf.Source) envoyconf.Filter {
	filter := envoyconf.Filter{
		Name: ecdsName(s, context),
		// One id for all contexts, so that the filter shares its data among all of them.
		VMID:            s.Name,
		VMConfiguration: patchContexts[context].vmConfiguration,
		Configuration:   configText(s.apply),
		FailurePolicy:   failurePolicies[s.apply.FailStrategy],
		Source:          from,
	}
	for _, v := range s.apply.VMConfig.Env {
		if v.ValueFrom == catalog.ValueHost {
			filter.HostEnvironment = append(filter.HostEnvironment, v.Name)
			continue
		}
		if filter.Environment == nil {
			filter.Environment = map[string]string{}
		}
		filter.Environment[v.Name] = v.Value
	}
	return filter
}

// configText returns the configuration as JSON. Istio, too, makes JSON of an object.
func configText(a catalog.Apply) string {
	config, _ := a.PluginConfig.(map[string]any)
	if len(config) == 0 {
		return ""
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(config); err != nil {
		return "" // ruled out by catalog.Apply.Check
	}
	return strings.TrimSuffix(b.String(), "\n")
}
