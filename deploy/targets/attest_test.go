package targets

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/catalog"
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
	registry := startRegistry(t)
	c := variables.Values{Registry: registry + "/acme", RegistryPlainHTTP: true}
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
	for _, want := range []string{"no signature of " + headers, "no provenance of " + headers, "no test result of " + headers, "sbom of " + headers + ": it is not signed", "nobody says who signs"} {
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
		for _, err := range []error{attestVersion(t.Context(), wrong, "1.4.0", output), verifyPublished(t.Context(), wrong, "1.4.0", false, output)} {
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
	_, err = attest.Sign(t.Context(), attest.SignOptions{Registry: r, Release: *release, Builder: attest.Builder{ID: attest.LocalBuilder}, Signer: attest.Signer{Rehearsal: true}, Played: buildtest.Played(release.Filters...)})
	if err = errors.Join(err, done()); err != nil {
		t.Fatal(err)
	}
	signed := step()
	if strings.Count(signed, " was there already\n") != 8 || strings.Contains(signed, "no signature") || strings.Contains(signed, "nothing is signed here") {
		t.Errorf("signed, it says\n%s", signed)
	}
}

// TestTested: a release is signed with what was played. Another report, or another
// record, is named.
func TestTested(t *testing.T) {
	keys, err := filepath.Abs("testdata") // a key pair for tests only
	if err != nil {
		t.Fatal(err)
	}
	builder := secretProject(t)
	registry := startRegistry(t)
	t.Setenv("COSIGN_PASSWORD", "test")
	c := variables.Values{
		Registry: registry + "/acme", VerifyTested: true,
		SignKey: filepath.Join(keys, "cosign.key"), VerifyKey: filepath.Join(keys, "cosign.pub"),
	}
	ctx := t.Context()
	var log bytes.Buffer
	options, err := releaseOptions(c, "1.4.0", releaseChoices{}, Output{Out: &log, Err: &log})
	if err == nil {
		options.Maker = quickMaker{build: builder}
		_, err = rel.Release(ctx, options)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	const tests = "1 scenario in Envoy 1.40.0, signed with "
	verified := run(t, func(o Output) error { return verifyPublished(ctx, c, "1.4.0", false, o) })
	if !strings.Contains(verified, "tested      "+c.Registry+"/headers:1.4.0  ") || !strings.Contains(verified, tests+c.VerifyKey) || !strings.Contains(verified, "ok     record") {
		t.Errorf("verify prints\n%s", verified)
	}
	if tree := run(t, func(o Output) error { return listReferrers(ctx, c, "headers:1.4.0", o) }); !strings.Contains(tree, "test-result.sigstore.json") {
		t.Errorf("referrers prints\n%s", tree)
	}

	path := filepath.Join(dist, rel.RecordFile)
	record, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for old, change := range map[string][2]string{
		`"scenario": "answers"`:    {`"scenario": "does everything"`, `scenario "answers" in Envoy 1.40.0 is missing, and the signed test result says that it is "passed"`},
		`"envoyVersion": "1.40.0"`: {`"envoyVersion": "1.36.4"`, `scenario "answers" in Envoy 1.36.4 is "passed", and no signed test result says so`},
		`"outcome": "passed"`:      {`"outcome": "left out"`, `scenario "answers" in Envoy 1.40.0 is`},
		`"scenarios": [`:           {`"scenarios": [{"scenario": "more", "envoyVersion": "1.40.0", "outcome": "passed"},`, `scenario "more" in Envoy 1.40.0 is "passed", and no signed`},
	} {
		changed := strings.Replace(string(record), old, change[0], 1)
		if changed == string(record) {
			t.Fatalf("no %s in %s", old, record)
		}
		write(t, path, changed)
		err := verifyPublished(ctx, c, "1.4.0", false, Output{Out: io.Discard, Err: io.Discard})
		if err == nil || !strings.Contains(err.Error(), "the record is wrong: of "+c.Registry+"/headers:1.4.0, "+change[1]) {
			t.Errorf("%s: %v, want %q", change[0], err, change[1])
		}
	}
	write(t, path, string(record))

	// A release that cannot sign does not pass off its own tests as those that are signed.
	unable := c
	unable.SignKey = ""
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "")
	options, err = releaseOptions(unable, "1.4.0", releaseChoices{}, Output{Out: &log, Err: &log})
	if err == nil {
		options.Maker = quickMaker{build: builder, envoy: "1.36.4"}
		if err = os.RemoveAll(filepath.Join(dist, "release")); err == nil {
			_, err = rel.Release(ctx, options)
		}
	}
	if want := `headers:1.4.0: scenario "answers" in Envoy 1.36.4 is "passed", and no signed test result says so`; err == nil || !strings.Contains(err.Error(), "step verify: ") || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}

	modules, err := build.Load(dist, []string{"headers"})
	if err != nil {
		t.Fatal(err)
	}
	played := func(sum, envoy string, outcome scenario.Outcome) {
		t.Helper()
		writePlayed(t, scenario.Report{
			Modules: map[string]string{"headers": sum}, EnvoyVersions: []string{envoy},
			Results: []scenario.Result{{Scenario: "answers", Filter: "headers", EnvoyVersion: envoy, Outcome: outcome}},
		})
	}
	attested := func() (string, error) {
		var out bytes.Buffer
		err := attestVersion(ctx, c, "1.4.0", Output{Out: &out, Err: &out})
		return out.String(), err
	}
	if out, err := attested(); err != nil || !strings.Contains(out, "no test result is signed: there is no dist/e2e.json") || strings.Contains(out, "\ntest result of ") {
		t.Errorf("without a report: %v\n%s", err, out)
	}
	sum := modules[0].WasmSHA256
	for want, report := range map[string]func(){
		"play them with the module that is published": func() { played(strings.Repeat("0", 64), "1.40.0", scenario.Passed) },
		`the outcome is "failed"`:                     func() { played(sum, "1.40.0", scenario.Failed) },
		"read what was played from dist/e2e.json":     func() { write(t, filepath.Join(dist, scenario.ReportFile), "{") },
	} {
		report()
		if out, err := attested(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q\n%s", err, want, out)
		}
	}
	// The same tests are signed already, and others are not.
	for envoy, there := range map[string]bool{"1.40.0": true, "1.36.4": false} {
		played(sum, envoy, scenario.Passed)
		out, err := attested()
		_, line, _ := strings.Cut(out, "test result of ")
		if err != nil || !strings.HasPrefix(line, c.Registry+"/headers@sha256:") || strings.Contains(line, "was there already") != there {
			t.Errorf("%s: %v\n%s", envoy, err, out)
		}
	}
	verified = run(t, func(o Output) error { return verifyPublished(ctx, c, "1.4.0", false, o) })
	if !strings.Contains(verified, "1 scenario in Envoy 1.36.4, 1.40.0, signed with ") || !strings.Contains(verified, "ok     record") {
		t.Errorf("after another e2e, verify prints\n%s", verified)
	}
}

// TestRehearsedAgain: the key of a rehearsal is gone, so other tests are signed together
// with everything else, by a new key.
func TestRehearsedAgain(t *testing.T) {
	project(t)
	ctx, c := t.Context(), variables.Values{VerifyTested: true, Filters: []string{"headers"}}
	run(t, func(o Output) error { return push(ctx, c, "1.4.0", o) })
	modules, err := build.Load(dist, c.Filters)
	if err != nil {
		t.Fatal(err)
	}
	report := buildtest.Played(build.Built{Module: modules[0]})
	for i, there := range []int{0, 4, 0} {
		if i == 2 {
			report.Results = report.Results[:1]
		}
		writePlayed(t, *report)
		if out := run(t, func(o Output) error { return attestVersion(ctx, c, "1.4.0", o) }); strings.Count(out, " was there already") != there {
			t.Errorf("run %d:\n%s", i, out)
		}
		verified := run(t, func(o Output) error { return verifyPublished(ctx, c, "1.4.0", false, o) })
		if want := report.Results[0].EnvoyVersion + ", signed with "; i == 2 && !strings.Contains(verified, "1 scenario in Envoy "+want) {
			t.Errorf("verify prints\n%s", verified)
		}
	}
}

// writePlayed writes what e2e would write.
func writePlayed(t *testing.T, report scenario.Report) {
	t.Helper()
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dist, scenario.ReportFile), string(data))
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
	envoy string // the version that e2e reports; default: 1.40.0
}

func (m quickMaker) Build(ctx context.Context, opts build.Options) ([]build.Module, error) {
	return m.build(ctx, opts)
}

func (m quickMaker) Test(context.Context, gotest.Options) error { return nil }

func (m quickMaker) E2E(_ context.Context, opts gotest.Options) (scenario.Report, error) {
	modules, err := build.Load(opts.Dist, opts.Filters)
	envoy := cmp.Or(m.envoy, "1.40.0")
	played := scenario.Report{Modules: map[string]string{}, EnvoyVersions: []string{envoy}}
	for _, m := range modules {
		played.Modules[m.Name] = m.WasmSHA256
		played.Results = append(played.Results, scenario.Result{Scenario: "answers", Filter: m.Name, EnvoyVersion: envoy, Outcome: scenario.Passed})
	}
	return played, err
}

// TestSign: SIGN says how to sign, whatever else the environment offers.
func TestSign(t *testing.T) {
	registry := variables.Values{Registry: "127.0.0.1:1/acme"}
	for name, c := range map[string]struct {
		sign     variables.Signing
		key      string
		identity bool
		want     *attest.Signer
		wantErr  string
	}{
		"nothing":              {"", "", false, nil, ""},
		"identity":             {"", "", true, &attest.Signer{}, ""},
		"key":                  {"", "k", true, &attest.Signer{Key: "k"}, ""},
		"none":                 {variables.SignNone, "k", true, nil, ""},
		"keyless":              {variables.SignKeyless, "", true, &attest.Signer{}, ""},
		"keyless, too early":   {variables.SignKeyless, "", false, &attest.Signer{}, ""}, // the check says so
		"keyless with a key":   {variables.SignKeyless, "k", true, nil, "SIGN=keyless goes without it"},
		"with a key":           {variables.SignWithKey, "k", true, &attest.Signer{Key: "k"}, ""},
		"with a key, but none": {variables.SignWithKey, "", true, nil, "SIGN=key needs SIGN_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
				t.Setenv(variable, map[bool]string{true: "https://127.0.0.1:1"}[c.identity])
			}
			values := registry
			values.Sign, values.SignKey = c.sign, c.key
			got, err := configuredSigner(values)
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("error %v, want %q", err, c.wantErr)
				}
				return
			}
			if err != nil || (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
				t.Errorf("signer %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}
