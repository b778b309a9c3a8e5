package cost

import (
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	mutationrulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-wasm/slipway/deploy/bench/marked"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
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
	// filters are the wasm modules, in order, and clusters the services that they call.
	filters  []envoyconf.Filter
	clusters []envoyconf.Cluster
	// native is a filter of Envoy's own, nil for none.
	native proto.Message
	// logged has Envoy write what filters log at level info.
	logged bool
	// size is the size of all modules together, in bytes.
	size int64
	// asked is what it is asked.
	asked asked
	// base is the index of the contestant without a filter that is asked the same.
	base int
}

// asked is a request, and the status of its answer.
type asked struct {
	request scenario.Request
	body    []byte
	status  int
}

// usual is what contestants without a scenario are asked: the same as the first filter.
func usual(subjects marked.Subjects) (asked, error) {
	if len(subjects) > 0 {
		return askedOf(subjects[0])
	}
	return asked{request: scenario.Request{Path: "/get"}, status: http.StatusOK}, nil
}

// module is a wasm file to measure.
type module struct {
	name, path string
	named      string // the path as the user wrote it; empty for a module that was built
	size       int64
}

// all is the title of the chain of all filters.
const all = "chain"

// contestants lists what is compared. built are the modules by compiler; one that is no
// subject's does nothing.
func contestants(compilers []string, built map[string][]module, subjects marked.Subjects, named []module, more bool) ([]contestant, error) {
	usual, err := usual(subjects)
	if err != nil {
		return nil, err
	}
	list := []contestant{{name: none, asked: usual}, {name: again, asked: usual}}
	add := func(c contestant) {
		same := func(o contestant) bool { return strings.HasPrefix(o.name, none) && reflect.DeepEqual(o.asked, c.asked) }
		if c.base = slices.IndexFunc(list, same); c.base < 0 {
			c.base = len(list)
			list = append(list, contestant{name: none + ", asked as " + c.name, asked: c.asked, base: c.base})
		}
		list = append(list, c)
	}
	for _, compiler := range compilers {
		modules := built[compiler]
		source := func(filter string) envoyconf.Source {
			i := slices.IndexFunc(modules, func(m module) bool { return m.name == filter })
			return envoyconf.Local{Path: modules[i].path}
		}
		chain := contestant{name: fmt.Sprintf("%s (%s)", all, compiler)}
		for _, m := range modules {
			c := contestant{name: fmt.Sprintf("%s (%s)", m.name, compiler), size: m.size, asked: usual}
			subject, is := subjects.Named(m.name)
			if !is {
				c.filters = []envoyconf.Filter{{Name: m.name, Source: source(m.name)}}
				add(c)
				continue
			}
			var err error
			if c.filters, err = subject.Filters(source); err != nil {
				return nil, err
			}
			if c.asked, err = askedOf(subject); err != nil {
				return nil, err
			}
			c.clusters = subject.Clusters()
			add(c)
			if more {
				c.name, c.logged = fmt.Sprintf("%s, lines written (%s)", m.name, compiler), true
				add(c)
			}
			if len(c.filters) != 1 || chain.filters != nil && !reflect.DeepEqual(chain.asked, c.asked) {
				continue // the chain would be asked what one of its filters is not
			}
			chain.asked, chain.size = c.asked, chain.size+m.size
			chain.filters = append(chain.filters, c.filters...)
			chain.clusters = append(chain.clusters, c.clusters...)
		}
		if len(chain.filters) > 1 && len(chain.filters) == len(subjects) {
			add(chain)
		}
	}
	for _, m := range named {
		c := contestant{name: m.named, size: m.size, asked: usual}
		c.filters = []envoyconf.Filter{{Name: m.name, Source: envoyconf.Local{Path: m.path}}}
		// A module such as greeting-rust.wasm does the same work as greeting.
		for _, subject := range subjects {
			if !strings.HasPrefix(m.name, subject.Name) || len(subject.Plugins) != 1 {
				continue
			}
			var err error
			if c.filters, err = subject.Filters(func(string) envoyconf.Source { return envoyconf.Local{Path: m.path} }); err != nil {
				return nil, err
			}
			if c.asked, err = askedOf(subject); err != nil {
				return nil, err
			}
			c.clusters = subject.Clusters()
			break
		}
		add(c)
	}
	add(contestant{name: "header_mutation (Envoy)", native: headerMutation(), asked: usual})
	add(contestant{name: "Lua (Envoy)", native: lua(), asked: usual})
	return list, nil
}

func askedOf(s marked.Subject) (asked, error) {
	body, err := s.Body()
	if len(body) == 0 {
		body = nil
	}
	return asked{s.Request(), body, s.Status()}, err
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
