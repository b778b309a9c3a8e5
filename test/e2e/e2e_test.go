package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/test/e2e/scenario"
)

// TestScenarios plays every scenario for the filters that were built. It also plays the
// example of each filter, so that a new filter is tried without a line here.
func TestScenarios(t *testing.T) {
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		modules := modulesOf(t)
		from := storageSources(modules)
		parts := []part{examples(t, modules)}
		for _, s := range scenario.All(scenario.Options{AuthCluster: authCluster, Modules: moduleNames(modules)}) {
			parts = append(parts, part{s, from})
		}
		play(t, bin, "together", append(parts, https(t, modules)...))
	})
}

func moduleNames(modules []builtModule) []string {
	var names []string
	for _, m := range modules {
		names = append(names, m.Name)
	}
	return names
}

// storageSources is the embedded storage.
func storageSources(modules []builtModule) sources {
	s := sources{}
	for _, m := range modules {
		s[m.Name] = envoyconf.Remote{URL: m.URL, SHA256: m.SHA256}
	}
	return s
}

// examples has every filter, configured with the example of its filter.yaml.
func examples(t *testing.T, modules []builtModule) part {
	t.Helper()
	s := scenario.Scenario{Name: "examples"}
	for _, m := range modules {
		configuration, err := m.Metadata.ExampleConfiguration()
		if err != nil {
			t.Fatal(err)
		}
		s.Filters = append(s.Filters, scenario.Filter{Module: m.Name, Configuration: configuration})
	}
	s.Checks = []scenario.Check{{
		Name: "run with the examples of their filter.yaml",
		Run: func(ctx context.Context, e *scenario.Env) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL+"/get", http.NoBody)
			if err != nil {
				return err
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close() //nolint:errcheck // nothing was written
			if res.StatusCode == http.StatusServiceUnavailable {
				return errors.New("status 503: a filter cannot run")
			}
			return nil
		},
	}}
	return part{s, storageSources(modules)}
}

// https fetches a module from an https storage, and from one whose certificate Envoy
// has no reason to trust. The checks are those of other scenarios.
func https(t *testing.T, modules []builtModule) []part {
	t.Helper()
	i := slices.IndexFunc(modules, func(m builtModule) bool { return m.Name == "headers" })
	if i < 0 {
		return nil // left out by FILTERS
	}
	server := httptest.NewUnstartedServer(suite.storage)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one client is meant to hang up
	server.StartTLS()
	t.Cleanup(server.Close)
	from := func(certificate []byte, retries int) sources {
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644); err != nil {
			t.Fatal(err)
		}
		url := strings.Replace(modules[i].URL, suite.storage.URL(""), server.URL+"/", 1)
		return sources{"headers": {URL: url, SHA256: modules[i].SHA256, CAFile: ca, Retries: retries}}
	}

	trusted := named(t, "headers-as-lines")
	trusted.Name = "https"
	stranger := named(t, "wrong-sha256")
	stranger.Name = "https-stranger"
	stranger.Filters[0].WrongSum = false
	return []part{{trusted, from(server.Certificate().Raw, 0)}, {stranger, from(selfSigned(t), -1)}}
}

func named(t *testing.T, name string) scenario.Scenario {
	t.Helper()
	for _, s := range scenario.All(scenario.Options{AuthCluster: authCluster}) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no scenario %q", name)
	return scenario.Scenario{}
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
