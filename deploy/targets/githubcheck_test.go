package targets

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// asJob sets what GitHub sets in a job that may ask for an identity, of a public repository.
func asJob(t *testing.T) {
	t.Helper()
	claims, err := json.Marshal(map[string]string{
		"iss": "https://issuer.example", "repository": "acme/filters", "job_workflow_ref": "slipway-wasm/slipway/.github/workflows/filters.yml@refs/tags/v1.4.0",
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"value": "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln"})
	}))
	t.Cleanup(server.Close)
	event := filepath.Join(t.TempDir(), "event.json")
	write(t, event, `{"repository": {"private": false}}`)
	for name, value := range map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": server.URL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "token",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REF_TYPE": "tag", "GITHUB_EVENT_PATH": event,
	} {
		t.Setenv(name, value)
	}
}

// TestGitHubCheck: the workflow's first job finds what would stop the release later.
func TestGitHubCheck(t *testing.T) {
	keys, err := filepath.Abs("testdata") // a key pair for tests only
	if err != nil {
		t.Fatal(err)
	}
	other, err := filepath.Abs("../attest/sigstore/signing/testdata/cosign.pub")
	if err != nil {
		t.Fatal(err)
	}
	secretProject(t)
	asJob(t)
	registry := startRegistry(t)
	key, err := os.ReadFile(filepath.Join(keys, "cosign.key"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COSIGN_PRIVATE_KEY", string(key))
	withKey := variables.Values{
		Registry: registry + "/acme", Sign: variables.SignWithKey, SignKey: "env://COSIGN_PRIVATE_KEY", VerifyKey: filepath.Join(keys, "cosign.pub"),
	}
	keyless := variables.Values{
		Registry: registry + "/acme", Sign: variables.SignKeyless, VerifyIssuer: "https://issuer.example", VerifyRepository: "https://github.com/acme/filters",
		VerifyIdentity: "https://github.com/slipway-wasm/slipway/.github/workflows/filters.yml@refs/tags/v1.4.0",
	}
	private := filepath.Join(t.TempDir(), "private.json")
	write(t, private, `{"repository": {"private": true}}`)
	for name, c := range map[string]struct {
		tag         string
		values      variables.Values
		change      func(*variables.Values)
		environment map[string]string
		want        string // part of the error, or of what is printed
	}{
		"with a key":     {"v1.4.0", withKey, nil, nil, "headers:1.4.0 as artifact"},
		"not signed":     {"v1.4.0", withKey, func(v *variables.Values) { v.Sign, v.VerifyKey = variables.SignNone, "" }, nil, "headers:1.4.0 as artifact"},
		"a branch":       {"main", withKey, nil, map[string]string{"GITHUB_REF_TYPE": "branch"}, `main is a branch, and a release is made of a tag; start the workflow on one, as with "gh workflow run release.yml --ref v1.4.0"`},
		"a moving tag":   {"v1", withKey, nil, nil, `version "1" is not a semantic version`},
		"a Go module's":  {"filter/v1.4.0", withKey, nil, nil, `"!filter/v*"`},
		"a bucket":       {"v1.4.0", withKey, func(v *variables.Values) { v.StorageURL = "s3://bucket/filters" }, nil, "storage s3://bucket/filters: this workflow uploads to https:// only"},
		"another server": {"v1.4.0", withKey, nil, map[string]string{"GITHUB_SERVER_URL": "https://github.example.com"}, "https://github.example.com is GitHub Enterprise Server"},
		"wrong password": {"v1.4.0", withKey, nil, map[string]string{"COSIGN_PASSWORD": "wrong"}, "COSIGN_PASSWORD does not decrypt it"},
		"no key":         {"v1.4.0", withKey, nil, map[string]string{"COSIGN_PRIVATE_KEY": ""}, "the variable of env://COSIGN_PRIVATE_KEY is empty"},
		"no public key":  {"v1.4.0", withKey, func(v *variables.Values) { v.VerifyKey = "" }, nil, "input verify-key"},
		"another pair":   {"v1.4.0", withKey, func(v *variables.Values) { v.VerifyKey = other }, nil, "the key that signs is not the pair of " + other},
		"no identity":    {"v1.4.0", keyless, nil, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, "id-token: write"},
		"other ref": {"v1.4.0", keyless, func(v *variables.Values) {
			v.VerifyIdentity = strings.TrimSuffix(v.VerifyIdentity, "refs/tags/v1.4.0") + "v1.4.0"
		}, nil, `the input slipway has to be what follows the @ of "uses", in full`},
		"other issuer":    {"v1.4.0", keyless, func(v *variables.Values) { v.VerifyIssuer = "https://token.example" }, nil, "this job's issuer is https://issuer.example, and https://token.example is what"},
		"private, public": {"v1.4.0", keyless, nil, map[string]string{"GITHUB_EVENT_PATH": private}, "the repository is private, and keyless signatures write its name into sigstore's public log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("COSIGN_PASSWORD", "test")
			for name, value := range c.environment {
				t.Setenv(name, value)
			}
			if c.change != nil {
				c.change(&c.values)
			}
			var out strings.Builder
			err := checkOnGitHub(t.Context(), c.values, c.tag, false, Output{Out: &out, Err: &out})
			text := out.String()
			if err != nil {
				text = err.Error()
			}
			if succeeds := strings.HasPrefix(c.want, "headers:"); !strings.Contains(text, c.want) || succeeds != (err == nil) {
				t.Errorf("error %v, want %q; it prints\n%s", err, c.want, out.String())
			}
			if strings.Contains(text, "PRIVATE KEY-----") {
				t.Errorf("a key is in\n%s", text)
			}
		})
	}
	t.Setenv("GITHUB_EVENT_PATH", private)
	options, err := releaseOptions(keyless, "v1.4.0", releaseChoices{}, Output{})
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSigner(t.Context(), keyless, options, true); err != nil {
		t.Errorf("with permission: %v", err)
	}
}

// TestGitHubTag: a release of all filters tags the Go modules below the repository's. gh sends
// each request that GitHub documents: https://docs.github.com/en/rest/git/refs
func TestGitHubTag(t *testing.T) {
	project(t)
	write(t, filepath.Join("filter", "go.mod"), "module example.com/filters/filter\n\ngo 1.22\n")
	info, err := gitinfo.Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	commit := info.Commit
	asked := withRecorder(t, "none")
	out := run(t, func(o Output) error { return tagModules(t.Context(), "v1.4.0", o) })
	for _, want := range []string{
		"api repos/{owner}/{repo}/git/ref/tags/filter/v1.4.0 --jq=.object.sha",
		"api repos/{owner}/{repo}/git/refs --method=POST --raw-field=ref=refs/tags/filter/v1.4.0 --raw-field=sha=" + commit,
	} {
		if !strings.Contains(asked(), want) {
			t.Errorf("gh was not asked\n%s\nbut\n%s", want, asked())
		}
	}
	if !strings.Contains(out, "filter/v1.4.0\n") {
		t.Errorf("it prints\n%s", out)
	}
	for there, want := range map[string]string{commit: "filter/v1.4.0 is there already.", strings.Repeat("0", 40): "a version of a Go module never changes", "down": "HTTP 502"} {
		asked := withRecorder(t, "none")
		write(t, filepath.Join(os.Getenv("GH_DIR"), "ref"), there)
		var out strings.Builder
		err := tagModules(t.Context(), "v1.4.0", Output{Out: &out, Err: &out})
		text := out.String()
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) || strings.Contains(asked(), "POST") {
			t.Errorf("%v, want %q; gh was asked\n%s", err, want, asked())
		}
	}
	out = run(t, func(o Output) error { return tagModules(t.Context(), "headers/v1.4.0", o) })
	if out != "headers/v1.4.0 releases one filter, and no Go module.\n" {
		t.Errorf("of one filter: %s", out)
	}
}
