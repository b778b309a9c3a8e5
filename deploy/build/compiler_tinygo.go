package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// tinyGoCompiler is the TinyGo at path. If version is not empty, TinyGo must have that
// version.
type tinyGoCompiler struct{ path, toolchain, cache, version string }

var _ Compiler = tinyGoCompiler{}

// MinTinyGo is the oldest TinyGo that builds filters. Older ones lack -buildmode=c-shared:
// https://github.com/tinygo-org/tinygo/blob/dev/CHANGELOG.md
const MinTinyGo = "0.36.0"

// tinyGoTarget are the flags that also decide which files TinyGo compiles.
//
// c-shared makes a WASI reactor, as the ordinary Go compiler does. Without it TinyGo makes a
// WASI command. Since TinyGo 0.36 its _start calls proc_exit. Envoy traps that call, and so
// does not load the module.
//
// custommalloc leaves out TinyGo's own malloc. Envoy prefers an exported malloc to
// proxy_on_memory_allocate. TinyGo's malloc pins every buffer that it returns, so the proxy's
// memory would grow with each request.
var tinyGoTarget = []string{"-target=wasip1", "-buildmode=c-shared", "-scheduler=none", "-tags=custommalloc"}

// tinyGoFlags adds -no-debug: debug information holds the paths of folders.
var tinyGoFlags = append([]string{"-no-debug"}, tinyGoTarget...)

func (c tinyGoCompiler) env() []string {
	env := environment(c.toolchain, c.cache)
	if c.cache == "" && os.Getenv("HOME") == "" && os.Getenv("XDG_CACHE_HOME") == "" {
		// TinyGo panics if it has no place for its cache.
		env = append(env, "XDG_CACHE_HOME="+filepath.Join(os.TempDir(), "slipway-tinygo-cache"))
	}
	return env
}

var tinyGoVersion = regexp.MustCompile(`tinygo version (\S+) .*using go version (go[0-9][^ )]*)`)

func (c tinyGoCompiler) Describe(ctx context.Context) (Toolchain, error) {
	text, err := output(ctx, "", c.env(), c.path, "version")
	if err != nil {
		return Toolchain{}, fmt.Errorf("run %s with %s: %w", c.path, c.toolchain, err)
	}
	match := tinyGoVersion.FindStringSubmatch(string(text))
	if match == nil {
		return Toolchain{}, fmt.Errorf("run %s: found no version in %q", c.path, strings.TrimSpace(string(text)))
	}
	if err := c.check(match[1]); err != nil {
		return Toolchain{}, err
	}
	tags, err := c.buildTags(ctx)
	if err != nil {
		return Toolchain{}, err
	}
	return Toolchain{Name: TinyGo, Version: match[1], GoVersion: match[2], Flags: tinyGoFlags, BuildTags: tags}, nil
}

// Errors about the TinyGo that was found.
var (
	// ErrOldTinyGo says that TinyGo is older than MinTinyGo.
	ErrOldTinyGo = errors.New("makes no module that Envoy loads")
	// ErrOtherTinyGo says that TinyGo has another version than the requested one.
	ErrOtherTinyGo = errors.New("was asked for")
	// ErrTinyGoCrashed says that TinyGo panicked.
	ErrTinyGoCrashed = errors.New("TinyGo itself crashed, which is not an error in the filter")
)

// check refuses a TinyGo that is too old, or has another version than the requested one.
func (c tinyGoCompiler) check(version string) error {
	found, err := semver.StrictNewVersion(version)
	if err != nil {
		return fmt.Errorf("%s is TinyGo %s, which is not a version: %w", c.path, version, err)
	}
	if oldest := semver.MustParse(MinTinyGo); found.LessThan(oldest) {
		return fmt.Errorf("%s is TinyGo %s, which %w: it takes TinyGo %s or later", c.path, version, ErrOldTinyGo, MinTinyGo)
	}
	if c.version != "" && c.version != version {
		return fmt.Errorf("%s is TinyGo %s, and %s %w; install that", c.path, version, c.version, ErrOtherTinyGo)
	}
	return nil
}

// buildTags asks TinyGo for the build tags that it sets. They name its target, garbage
// collector and scheduler, and change from version to version.
func (c tinyGoCompiler) buildTags(ctx context.Context) ([]string, error) {
	text, err := output(ctx, "", c.env(), c.path, slices.Concat([]string{"info"}, tinyGoTarget, []string{"-json"})...)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its build tags: %w", c.path, err)
	}
	var info struct {
		BuildTags []string `json:"build_tags"`
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("ask %s for its build tags: %w", c.path, err)
	}
	// A list without this tag would silently leave out TinyGo's own files.
	if !slices.Contains(info.BuildTags, TinyGo) {
		return nil, fmt.Errorf("ask %s for its build tags: tinygo is not among %q", c.path, info.BuildTags)
	}
	return info.BuildTags, nil
}

func (c tinyGoCompiler) Compile(ctx context.Context, dir, out string) error {
	args := append(append([]string{"build"}, tinyGoFlags...), "-o", out, ".")
	_, err := output(ctx, dir, c.env(), c.path, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		return fmt.Errorf("%w: %w", ErrTinyGoCrashed, err)
	}
	return err
}
