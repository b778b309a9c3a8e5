package catalog

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml"
)

// Apply says where a filter runs in a mesh and how. It is the section "apply" of a
// filter.yaml. Manifests are rendered from it and from what was published, and from nothing
// else. Field names and values are Istio's where Istio has them.
type Apply struct {
	// Namespace is the namespace of the objects: a workload's or a gateway's own, or the
	// mesh's root namespace to reach every namespace. Default: the objects name none, and go
	// where kubectl or an overlay puts them.
	Namespace string `json:"namespace"`
	// Selector picks pods by label. Default: every workload of the namespace.
	Selector map[string]string `json:"selector"`
	// TargetRefs picks gateways and waypoints by name, instead of Selector.
	TargetRefs []TargetRef `json:"targetRefs"`
	// Contexts are the listeners whose traffic the filter sees: ContextInbound,
	// ContextOutbound, ContextGateway. Default: all; with TargetRefs only ContextGateway.
	Contexts []string `json:"contexts"`
	// Port limits the filter to one port. Inbound it is the container's port, outbound the
	// service's, and for a gateway the port on which it listens. Default: every port.
	Port int64 `json:"port"`
	// Phase is the filter's place among Istio's own filters: PhaseAuthn, PhaseAuthz or
	// PhaseStats. Default: behind authentication and authorization. An EnvoyFilter and plain
	// Envoy have no phases, and put the filter right before the router.
	Phase string `json:"phase"`
	// Priority orders the filters of one phase, the highest first:
	// -2147483647 to 2147483647. Default: 0.
	Priority int64 `json:"priority"`
	// Mode is what WasmPlugin and TrafficExtension match in place of contexts, which they do
	// not have: ModeClient, ModeServer or ModeClientAndServer. It must cover Contexts.
	// Default: the narrowest mode that does.
	Mode string `json:"mode"`
	// FailStrategy says what happens to requests if the filter cannot be fetched or fails:
	// FailClose, FailOpen or FailReload. Required, because either default would be wrong for
	// somebody: one stops the traffic, the other lets it pass unfiltered.
	FailStrategy string `json:"failStrategy"`
	// PluginConfig is the plugin's configuration, an object. The filter gets it as JSON.
	// Default: no configuration.
	PluginConfig any `json:"pluginConfig"`
	// VMConfig is the configuration of the filter's virtual machine.
	VMConfig VMConfig `json:"vmConfig"`
	// ImagePullSecret names the secret with the registry's credentials. Default: none, as for
	// a public registry.
	ImagePullSecret string `json:"imagePullSecret"`
	// ModulesDir is a folder in the proxy's file system. The EnvoyFilter with a local file
	// expects the module in it as <filter>/<version>/<filter>.wasm, the storage's layout.
	// Default: DefaultModulesDir.
	ModulesDir string `json:"modulesDir"`
}

// TargetRef names a resource in the objects' own namespace.
type TargetRef struct {
	// Group is the API group. Default: the kind's own.
	Group string `json:"group"`
	// Kind is Gateway or GatewayClass, or, for waypoints, Service or
	// ServiceEntry. Required.
	Kind string `json:"kind"`
	// Name is the resource's name. Required.
	Name string `json:"name"`
}

// VMConfig is the configuration of a filter's virtual machine.
type VMConfig struct {
	// Env are the environment variables that the filter sees.
	Env []EnvVar `json:"env"`
}

// EnvVar is one environment variable of a filter's virtual machine.
type EnvVar struct {
	// Name is the variable's name. Required.
	Name string `json:"name"`
	// Value is the variable's value. Default: empty.
	Value string `json:"value"`
	// ValueFrom is ValueInline, or ValueHost to pass on the proxy's own variable of that name.
	// Default: ValueInline.
	ValueFrom string `json:"valueFrom"`
}

// The values of an apply section's fields.
const (
	ContextInbound  = "inbound"
	ContextOutbound = "outbound"
	ContextGateway  = "gateway"

	PhaseAuthn = "AUTHN"
	PhaseAuthz = "AUTHZ"
	PhaseStats = "STATS"

	ModeClient          = "CLIENT"
	ModeServer          = "SERVER"
	ModeClientAndServer = "CLIENT_AND_SERVER"

	FailClose  = "FAIL_CLOSE"
	FailOpen   = "FAIL_OPEN"
	FailReload = "FAIL_RELOAD"

	ValueInline = "INLINE"
	ValueHost   = "HOST"
)

// DefaultModulesDir is the folder in which the proxy looks for local modules.
const DefaultModulesDir = "/var/local/wasm"

// targetKinds are the kinds that Istio lets a policy attach to, with their groups.
// Reference:
// https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/#WasmPlugin
var targetKinds = []struct{ kind, group string }{
	{"Gateway", "gateway.networking.k8s.io"},
	{"GatewayClass", "gateway.networking.k8s.io"},
	{"Service", ""},
	{"ServiceEntry", "networking.istio.io"},
}

// What the Kubernetes API accepts.
//
// References:
//   - https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
//   - https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	labelName    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	// envName is C_IDENTIFIER, as the Istio API requires.
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// The limits of the Istio API:
// https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/#EnvVar
const (
	maxTargetRefs = 16
	maxEnv        = 256
	maxEnvName    = 256
	maxEnvValue   = 2048
)

const (
	// maxPriority is the limit below zero, too: it is one less than an int32 allows there. The
	// patches of an EnvoyFilter count the other way round, and so need the negative of a
	// priority.
	maxPriority = math.MaxInt32
	// maxExactInt is the largest number up to which JSON keeps every integer exactly: for
	// Istio, JSON's numbers are float64.
	maxExactInt = 1 << 53
	// maxConfigDepth is more than a person writes, and less than what any JSON reader on the
	// way refuses.
	maxConfigDepth = 64
)

// wrong returns a mistake in the section.
func wrong(text string, path ...any) error {
	return strictyaml.Wrong(text, append([]any{"apply"}, path...)...)
}

// Check reports the first mistake in the section.
func (a Apply) Check() error {
	for _, check := range []func() error{
		a.checkPlace, a.checkContexts, a.checkOrder, a.checkVM, a.checkConfig, a.checkFiles,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (a Apply) checkPlace() error {
	if a.Namespace != "" && !dnsLabel.MatchString(a.Namespace) {
		return wrong(fmt.Sprintf("%q is no namespace; use lowercase letters, digits and hyphens, at most 63", a.Namespace), "namespace")
	}
	if a.Selector != nil && len(a.Selector) == 0 {
		return wrong("has no labels, and would select every workload; write some, or leave it out", "selector")
	}
	for _, key := range sortedKeys(a.Selector) {
		if !isLabelKey(key) {
			return wrong(fmt.Sprintf("%q is no label key; write name or prefix/name", key), "selector")
		}
		if value := a.Selector[key]; value != "" && !labelName.MatchString(value) {
			return wrong(fmt.Sprintf("%q is no label value; use letters, digits, '-', '_' and '.', at most 63, with a letter or digit at both ends", value), "selector", key)
		}
	}
	if len(a.Selector) > 0 && len(a.TargetRefs) > 0 {
		return wrong("cannot stand beside selector; keep the one that you mean", "targetRefs")
	}
	if len(a.TargetRefs) > maxTargetRefs {
		return wrong(fmt.Sprintf("%d entries; Istio takes at most %d", len(a.TargetRefs), maxTargetRefs), "targetRefs")
	}
	for i, ref := range a.TargetRefs {
		if err := ref.check(i); err != nil {
			return err
		}
		if slices.Contains(a.TargetRefs[:i], ref) {
			return wrong("is there twice; remove one", "targetRefs", i)
		}
	}
	return nil
}

func (r TargetRef) check(i int) error {
	at := slices.IndexFunc(targetKinds, func(k struct{ kind, group string }) bool { return k.kind == r.Kind })
	if at < 0 {
		var kinds []string
		for _, k := range targetKinds {
			kinds = append(kinds, k.kind)
		}
		return wrong(oneOf("kind", r.Kind, kinds...), "targetRefs", i, "kind")
	}
	if group := targetKinds[at].group; r.Group != "" && r.Group != group {
		return wrong(fmt.Sprintf("%q has no %s; it is in group %q, which needs not be written", r.Group, r.Kind, group), "targetRefs", i, "group")
	}
	if !isObjectName(r.Name) {
		return wrong(fmt.Sprintf("%q is no name of a Kubernetes object; give the %s's name", r.Name, r.Kind), "targetRefs", i, "name")
	}
	return nil
}

// APIGroup returns r.Group or, if it is empty, the API group of r.Kind.
func (r TargetRef) APIGroup() string {
	for _, k := range targetKinds {
		if k.kind == r.Kind {
			return k.group
		}
	}
	return r.Group
}

func (a Apply) checkContexts() error {
	for i, context := range a.Contexts {
		if err := known("context", context, []string{ContextInbound, ContextOutbound, ContextGateway}, "contexts", i); err != nil {
			return err
		}
		if slices.Contains(a.Contexts[:i], context) {
			return wrong(fmt.Sprintf("%q is there twice; remove one", context), "contexts", i)
		}
		if len(a.TargetRefs) > 0 && context != ContextGateway {
			return wrong(fmt.Sprintf("%q is a sidecar's, and targetRefs name gateways; remove it, or use selector instead of targetRefs", context), "contexts", i)
		}
	}
	if a.Contexts != nil && len(a.Contexts) == 0 {
		return wrong("is empty; leave it out to mean all", "contexts")
	}
	if a.Port < 0 || a.Port > math.MaxUint16 {
		return wrong(fmt.Sprintf("%d is no port; give 1 to %d, or leave it out for every port", a.Port, math.MaxUint16), "port")
	}
	if a.Mode == "" {
		return nil
	}
	if err := known("mode", a.Mode, []string{ModeClient, ModeServer, ModeClientAndServer}, "mode"); err != nil {
		return err
	}
	if least := a.leastMode(); len(a.TargetRefs) == 0 && a.Mode != least && a.Mode != ModeClientAndServer {
		return wrong(fmt.Sprintf("%s does not cover the contexts %s; write %s, or leave it out", a.Mode, strings.Join(a.EffectiveContexts(), ", "), least), "mode")
	}
	return nil
}

func (a Apply) checkOrder() error {
	if a.Phase != "" {
		if err := known("phase", a.Phase, []string{PhaseAuthn, PhaseAuthz, PhaseStats}, "phase"); err != nil {
			return err
		}
	}
	if a.Priority < -maxPriority || a.Priority > maxPriority {
		return wrong(fmt.Sprintf("%d is out of range; give %d to %d", a.Priority, -maxPriority, maxPriority), "priority")
	}
	strategies := []string{FailClose, FailOpen, FailReload}
	if a.FailStrategy == "" {
		return wrong("is missing; say what becomes of requests when the filter cannot run: "+list(strategies), "failStrategy")
	}
	return known("failStrategy", a.FailStrategy, strategies, "failStrategy")
}

func (a Apply) checkVM() error {
	if len(a.VMConfig.Env) > maxEnv {
		return wrong(fmt.Sprintf("%d variables; Istio takes at most %d", len(a.VMConfig.Env), maxEnv), "vmConfig", "env")
	}
	seen := map[string]bool{}
	for i, v := range a.VMConfig.Env {
		place := func(field string) []any { return []any{"vmConfig", "env", i, field} }
		switch {
		case !envName.MatchString(v.Name) || len(v.Name) > maxEnvName:
			return wrong(fmt.Sprintf("%q is no name of a variable; use letters, digits and '_', not a digit first, at most %d", v.Name, maxEnvName), place("name")...)
		case strings.HasPrefix(v.Name, "ISTIO_META_"):
			// Istio's agent takes its own settings from these variables: pkg/wasm/convert.go
			// in istio/istio.
			return wrong(fmt.Sprintf("%q is for Istio's own use; choose another name", v.Name), place("name")...)
		case seen[v.Name]:
			return wrong(fmt.Sprintf("%q is there twice; remove one", v.Name), place("name")...)
		case len(v.Value) > maxEnvValue:
			return wrong(fmt.Sprintf("%d bytes; Istio takes at most %d", len(v.Value), maxEnvValue), place("value")...)
		case strings.ContainsRune(v.Value, 0):
			return wrong("has a NUL character, which no environment variable can hold", place("value")...)
		}
		if v.ValueFrom != "" {
			if err := known("valueFrom", v.ValueFrom, []string{ValueInline, ValueHost}, place("valueFrom")...); err != nil {
				return err
			}
		}
		if v.ValueFrom == ValueHost && v.Value != "" {
			return wrong("cannot be given with valueFrom HOST, which takes the proxy's; remove one of the two", place("value")...)
		}
		seen[v.Name] = true
	}
	return nil
}

func (a Apply) checkFiles() error {
	if a.ImagePullSecret != "" && !isObjectName(a.ImagePullSecret) {
		return wrong(fmt.Sprintf("%q is no name of a secret", a.ImagePullSecret), "imagePullSecret")
	}
	if dir := a.ModulesDir; dir != "" && (!path.IsAbs(dir) || path.Clean(dir) != dir || hasControl(dir)) {
		return wrong(fmt.Sprintf("%q is no folder's absolute path without \".\", \"..\" and double or trailing slashes; write one such as %s", dir, DefaultModulesDir), "modulesDir")
	}
	return nil
}

func (a Apply) checkConfig() error {
	if a.PluginConfig == nil {
		return nil
	}
	if _, ok := a.PluginConfig.(map[string]any); !ok {
		return wrong("is not an object; write key: value pairs, which reach the filter as JSON", "pluginConfig")
	}
	return checkValue(a.PluginConfig, []any{"pluginConfig"})
}

func checkValue(value any, at []any) error {
	if len(at) > maxConfigDepth {
		return wrong(fmt.Sprintf("is nested deeper than %d levels", maxConfigDepth), "pluginConfig")
	}
	switch v := value.(type) {
	case nil:
		// kubectl apply sends a merge patch, in which null means "remove".
		return wrong("null gets lost on its way through kubectl apply; leave the key out", at...)
	case bool, string:
		return nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return wrong(fmt.Sprintf("%v has no form in JSON", v), at...)
		}
		return nil
	case int64:
		if v < -maxExactInt {
			return wrong(inexact(v), at...)
		}
		return nil
	case uint64:
		if v > maxExactInt {
			return wrong(inexact(v), at...)
		}
		return nil
	case []any:
		for i, item := range v {
			if err := checkValue(item, append(slices.Clip(at), i)); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if err := checkValue(v[key], append(slices.Clip(at), key)); err != nil {
				return err
			}
		}
		return nil
	default:
		return wrong(fmt.Sprintf("%T has no form in JSON; write a text or a number", v), at...)
	}
}

func inexact[N int64 | uint64](n N) string {
	return fmt.Sprintf("%d loses digits on its way as a JSON number; write it in quotes", n)
}

// EffectiveContexts returns Contexts or, if they are empty, their default. The order is
// inbound, outbound, gateway.
func (a Apply) EffectiveContexts() []string {
	all := []string{ContextInbound, ContextOutbound, ContextGateway}
	switch {
	case len(a.TargetRefs) > 0:
		return all[2:]
	case len(a.Contexts) == 0:
		return all
	}
	return slices.DeleteFunc(all, func(c string) bool { return !slices.Contains(a.Contexts, c) })
}

// EffectiveMode returns Mode or, if it is empty, the narrowest mode that covers the contexts.
// A gateway's listeners count as CLIENT:
// https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/#WasmPlugin-TrafficSelector
func (a Apply) EffectiveMode() string {
	if a.Mode != "" {
		return a.Mode
	}
	return a.leastMode()
}

func (a Apply) leastMode() string {
	// For targetRefs a waypoint is a gateway, but its listeners count as SERVER.
	if len(a.TargetRefs) > 0 {
		return ModeClientAndServer
	}
	contexts := a.EffectiveContexts()
	server := slices.Contains(contexts, ContextInbound)
	client := len(contexts) > 1 || !server
	switch {
	case server && client:
		return ModeClientAndServer
	case server:
		return ModeServer
	}
	return ModeClient
}

func known(what, value string, values []string, at ...any) error {
	if slices.Contains(values, value) {
		return nil
	}
	return wrong(oneOf(what, value, values...), at...)
}

func oneOf(what, value string, values ...string) string {
	text := fmt.Sprintf("unknown %s %q", what, value)
	if near := strictyaml.Nearest(value, values); near != "" && value != "" {
		return fmt.Sprintf("%s; did you mean %q?", text, near)
	}
	return text + "; write " + list(values)
}

// list joins words as in a sentence: a, b or c.
func list(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func isLabelKey(key string) bool {
	prefix, name, found := strings.Cut(key, "/")
	if !found {
		return labelName.MatchString(key)
	}
	return isObjectName(prefix) && labelName.MatchString(name)
}

func isObjectName(name string) bool {
	return len(name) <= 253 && dnsSubdomain.MatchString(name)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
