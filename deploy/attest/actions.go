package attest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Variables that GitHub Actions sets in a job with the permission "id-token: write".
//
// Reference: https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
const (
	tokenURLVariable = "ACTIONS_ID_TOKEN_REQUEST_URL"
	tokenVariable    = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// audience is the intended reader of the identity token.
//
// Reference: https://github.com/sigstore/fulcio/blob/main/docs/oidc.md
const audience = "sigstore"

// HasIdentity reports whether this process can sign keyless: it runs in a job of
// GitHub Actions that may ask for an identity token.
func HasIdentity() bool {
	return os.Getenv(tokenURLVariable) != "" && os.Getenv(tokenVariable) != ""
}

// IdentityToken asks GitHub Actions for a token that identifies the workflow run. The
// token is a secret, valid for minutes.
func IdentityToken(ctx context.Context) (string, error) {
	if !HasIdentity() {
		return "", ErrNoSigner
	}
	token, err := requestToken(ctx, os.Getenv(tokenURLVariable), os.Getenv(tokenVariable))
	if err != nil {
		return "", fmt.Errorf("ask GitHub Actions for an identity token: %w", err)
	}
	return token, nil
}

func requestToken(ctx context.Context, address, secret string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("%s is no URL", tokenURLVariable)
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "bearer "+secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		// url.Error is unwrapped, because its text repeats the URL.
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answers %s", response.Status)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&answer); err != nil || answer.Value == "" {
		return "", errors.New("its answer holds no token")
	}
	return answer.Value, nil
}

// claims are the claims of a GitHub Actions token that are used here.
//
// Reference: https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims
type claims struct {
	// JobWorkflowRef is the workflow file that defines the job, such as
	// "acme/filters/.github/workflows/a.yml@refs/tags/v1". In a called reusable
	// workflow, it is not the run's own file.
	JobWorkflowRef string `json:"job_workflow_ref"`
	// Issuer is who vouches for the rest.
	Issuer string `json:"iss"`
	// Repository is the one whose workflow runs, such as "acme/filters".
	Repository string `json:"repository"`
}

// CheckIdentity compares the identity with which this job of GitHub Actions would sign keyless
// with the one that a policy accepts. If they differ, the error is ErrIdentity. Without an
// identity, the error is ErrNoSigner.
func CheckIdentity(ctx context.Context, policy Policy) error {
	token, err := IdentityToken(ctx)
	if err != nil {
		return err
	}
	c, err := readClaims(token)
	if err != nil {
		return err
	}
	server := os.Getenv("GITHUB_SERVER_URL") + "/"
	var problems []error
	for _, part := range []struct{ what, is, accepted string }{
		{"identity", server + c.JobWorkflowRef, policy.Identity},
		{"issuer", c.Issuer, policy.Issuer},
		{"repository", server + c.Repository, policy.Repository},
	} {
		if part.accepted != "" && part.is != part.accepted {
			problems = append(problems, fmt.Errorf("this job's %s is %s, and %s %w", part.what, part.is, part.accepted, ErrIdentity))
		}
	}
	return errors.Join(problems...)
}

// readClaims does not verify the token: GitHub has just handed it out.
func readClaims(token string) (c claims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("the identity token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err != nil {
		return c, errors.New("the identity token cannot be read")
	}
	return c, nil
}
