package cost

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	mutationrulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

// The names of the contestants without a module.
const (
	none  = "no filter"
	again = "no filter again"
)

// contestant is one way to configure Envoy.
type contestant struct {
	// name is unique. For a module that was built it is "<filter> (<compiler>)".
	name string
	// filters are the wasm modules, in order.
	filters []envoyconf.Filter
	// native is a filter of Envoy's own, nil for none.
	native proto.Message
	// logged has Envoy write what filters log at level info.
	logged bool
	// size is the size of all modules together, in bytes.
	size int64
}

// module is a wasm file to measure.
type module struct {
	name, path string
	named      string // the path as the user wrote it; empty for a module that was built
	size       int64
}

// configurations are the plugin configurations by the filter's name. Envoy's own
// filters below do what headers does with this one.
var configurations = map[string]string{
	"headers":    `{"request": {"set": {"x-my-custom-header": "hello world"}}}`,
	"requestlog": ``,
	"authtoken":  `{"cluster": "auth", "interval": "1s"}`,
}

// chained are the filters of the chain, in the order of the scenario of that name.
var chained = []string{"authtoken", "headers", "requestlog"}

// contestants lists what is compared. built are the modules by compiler.
func contestants(compilers []string, built map[string][]module, named []module, all bool) []contestant {
	list := []contestant{{name: none}, {name: again}}
	for _, compiler := range compilers {
		modules := built[compiler]
		add := func(title string, names []string, logged bool, configuration string) {
			c := contestant{name: fmt.Sprintf("%s (%s)", title, compiler), logged: logged}
			for _, name := range names {
				i := slices.IndexFunc(modules, func(m module) bool { return m.name == name })
				if i < 0 {
					return // left out by FILTERS
				}
				f := filter(modules[i])
				if configuration != "" {
					f.Configuration = configuration
				}
				c.filters = append(c.filters, f)
				c.size += modules[i].size
			}
			list = append(list, c)
		}
		for _, m := range modules {
			add(m.name, []string{m.name}, false, "")
		}
		add("chain", chained, false, "")
		if all {
			add("headers, debug_log false", []string{"headers"}, false,
				`{"request": {"set": {"x-my-custom-header": "hello world"}}, "debug_log": false}`)
			add("requestlog, line written", []string{"requestlog"}, true, "")
		}
	}
	for _, m := range named {
		list = append(list, contestant{name: m.named, filters: []envoyconf.Filter{filter(m)}, size: m.size})
	}
	return append(list,
		contestant{name: "header_mutation (Envoy)", native: headerMutation()},
		contestant{name: "Lua (Envoy)", native: lua()})
}

func filter(m module) envoyconf.Filter {
	return envoyconf.Filter{Name: m.name, Source: envoyconf.Local{Path: m.path}, Configuration: configurationOf(m.name)}
}

// configurationOf returns the configuration of the filter that the module's name begins
// with, so that a module such as headers-rust.wasm does the same work as headers.
func configurationOf(name string) string {
	for filter, configuration := range configurations {
		if strings.HasPrefix(name, filter) {
			return configuration
		}
	}
	return ""
}

func moduleName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

func headerMutation() proto.Message {
	return &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{
		RequestMutations: []*mutationrulesv3.HeaderMutation{{
			Action: &mutationrulesv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: "x-my-custom-header", Value: "hello world"},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			}},
		}},
	}}
}

// lua also looks for the header that headers counts. It cannot count.
func lua() proto.Message {
	return &luav3.Lua{DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: `
function envoy_on_request(handle)
  local headers = handle:headers()
  local counted = headers:get("hello") ~= nil
  headers:replace("x-my-custom-header", "hello world")
end
function envoy_on_response(handle)
end
`}}}
}
