package foreground

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// TestServices: a filter runs beside the services that its scenarios script, if they name their
// clusters.
func TestServices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"main.go": "package main // tokens\n",
		"scenarios/one.yaml": "description: It calls.\nservices: {auth: {cluster: tokens, answers: [{headers: {x-token: \"a-${call}\"}}]}, tokens: {}}\n" +
			"proxy: {pluginConfig: {c: \"${services.tokens.cluster}\"}}\nsteps: [{name: a, request: {}, expect: {response: {status: 200}}}]\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := variables.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Backend: envoytest.MustFreeAddress(t), Config: config, Out: t.Output()}
	site, err := o.Open(t.Context(), Addresses{Backend: envoyconf.Address{Port: 1}}, catalog.Filter{Name: "mine", Dir: dir}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	}()
	if len(site.Services) != 1 || site.Services["tokens"] == nil {
		t.Fatalf("the services are %v", site.Services)
	}
	rendered, err := site.Render(envoyconf.Filter{Name: "mine", Source: envoyconf.Local{Path: "/mine.wasm"}})
	if err != nil || !strings.Contains(string(rendered), "name: tokens") {
		t.Errorf("%v\n%s", err, rendered)
	}
}
