package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// TestNotFetched: a module whose sha256 is another, or whose storage Envoy has no reason to trust,
// is not run. Requests then get what was chosen for this case.
//
// No scenario can say this: where modules come from is the place's business.
func TestNotFetched(t *testing.T) {
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		modules := one(t)
		m := modules[0]
		wrong := envoyconf.Remote{URL: m.URL, SHA256: strings.Repeat("0", 64), Retries: -1} // retries take seconds and would change nothing
		refuses := scenario.Expect{Response: &scenario.Response{Status: http.StatusServiceUnavailable, Body: &scenario.Content{Exactly: new(string)}}}
		passes := scenario.Expect{
			Response: &scenario.Response{Status: http.StatusOK},
			Upstream: &scenario.Seen{Headers: map[string]scenario.Text{"x-kept": {Exactly: scenario.Values{"yes"}}}},
		}
		for name, test := range map[string]struct {
			from     envoyconf.Remote
			strategy string
			expect   scenario.Expect
		}{
			"wrong-sha256":           {wrong, catalog.FailClose, refuses},
			"wrong-sha256-fail-open": {wrong, catalog.FailOpen, passes},
			"https-stranger":         {served(t, modules, selfSigned(t), -1)[m.Name], catalog.FailClose, refuses},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test.expect.Log = []scenario.Line{ // Envoy says that it gave up, and for which plugin
					{Level: "warning", Contains: scenario.Values{"Retry limit exceeded for fetching data from remote data source"}},
					{Level: "critical", Contains: scenario.Values{"Plugin ", "failed to load"}},
				}
				s := scenario.Scenario{
					Name: name, Filter: m.Name,
					Proxy: scenario.Proxy{Settings: scenario.Settings{PluginConfig: "", FailStrategy: test.strategy}},
					Steps: []scenario.Step{{
						Name:    "the proxy does what was chosen, and says why",
						Request: &scenario.Request{Path: "/headers", Headers: map[string]scenario.Values{"x-kept": {"yes"}}, Times: 3},
						Expect:  test.expect,
					}},
				}
				play(t, bin, modules, []scenario.Scenario{s}, func(*scenario.Scenario) sources { return sources{m.Name: test.from} })
			})
		}
	})
}

// https serves the modules from an https storage whose certificate Envoy trusts.
func https(t *testing.T, modules []builtModule) sources {
	t.Helper()
	return served(t, modules, nil, 0)
}

// served serves the modules from an https storage. Envoy trusts the authority with the given
// certificate, or if it is nil, the storage's own.
func served(t *testing.T, modules []builtModule, trusted []byte, retries int) sources {
	t.Helper()
	server := httptest.NewUnstartedServer(suite.storage)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one client is meant to hang up
	server.StartTLS()
	t.Cleanup(server.Close)
	if trusted == nil {
		trusted = server.Certificate().Raw
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted}), 0o644); err != nil {
		t.Fatal(err)
	}
	from := sources{}
	for _, m := range modules {
		url := strings.Replace(m.URL, suite.storage.URL(""), server.URL+"/", 1)
		from[m.Name] = envoyconf.Remote{URL: url, SHA256: m.SHA256, CAFile: ca, Retries: retries}
	}
	return from
}

// selfSigned is the certificate of an authority that nobody knows.
func selfSigned(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
