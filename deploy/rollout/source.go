package rollout

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// ReleaseHeader is the response header in which each filter of the second release
// names itself and its version.
const ReleaseHeader = "X-Release"

func releaseValue(filter string) string { return filter + " " + Second }

const (
	entry        = "proxywasm.SetVMContext("
	stampedEntry = "setStampedVMContext("
)

// stamp is what the second release adds to the first one's sources, so that a client
// sees which code has run. %q is the header's value.
const stamp = `package main

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

func setStampedVMContext(c types.VMContext) { proxywasm.SetVMContext(stampedVM{c}) }

type stampedVM struct{ types.VMContext }

func (s stampedVM) NewPluginContext(id uint32) types.PluginContext {
	return stampedPlugin{s.VMContext.NewPluginContext(id)}
}

type stampedPlugin struct{ types.PluginContext }

func (s stampedPlugin) NewHttpContext(id uint32) types.HttpContext {
	return stampedStream{s.PluginContext.NewHttpContext(id)}
}

type stampedStream struct{ types.HttpContext }

func (s stampedStream) OnHttpResponseHeaders(n int, end bool) types.Action {
	_ = proxywasm.AddHttpResponseHeader(%q, %q)
	return s.HttpContext.OnHttpResponseHeaders(n, end)
}
`

// secondRelease copies the module with the filters to dir, changes each filter, and
// returns the filters in dir.
func secondRelease(filters []catalog.Filter, dir string) ([]catalog.Filter, error) {
	if err := os.CopyFS(dir, os.DirFS(filepath.Dir(filters[0].Dir))); err != nil {
		return nil, err
	}
	second := slices.Clone(filters)
	for i, f := range second {
		second[i].Dir = filepath.Join(dir, f.Name)
		main := filepath.Join(second[i].Dir, "main.go")
		source, err := os.ReadFile(main)
		if err != nil {
			return nil, err
		}
		if n := strings.Count(string(source), entry); n != 1 {
			return nil, fmt.Errorf("make release %s of %s: its main.go has %d calls of %s), not one", Second, f.Name, n, entry)
		}
		stamped := strings.Replace(string(source), entry, stampedEntry, 1)
		if err := os.WriteFile(main, []byte(stamped), 0o600); err != nil {
			return nil, err
		}
		content := fmt.Sprintf(stamp, strings.ToLower(ReleaseHeader), releaseValue(f.Name))
		if err := os.WriteFile(filepath.Join(second[i].Dir, "stamp.go"), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	return second, nil
}
