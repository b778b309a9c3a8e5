package targets

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/config"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	rel "github.com/slipway-wasm/slipway/deploy/release"
)

// Where nobody can sign, the step says what is there: nothing that is signed at first
// and, in a job after the one that signed, all of it.
func TestAttestWithoutASigner(t *testing.T) {
	project(t)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "")
	registry, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Close() })
	c := config.Config{Registry: registry.Addr() + "/acme", RegistryPlainHTTP: true}
	run(t, func(o Output) error { return push(t.Context(), c, "1.4.0", o) })
	r, done, err := openRegistry(t.Context(), c, "", Output{Err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = done() })
	record := rel.Record{Version: "1.4.0", Filters: []rel.Filter{{Name: "authtoken"}, {Name: "headers"}}}
	step := func(c config.Config) string {
		t.Helper()
		var log bytes.Buffer
		if err := attestRelease(t.Context(), c, record, r, &log); err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		return log.String()
	}

	unsigned := step(c)
	headers := c.Registry + "/headers:1.4.0"
	for _, want := range []string{"no signature of " + headers, "no provenance of " + headers, "sbom of " + headers + ": it is not signed", "set SIGN_KEY to a key"} {
		if !strings.Contains(unsigned, want) {
			t.Errorf("unsigned, it does not say %q:\n%s", want, unsigned)
		}
	}
	// A key where its file's name should be is not repeated, on the way to the program
	// that signs and back.
	pem := "-----BEGIN PRIVATE KEY-----\nhunter2SECRET\n-----END PRIVATE KEY-----"
	for name, wrong := range map[string]config.Config{
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
	step(config.Config{}) // signs with a key of its own, as a rehearsal does
	signed := step(c)
	if strings.Count(signed, " was there already\n") != 6 || strings.Count(signed, "\n") != 6 {
		t.Errorf("signed, it says\n%s", signed)
	}
}
