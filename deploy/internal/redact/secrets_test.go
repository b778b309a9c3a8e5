package redact

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-of-the-storage"
	var c Secrets
	c.Add("user", secret)
	for text, want := range map[string]string{
		"Basic dXNlcjpodW50ZXIyLW9mLXRoZS1zdG9yYWdl":                       "Basic [hidden]",
		"it is " + secret + ".":                                            "it is [hidden].",
		`Put "https://a.blob.core.windows.net/c/k?sig=abc&se=1": refused`:  `Put "https://a.blob.core.windows.net/c/k": refused`,
		"GET https://h/k?X-Amz-Signature=abc: 403":                         "GET https://h/k: 403",
		"https://h/k: turn ?request_checksum_calculation=when_required on": "https://h/k: turn ?request_checksum_calculation=when_required on",
	} {
		if got := c.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	cause := &url.Error{Op: "Put", URL: "https://h/k?sig=" + secret, Err: errors.New("refused")}
	if err := c.Error(cause); !errors.Is(err, error(cause)) || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
}
