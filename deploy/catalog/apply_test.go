package catalog_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

func read(t *testing.T, yaml string) (catalog.Metadata, string, error) {
	t.Helper()
	path := filepath.Join(folder(t, map[string]string{"filter.yaml": yaml}), "filter.yaml")
	m, err := catalog.ReadMetadata(path)
	return m, path, err
}

func TestReadApply(t *testing.T) {
	t.Parallel()
	m, _, err := read(t, metadata+`apply:
  namespace: shop
  selector: {app: cart, example.com/tier: "2"}
  contexts: [outbound, inbound]
  port: 8080
  phase: AUTHZ
  priority: -10
  mode: CLIENT_AND_SERVER
  failStrategy: FAIL_OPEN
  pluginConfig:
    "on": response
    count: 3
    ratio: 0.5
  vmConfig:
    env:
      - {name: A, value: b}
      - {name: HOST, valueFrom: HOST}
  imagePullSecret: registry
  modulesDir: /modules
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &catalog.Apply{
		Namespace:       "shop",
		Selector:        map[string]string{"app": "cart", "example.com/tier": "2"},
		Contexts:        []string{"outbound", "inbound"},
		Port:            8080,
		Phase:           catalog.PhaseAuthz,
		Priority:        -10,
		Mode:            catalog.ModeClientAndServer,
		FailStrategy:    catalog.FailOpen,
		PluginConfig:    map[string]any{"on": "response", "count": uint64(3), "ratio": 0.5},
		VMConfig:        catalog.VMConfig{Env: []catalog.EnvVar{{Name: "A", Value: "b"}, {Name: "HOST", ValueFrom: "HOST"}}},
		ImagePullSecret: "registry",
		ModulesDir:      "/modules",
	}
	if diff := cmp.Diff(want, m.Apply); diff != "" {
		t.Errorf("apply differs (-want +got):\n%s", diff)
	}
	if m, _, err := read(t, metadata); err != nil || m.Apply != nil {
		t.Errorf("without the section: %+v, %v", m.Apply, err)
	}
}

// The line counts from the file's first: the metadata takes three, "apply:" is
// the fourth.
func TestReadApplyErrors(t *testing.T) {
	t.Parallel()
	const open = "  failStrategy: FAIL_OPEN\n"
	for name, test := range map[string]struct{ apply, want string }{
		"no failStrategy":      {"  port: 80\n", `5: apply.failStrategy: is missing; say what becomes of requests when the filter cannot run: FAIL_CLOSE, FAIL_OPEN or FAIL_RELOAD`},
		"unknown failStrategy": {"  failStrategy: FAIL_CLOSED\n", `5: apply.failStrategy: unknown failStrategy "FAIL_CLOSED"; did you mean "FAIL_CLOSE"?`},
		"unknown field":        {open + "  priorty: 1\n", `6: unknown field "apply.priorty"; did you mean "priority"?`},
		"unknown inner field":  {open + "  vmConfig:\n    env:\n      - nam: A\n", `8: unknown field "apply.vmConfig.env.nam"; did you mean "name"?`},
		"field of another":     {open + "  kind: WasmPlugin\n", `6: unknown field "apply.kind"`},
		"unknown phase":        {open + "  phase: AUTH\n", `6: apply.phase: unknown phase "AUTH"; did you mean "AUTHN"?`},
		"far phase":            {open + "  phase: whenever\n", `6: apply.phase: unknown phase "whenever"; write AUTHN, AUTHZ or STATS`},
		"unknown context":      {open + "  contexts:\n    - inbound\n    - outbond\n", `8: apply.contexts[1]: unknown context "outbond"; did you mean "outbound"?`},
		"context twice":        {open + "  contexts: [inbound, inbound]\n", `6: apply.contexts[1]: "inbound" is there twice; remove one`},
		"no context":           {open + "  contexts: []\n", `6: apply.contexts: is empty; leave it out to mean all`},
		"unknown mode":         {open + "  mode: BOTH\n", `6: apply.mode: unknown mode "BOTH"; write CLIENT, SERVER or CLIENT_AND_SERVER`},
		"narrow mode":          {open + "  contexts: [inbound]\n  mode: CLIENT\n", `7: apply.mode: CLIENT does not cover the contexts inbound; write SERVER, or leave it out`},
		"priority too high":    {open + "  priority: 2147483648\n", `6: apply.priority: 2147483648 is out of range; give -2147483647 to 2147483647`},
		"priority too low":     {open + "  priority: -2147483648\n", `6: apply.priority: -2147483648 is out of range`},
		"priority huge":        {open + "  priority: 99999999999999999999\n", `6: apply.priority: 99999999999999999999 is too large for a number; write it in quotes`},
		"priority a fraction":  {open + "  priority: 1.5\n", `6: apply.priority: 1.5 is no whole number`},
		"priority a text":      {open + "  priority: high\n", `6: apply.priority: high is no whole number`},
		"port too high":        {open + "  port: 65536\n", `6: apply.port: 65536 is no port; give 1 to 65535, or leave it out for every port`},
		"port negative":        {open + "  port: -1\n", `6: apply.port: -1 is no port`},
		"config a text":        {open + "  pluginConfig: a=b\n", `6: apply.pluginConfig: is not an object; write key: value pairs, which reach the filter as JSON`},
		"config a list":        {open + "  pluginConfig: [a]\n", `6: apply.pluginConfig: is not an object`},
		"config not a number":  {open + "  pluginConfig:\n    a:\n      - .nan\n", `8: apply.pluginConfig.a[0]: .nan has no form in JSON; write a number, or a text in quotes`},
		"config null":          {open + "  pluginConfig: {a: null}\n", `6: apply.pluginConfig.a: null gets lost on its way through kubectl apply; leave the key out`},
		"config loses digits":  {open + "  pluginConfig: {id: 9007199254740993}\n", `6: apply.pluginConfig.id: 9007199254740993 loses digits on its way as a JSON number; write it in quotes`},
		"config loses sign":    {open + "  pluginConfig: {id: -9007199254740993}\n", `6: apply.pluginConfig.id: -9007199254740993 loses digits`},
		"config huge number":   {open + "  pluginConfig: {id: 99999999999999999999999}\n", `6: apply.pluginConfig.id: 99999999999999999999999 is too large for a number; write it in quotes`},
		"config too deep":      {open + "  pluginConfig: {a: " + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "}\n", `6: apply.pluginConfig: is nested deeper than 64 levels`},
		"alias bomb":           {open + "  pluginConfig:\n    a: &a [x, x]\n    b: [*a, *a]\n", `7: anchors, aliases and tags are not read here; write the value itself`},
		"merge key":            {open + "  pluginConfig:\n    <<: {a: b}\n", `7: anchors, aliases and tags are not read here`},
		"tag":                  {open + "  pluginConfig: {a: !!binary aGk=}\n", `6: anchors, aliases and tags are not read here`},
		"both targets":         {open + "  selector: {app: a}\n  targetRefs: [{kind: Gateway, name: web}]\n", `7: apply.targetRefs: cannot stand beside selector; keep the one that you mean`},
		"empty selector":       {open + "  selector: {}\n", `6: apply.selector: has no labels, and would select every workload; write some, or leave it out`},
		"wildcard":             {open + "  selector: {app: 'web-*'}\n", `6: apply.selector.app: "web-*" is no label value`},
		"label injects":        {open + "  selector: {app: \"a\\nspec: {}\"}\n", `6: apply.selector.app: "a\nspec: {}" is no label value`},
		"label key":            {open + "  selector: {'a b': c}\n", `6: apply.selector: "a b" is no label key; write name or prefix/name`},
		"label a number":       {open + "  selector: {version: 1.50}\n", `6: apply.selector.version: 1.50 is no text; write it in quotes`},
		"kind":                 {open + "  targetRefs: [{kind: Gatway, name: web}]\n", `6: apply.targetRefs[0].kind: unknown kind "Gatway"; did you mean "Gateway"?`},
		"no kind":              {open + "  targetRefs:\n    - name: web\n", `7: apply.targetRefs[0].kind: unknown kind ""; write Gateway, GatewayClass, Service or ServiceEntry`},
		"group":                {open + "  targetRefs: [{kind: Gateway, group: networking.istio.io, name: web}]\n", `6: apply.targetRefs[0].group: "networking.istio.io" has no Gateway; it is in group "gateway.networking.k8s.io", which needs not be written`},
		"target name":          {open + "  targetRefs: [{kind: Gateway, name: Web}]\n", `6: apply.targetRefs[0].name: "Web" is no name of a Kubernetes object; give the Gateway's name`},
		"target twice":         {open + "  targetRefs: [{kind: Gateway, name: a}, {kind: Gateway, name: a}]\n", `6: apply.targetRefs[1]: is there twice; remove one`},
		"many targets":         {open + "  targetRefs: [" + strings.Repeat("{kind: Gateway, name: a},", 17) + "]\n", `6: apply.targetRefs: 17 entries; Istio takes at most 16`},
		"target and sidecar":   {open + "  contexts: [inbound]\n  targetRefs: [{kind: Gateway, name: web}]\n", `6: apply.contexts[0]: "inbound" is a sidecar's, and targetRefs name gateways`},
		"namespace":            {open + "  namespace: Shop\n", `6: apply.namespace: "Shop" is no namespace; use lowercase letters, digits and hyphens, at most 63`},
		"namespace injects":    {open + "  namespace: \"a\\n---\\nkind: Secret\"\n", `6: apply.namespace: "a\n---\nkind: Secret" is no namespace`},
		"env name":             {open + "  vmConfig: {env: [{name: 1A}]}\n", `6: apply.vmConfig.env[0].name: "1A" is no name of a variable`},
		"env reserved":         {open + "  vmConfig: {env: [{name: ISTIO_META_WASM_IMAGE_PULL_SECRET}]}\n", `6: apply.vmConfig.env[0].name: "ISTIO_META_WASM_IMAGE_PULL_SECRET" is for Istio's own use; choose another name`},
		"env twice":            {open + "  vmConfig: {env: [{name: A}, {name: A}]}\n", `6: apply.vmConfig.env[1].name: "A" is there twice; remove one`},
		"env value and host":   {open + "  vmConfig: {env: [{name: A, value: b, valueFrom: HOST}]}\n", `6: apply.vmConfig.env[0].value: cannot be given with valueFrom HOST`},
		"env from":             {open + "  vmConfig: {env: [{name: A, valueFrom: host}]}\n", `6: apply.vmConfig.env[0].valueFrom: unknown valueFrom "host"; did you mean "HOST"?`},
		"env long":             {open + "  vmConfig: {env: [{name: A, value: " + strings.Repeat("x", 2049) + "}]}\n", `6: apply.vmConfig.env[0].value: 2049 bytes; Istio takes at most 2048`},
		"env NUL":              {open + "  vmConfig: {env: [{name: A, value: \"a\\0b\"}]}\n", `6: apply.vmConfig.env[0].value: has a NUL character`},
		"many env":             {open + "  vmConfig: {env: [" + strings.Repeat("{name: A},", 257) + "]}\n", `6: apply.vmConfig.env: 257 variables; Istio takes at most 256`},
		"secret":               {open + "  imagePullSecret: a/b\n", `6: apply.imagePullSecret: "a/b" is no name of a secret`},
		"folder escapes":       {open + "  modulesDir: /modules/../etc\n", `6: apply.modulesDir: "/modules/../etc" is no folder's absolute path`},
		"folder relative":      {open + "  modulesDir: modules\n", `6: apply.modulesDir: "modules" is no folder's absolute path`},
		"a text for a list":    {open + "  contexts: inbound\n", `6: apply.contexts: "inbound" is a single value; write a list`},
		"a list for a text":    {open + "  phase: [AUTHN]\n", `6: apply.phase is a list; write a text`},
		"a list for a map":     {open + "  selector: [app]\n", `6: apply.selector is a list; write key: value pairs`},
		"a map for a text":     {open + "  phase: {a: b}\n", `6: apply.phase has fields; write a text`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkEditor(t, name, metadata+"apply:\n"+test.apply)
			_, path, err := read(t, metadata+"apply:\n"+test.apply)
			if err == nil || !strings.HasPrefix(withoutColumn(err), path+":"+test.want) {
				t.Errorf("error is %v\nwant it to start with the path and :%s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %v", err)
			}
		})
	}
	if _, path, err := read(t, metadata+"apply: yes\n"); err == nil || err.Error() != path+`:4:8: apply: "yes" is a single value; write key: value pairs` {
		t.Errorf("a text as section gives %v", err)
	}
	if _, path, err := read(t, "title: \"\xff\"\n"); err == nil || err.Error() != path+": not UTF-8; save the file in that encoding" {
		t.Errorf("another encoding gives %v", err)
	}
}

func TestEffective(t *testing.T) {
	t.Parallel()
	gateway := []catalog.TargetRef{{Kind: "Gateway", Name: "web"}}
	for _, test := range []struct {
		apply    catalog.Apply
		contexts string
		mode     string
	}{
		{catalog.Apply{}, "[inbound outbound gateway]", "CLIENT_AND_SERVER"},
		{catalog.Apply{Contexts: []string{"gateway", "inbound"}}, "[inbound gateway]", "CLIENT_AND_SERVER"},
		{catalog.Apply{Contexts: []string{"inbound"}}, "[inbound]", "SERVER"},
		{catalog.Apply{Contexts: []string{"outbound"}}, "[outbound]", "CLIENT"},
		{catalog.Apply{Contexts: []string{"gateway"}}, "[gateway]", "CLIENT"},
		{catalog.Apply{Contexts: []string{"gateway", "outbound"}}, "[outbound gateway]", "CLIENT"},
		{catalog.Apply{Contexts: []string{"inbound"}, Mode: "CLIENT_AND_SERVER"}, "[inbound]", "CLIENT_AND_SERVER"},
		{catalog.Apply{TargetRefs: gateway}, "[gateway]", "CLIENT_AND_SERVER"},
		{catalog.Apply{TargetRefs: gateway, Mode: "CLIENT"}, "[gateway]", "CLIENT"},
	} {
		if got := fmt.Sprint(test.apply.EffectiveContexts()); got != test.contexts {
			t.Errorf("%+v has contexts %s, want %s", test.apply, got, test.contexts)
		}
		if got := test.apply.EffectiveMode(); got != test.mode {
			t.Errorf("%+v has mode %s, want %s", test.apply, got, test.mode)
		}
	}
}
