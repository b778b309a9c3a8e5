package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

func found(what string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return what, nil }
}

func missing(why string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return "", errors.New(why) }
}

func TestExamine(t *testing.T) {
	t.Parallel()
	list := []check{
		{"Go", "everything", true, found("1.26.8"), "from Go"},
		{"docker", "kind:up", false, missing("not on PATH"), "from docker"},
	}
	want := `ok       Go                  1.26.8
missing  docker              not on PATH
           for: kind:up
           get: from docker
`
	var out bytes.Buffer
	if err := examine(t.Context(), list, &out, false); err != nil || out.String() != want {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, &out, want)
	}
	list[0].look = missing("too old")
	out.Reset()
	if err := examine(t.Context(), list, &out, true); err == nil || !strings.HasSuffix(err.Error(), "without them: Go") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(out.String(), "\x1b[31mmissing\x1b[0m  Go") {
		t.Errorf("no colors in %q", out.String())
	}
}

// The checks find what is installed, and find nothing on an empty PATH.
func TestChecks(t *testing.T) {
	bin := t.TempDir()
	for name, script := range map[string]string{
		"kubectl":      `echo "Client Version: v1.36.3$REGISTRY_PASSWORD"`,
		"azurite-blob": "echo no number",
		"docker":       "echo cannot connect >&2; exit 1",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("REGISTRY_PASSWORD", ".999") // kubectl would repeat it
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	var out bytes.Buffer
	err := examine(t.Context(), checks(variables.Values{EnvoyVersions: []string{"1.36.4", "1.40.0"}}), &out, false)
	if err == nil || !strings.HasSuffix(err.Error(), "without them: Go, git") {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{
		"ok       kubectl             1.36.3\n",
		"ok       Azurite             " + filepath.Join(bin, "azurite-blob") + "\n",
		"missing  docker              docker version --format {{.Server.Version}}: exit status 1: cannot connect\n",
		"missing  TinyGo              neither on PATH nor downloaded\n",
		"missing  Envoy 1.36.4", "missing  Envoy 1.40.0",
		"missing  cosign              not on PATH\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
