package envoy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// inspectTimeout limits each of the two runs of a binary. An Envoy answers within a tenth of a
// second.
const inspectTimeout = 20 * time.Second

// reportedVersion matches the output of --version:
// "<path>  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL".
var reportedVersion = regexp.MustCompile(`version: [0-9a-f]+/([0-9]+\.[0-9]+\.[0-9]+)[^/]*/`)

// inspect asks the binary at path for its version and whether it runs wasm. An
// empty version accepts any.
func inspect(ctx context.Context, path, version string) (Binary, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Binary{}, fs.ErrNotExist
	case err != nil:
		return Binary{}, err
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return Binary{}, errors.New("is not an executable file")
	}

	out, err := ask(ctx, path, "--version")
	if err != nil {
		return Binary{}, fmt.Errorf("does not run: %w: %s", err, lastLine(out))
	}
	match := reportedVersion.FindStringSubmatch(out)
	if match == nil {
		return Binary{}, fmt.Errorf("prints %q, which is not an Envoy version", lastLine(out))
	}
	bin := Binary{Path: path, Version: match[1]}
	if version != "" && bin.Version != version {
		return Binary{}, fmt.Errorf("is Envoy %s, not the %s asked for", bin.Version, version)
	}

	// This module is empty, so Envoy always answers with an error. The error shows whether
	// there is a wasm runtime at all.
	out, _ = ask(ctx, path, "--mode", "validate", "--log-level", "warning", "--config-yaml", emptyModule)
	if err := ctx.Err(); err != nil {
		return Binary{}, err
	}
	if strings.Contains(out, "Envoy was compiled without support for it") {
		return Binary{}, fmt.Errorf("is an Envoy %s compiled without the V8 runtime and cannot run wasm", bin.Version)
	}
	return bin, nil
}

func ask(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = children.Environment(cmd.Environ())
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// emptyModule configures a filter whose module is a wasm header and nothing else.
const emptyModule = `
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: empty
          route_config: {}
          http_filters:
          - name: empty
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {inline_bytes: AGFzbQEAAAA=}}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
`
