package attest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// actions sets the environment of a job, without the right to an identity.
func actions(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"GITHUB_ACTIONS":      "true",
		"GITHUB_SERVER_URL":   "https://github.com",
		"GITHUB_REPOSITORY":   "acme/filters",
		"GITHUB_WORKFLOW_REF": "acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0",
		"GITHUB_RUN_ID":       "7",
		"GITHUB_RUN_ATTEMPT":  "2",
		tokenURLVariable:      "",
		tokenVariable:         "",
	} {
		t.Setenv(name, value)
	}
}

func TestFindBuilder(t *testing.T) {
	actions(t)
	got, err := FindBuilder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const run = "https://github.com/acme/filters/actions/runs/7/attempts/2"
	workflow := Workflow{Repository: "https://github.com/acme/filters", Ref: "refs/tags/v1.4.0", Path: ".github/workflows/release.yml"}
	if got.ID != "https://github.com/acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0" || got.InvocationID != run || *got.Workflow != workflow {
		t.Errorf("in a job: %+v %+v", got, got.Workflow)
	}
	t.Setenv("GITHUB_ACTIONS", "")
	if got, err := FindBuilder(t.Context()); err != nil || got != (Builder{ID: LocalBuilder}) {
		t.Errorf("elsewhere: %+v, %v", got, err)
	}
}

// TestFindBuilderReusable: in a reusable workflow, the builder is the called workflow,
// which is also the identity that signs.
func TestFindBuilderReusable(t *testing.T) {
	const secret = "request-s3cret"
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"job_workflow_ref":"slipway-wasm/slipway/.github/workflows/filters.yml@refs/tags/v2"}`))
	answer, status := fmt.Sprintf(`{"value":"e30.%s.sig"}`, claims), http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer "+secret || r.URL.Query().Get("audience") != "sigstore" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	actions(t)
	t.Setenv(tokenURLVariable, server.URL+"/token?api-version=1")
	t.Setenv(tokenVariable, secret)
	got, err := FindBuilder(t.Context())
	if err != nil || got.ID != "https://github.com/slipway-wasm/slipway/.github/workflows/filters.yml@refs/tags/v2" || got.Workflow.Path != ".github/workflows/release.yml" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		answer string
		status int
		want   string
	}{
		"down":     {"", http.StatusBadGateway, "502"},
		"no token": {`{}`, http.StatusOK, "holds no token"},
		"no JWT":   {`{"value":"opaque-t0ken"}`, http.StatusOK, "is no JWT"},
		"no JSON":  {`{"value":"opaque-t0ken.###.x"}`, http.StatusOK, "cannot be read"},
	} {
		answer, status = c.answer, c.status
		_, err := FindBuilder(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	server.Close()
	if _, err := FindBuilder(t.Context()); err == nil || strings.Contains(err.Error(), "api-version") {
		t.Errorf("nobody there: %v", err)
	}
}
