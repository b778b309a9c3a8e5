package targets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Where nothing can sign, the step reports what is there: at first nothing that is
// signed and, in a job after the one that signed, everything.
func TestAttestWithoutASigner(t *testing.T) {
	project(t)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "")
	registry, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Close() })
	c := variables.Values{Registry: registry.Addr() + "/acme", RegistryPlainHTTP: true}
	git(t, "tag", "v1.4.0")
	maker := builtBefore(t)
	step := func() string {
		t.Helper()
		var log bytes.Buffer
		options, err := releaseOptions(c, "1.4.0", releaseChoices{Until: rel.StepAttest}, Output{Out: &log, Err: &log})
		if err == nil {
			options.Maker = maker
			_, err = rel.Release(t.Context(), options)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		return log.String()
	}

	unsigned := step()
	headers := c.Registry + "/headers:1.4.0"
	for _, want := range []string{"no signature of " + headers, "no provenance of " + headers, "sbom of " + headers + ": it is not signed", "nobody says who signs"} {
		if !strings.Contains(unsigned, want) {
			t.Errorf("unsigned, it does not say %q:\n%s", want, unsigned)
		}
	}
	// If SIGN_KEY holds a key instead of a file's name, the key is not repeated,
	// neither on the way to the program that signs nor back.
	pem := "-----BEGIN PRIVATE KEY-----\nhunter2SECRET\n-----END PRIVATE KEY-----"
	for name, wrong := range map[string]variables.Values{
		"SIGN_KEY":     {SignKey: pem},
		"VERIFY_KEY":   {SignKey: "filter/headers/go.sum", VerifyKey: pem},
		"TRUSTED_ROOT": {SignKey: "filter/headers/go.sum", VerifyIdentity: "a", VerifyIssuer: "b", TrustedRoot: pem},
	} {
		wrong.Registry = c.Registry
		var out bytes.Buffer
		output := Output{Out: &out, Err: &out}
		for _, err := range []error{attestVersion(t.Context(), wrong, "1.4.0", output), verifyPublished(t.Context(), wrong, "1.4.0", output)} {
			if text := fmt.Sprint(err, out.String()); strings.Contains(text, "hunter2SECRET") || strings.Contains(text, "PRIVATE") {
				t.Errorf("%s is in %s", name, text)
			}
		}
	}
	// Another job signs, here with a key that is not stored.
	release, err := readRelease(t.Context(), c, "1.4.0")
	if err != nil {
		t.Fatal(err)
	}
	r, done, err := openRegistry(t.Context(), c, "", Output{Err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = attest.Sign(t.Context(), attest.SignOptions{Registry: r, Release: *release, Builder: attest.Builder{ID: attest.LocalBuilder}, Signer: attest.Signer{Rehearsal: true}})
	if err = errors.Join(err, done()); err != nil {
		t.Fatal(err)
	}
	signed := step()
	if strings.Count(signed, " was there already\n") != 6 || strings.Contains(signed, "no signature") {
		t.Errorf("signed, it says\n%s", signed)
	}
}

// builtBefore returns a Maker for what is in dist. It passes all tests at once.
func builtBefore(t *testing.T) rel.Maker {
	t.Helper()
	built := map[string][]byte{}
	for _, pattern := range []string{"dist/*.wasm", "dist/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if built[filepath.Base(file)], err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	return quickMaker{build: func(_ context.Context, opts build.Options) ([]build.Module, error) {
		if err := os.MkdirAll(opts.Dist, 0o755); err != nil {
			return nil, err
		}
		for name, content := range built {
			if err := os.WriteFile(filepath.Join(opts.Dist, name), content, 0o600); err != nil {
				return nil, err
			}
		}
		return build.Load(opts.Dist, catalog.NamesOf(opts.Filters))
	}}
}

// quickMaker builds other modules than the real one, and passes tests without running
// them.
type quickMaker struct {
	build func(context.Context, build.Options) ([]build.Module, error)
}

func (m quickMaker) Build(ctx context.Context, opts build.Options) ([]build.Module, error) {
	return m.build(ctx, opts)
}

func (m quickMaker) Test(context.Context, gotest.Options) error { return nil }

func (m quickMaker) E2E(_ context.Context, opts gotest.Options) (scenario.Report, error) {
	modules, err := build.Load(opts.Dist, opts.Filters)
	played := scenario.Report{Modules: map[string]string{}, EnvoyVersions: []string{"1.40.0"}}
	for _, m := range modules {
		played.Modules[m.Name] = m.WasmSHA256
		played.Results = append(played.Results, scenario.Result{Scenario: "answers", Filter: m.Name, EnvoyVersion: "1.40.0", Outcome: scenario.Passed})
	}
	return played, err
}
