package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// realStore is what command test/stores/serve prints of a store.
type realStore struct {
	Name        string
	Environment map[string]string
	Missing     string
}

// serveStores runs the command until the test ends.
func serveStores(t *testing.T) ([]realStore, error) {
	// It ends when its standard input ends: when this process does, if not before.
	cmd := exec.CommandContext(context.WithoutCancel(suite.ctx), "go", "run", "./serve")
	cmd.Dir = filepath.Join(root, "test", "stores")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var problem bytes.Buffer
	cmd.Stderr = &problem
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := errors.Join(input.Close(), cmd.Wait()); err != nil {
			t.Errorf("%v\n%s", err, problem.String())
		}
	})
	var stores []realStore
	decoder := json.NewDecoder(output)
	for range 2 {
		var store realStore
		if err := decoder.Decode(&store); err != nil {
			return nil, fmt.Errorf("start real stores: %w", err) // Cleanup says why
		}
		stores = append(stores, store)
	}
	return stores, nil
}

// upload runs "mage upload" and returns where the modules are then.
func (s realStore) upload(modules []builtModule) (sources, error) {
	cmd := exec.CommandContext(suite.ctx, "go", "tool", "mage", "upload", "0.0.1", "-json")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "FILTERS="+strings.Join(moduleNames(modules), ","))
	for name, value := range s.Environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var problem bytes.Buffer
	cmd.Stderr = &problem
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, problem.String())
	}
	var objects []storage.Object
	if err := json.Unmarshal(output, &objects); err != nil {
		return nil, fmt.Errorf("%s printed %q: %w", cmd, output, err)
	}
	from := sources{}
	for i, object := range objects {
		if object.WasmSHA256 != modules[i].SHA256 {
			return nil, fmt.Errorf("%s has wasm sha256 %s, built is %s", object.URL, object.WasmSHA256, modules[i].SHA256)
		}
		from[object.Filter] = envoyconf.Remote{URL: object.URL, SHA256: object.WasmSHA256}
	}
	return from, nil
}
