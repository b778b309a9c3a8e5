package variables_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

func TestFromEnv(t *testing.T) {
	for _, v := range variables.Describe[variables.Values]() {
		t.Setenv(v.Name, "")
	}
	c, err := variables.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Filters) != 0 || c.Compiler != "" {
		t.Errorf("an empty environment gives %+v", c)
	}
	t.Setenv("FILTERS", "headers, authtoken ,\n")
	t.Setenv("COMPILER", "go")
	t.Setenv("REGISTRY", "ghcr.io/Acme/Filters")
	c, err = variables.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Filters, []string{"headers", "authtoken"}) || c.Compiler != "go" || c.Registry != "ghcr.io/acme/filters" {
		t.Errorf("the environment gives %+v", c)
	}
}

// TestFromEnvRefuses: if a value is wrong, or in the wrong variable, the error names the
// variable and never repeats the value. Passwords may have any form.
func TestFromEnvRefuses(t *testing.T) {
	const secret = "hunter2SECRET"
	pem := "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n" + secret + "\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"
	inBase64 := base64.StdEncoding.EncodeToString([]byte(pem))
	for _, v := range variables.Describe[variables.Values]() {
		t.Setenv(v.Name, "")
	}
	for _, c := range []struct{ name, value, want string }{
		{"REGISTRY_PLAIN_HTTP", secret, "REGISTRY_PLAIN_HTTP should be true or false"},
		{"TRANSFER_TIMEOUT", secret, "TRANSFER_TIMEOUT should be a duration, such as 10m"},
		{"MOVING_TAGS", secret, "MOVING_TAGS should be none, or not set; it is for: none leaves the moving tags"},
		{"STORAGE_LISTS", secret, "STORAGE_LISTS should be none, or not set; it is for: none writes and reads neither index.json"},
		{"SIGN", secret, "SIGN should be keyless, key or none"},
		{"SIGN_KEY", pem, "SIGN_KEY holds a key or a certificate itself; it should be: private key to sign with: a file"},
		{"SIGN_KEY", pem, "to a file (mode 0600), and give the file's name"},
		{"SIGN_KEY", inBase64, "SIGN_KEY holds a key or a certificate itself"},
		{"VERIFY_KEY", pem, "VERIFY_KEY holds a key or a certificate itself"},
		{"VERIFY_KEY", "\n" + pem, "VERIFY_KEY holds a key or a certificate itself"},
		{"TRUSTED_ROOT", `{"token": "` + secret + `"}`, "TRUSTED_ROOT holds JSON itself"},
		{"REGISTRY", secret + "\n" + secret, "REGISTRY holds more than one line"},
		{"FULCIO_URL", pem, "FULCIO_URL holds a key or a certificate itself"},
		{"FILTERS", pem, "FILTERS holds a key or a certificate itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			_, err := variables.FromEnv()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if text := fmt.Sprintf("%v %+v", err, errors.Unwrap(err)); strings.Contains(text, secret) || strings.Contains(text, inBase64) {
				t.Errorf("the value is in %q", text)
			}
		})
	}
	for _, name := range []string{"REGISTRY_PASSWORD", "STORAGE_PASSWORD", "STORAGE_TOKEN", "COSIGN_PASSWORD"} {
		t.Setenv(name, "{\n"+pem)
	}
	t.Setenv("SIGN_KEY", "cosign.key")
	if _, err := variables.FromEnv(); err != nil {
		t.Errorf("passwords of several lines: %v", err)
	}
}

// A program's own variables are read and described like those of Values.
func TestRead(t *testing.T) {
	type own struct {
		Size int `env:"OWN_SIZE" group:"own" doc:"how large" default:"1"`
	}
	t.Setenv("OWN_SIZE", "3")
	c, err := variables.Read[own]()
	if err != nil || c.Size != 3 {
		t.Errorf("read %+v, error %v", c, err)
	}
	want := []variables.Variable{{Name: "OWN_SIZE", Group: "own", Doc: "how large", Default: "1"}}
	if got := variables.Describe[own](); !slices.Equal(got, want) {
		t.Errorf("described as %+v", got)
	}
}
