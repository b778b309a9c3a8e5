package scenario

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Plugin is one filter of a chain, with everything that it is given.
type Plugin struct {
	// Filter is the filter's name.
	Filter string
	// Configuration and VMConfiguration are the texts that the filter gets. Empty: none.
	Configuration, VMConfiguration string
	// Env are the environment variables of its virtual machine.
	Env []catalog.EnvVar
	// FailStrategy is catalog.FailClose, catalog.FailOpen or catalog.FailReload.
	FailStrategy string
}

// Expand returns the plugin with each ${services.NAME.cluster} replaced by what cluster returns
// for the name. No other variable has a value in a configuration, and cluster reports false for a
// service that it does not know: these are errors.
func (p Plugin) Expand(cluster func(service string) (name string, ok bool)) (Plugin, error) {
	value := func(variable string) (string, error) {
		service, what, _, ok := ServiceVariable(variable)
		if ok && what == ClusterOf {
			if name, ok := cluster(service); ok {
				return name, nil
			}
		}
		return "", fmt.Errorf("nothing gives ${%s} a value", variable)
	}
	p.Env = slices.Clone(p.Env)
	texts := []*string{&p.Configuration, &p.VMConfiguration}
	for i := range p.Env {
		texts = append(texts, &p.Env[i].Value)
	}
	for _, text := range texts {
		var err error
		if *text, err = Expand(*text, value); err != nil {
			return p, err
		}
	}
	return p, nil
}

// Environment splits Env into the variables with values, and the names of those whose values are
// the proxy's own.
func (p Plugin) Environment() (values map[string]string, host []string) {
	values = map[string]string{}
	for _, v := range p.Env {
		if v.ValueFrom == catalog.ValueHost {
			host = append(host, v.Name)
		} else {
			values[v.Name] = v.Value
		}
	}
	return values, host
}

// Shipped returns how the filter's rendered manifests run it. If they do not, because it has no
// section apply, it gets its example and fails closed.
func Shipped(f catalog.Filter) (Plugin, error) {
	if f.Metadata.Apply == nil {
		example, err := f.Metadata.ExampleConfiguration()
		return Plugin{Filter: f.Name, Configuration: example, FailStrategy: catalog.FailClose}, err
	}
	apply := f.Metadata.Apply
	configuration, err := configurationText(apply.PluginConfig)
	return Plugin{Filter: f.Name, Configuration: configuration, Env: apply.VMConfig.Env, FailStrategy: apply.FailStrategy}, err
}

// Links are the filters that the scenario needs, in the order in which they see a request.
func (s *Scenario) Links() []Link {
	if len(s.Proxy.Chain) > 0 {
		return s.Proxy.Chain
	}
	return []Link{{Filter: s.Filter, Settings: s.Proxy.Settings}}
}

// Plugins returns the chain of the scenario. filters must have all that the scenario needs.
// In a configuration, ${services.NAME.cluster} is still to be replaced: see Expand.
func (s *Scenario) Plugins(filters []catalog.Filter) ([]Plugin, error) {
	var plugins []Plugin
	for _, link := range s.Links() {
		i := slices.IndexFunc(filters, func(f catalog.Filter) bool { return f.Name == link.Filter })
		if i < 0 {
			return nil, fmt.Errorf("filter %s was not given", link.Filter)
		}
		p, err := Shipped(filters[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(filters[i].Dir, catalog.MetadataFile), err)
		}
		if link.PluginConfig != nil {
			if p.Configuration, err = configurationText(link.PluginConfig); err != nil {
				return nil, err
			}
		}
		if vm := link.VMConfig; vm != nil {
			if p.VMConfiguration, err = configurationText(vm.Configuration); err != nil {
				return nil, err
			}
			p.Env = vm.Env
		}
		if link.FailStrategy != "" {
			p.FailStrategy = link.FailStrategy
		}
		plugins = append(plugins, p)
	}
	return plugins, nil
}

// Listener returns the direction of the proxy's listener: Inbound, Outbound or, if it has none,
// the empty text.
func (s *Scenario) Listener(filters []catalog.Filter) string {
	if s.Proxy.Direction != "" {
		return s.Proxy.Direction
	}
	for _, f := range filters {
		if f.Name == s.Filter && f.Metadata.Apply != nil {
			if contexts := f.Metadata.Apply.EffectiveContexts(); len(contexts) == 1 && contexts[0] != catalog.ContextGateway {
				return contexts[0]
			}
		}
	}
	return ""
}

// Text returns the text of another configuration; see Settings.PluginConfig.
func (c *Change) Text() (string, error) { return configurationText(c.PluginConfig) }

// configurationText is what a filter gets: a text unchanged, an object as JSON.
func configurationText(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("write a configuration as JSON: %w", err)
	}
	return string(text), nil
}

// ShippedName is the name of the scenario that every filter has, besides its files: see
// AsShipped.
const ShippedName = "as-shipped"

// AsShipped is a scenario in which the filter starts with exactly what its rendered manifests
// carry, accepts it, and meets a request.
func AsShipped(f catalog.Filter) Scenario {
	anything := int64(0)
	return Scenario{
		Name: ShippedName, Filter: f.Name, File: filepath.Join(f.Dir, catalog.MetadataFile),
		Description: "The filter accepts the configuration that its manifests carry.",
		Steps: []Step{{
			Name:    "accepts the configuration that its manifests carry",
			Request: &Request{Path: "/get"},
			Expect:  Expect{Upstream: &Seen{Calls: &Calls{AtLeast: &anything}}},
		}},
	}
}
