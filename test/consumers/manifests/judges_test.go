// Package manifests tests whether Istio's, Envoy Gateway's and kustomize's own code
// accepts the manifests that Slipway renders, and what it makes of them.
package manifests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	crdvalidation "istio.io/istio/pkg/config/crd"
	"istio.io/istio/pkg/config/schema/collections"
	_ "istio.io/istio/pkg/config/validation/envoyfilter" // the webhook's check of EnvoyFilter

	"github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
)

const golden = "../../../deploy/manifest/testdata/golden"

// forms are the folders whose files a mesh judges.
var forms = []string{
	objects.WasmPluginOCI, objects.WasmPluginHTTP,
	objects.TrafficExtensionOCI, objects.TrafficExtensionHTTP,
	objects.EnvoyFilterHTTP, objects.EnvoyFilterLocal,
	objects.EnvoyExtensionPolicyOCI, objects.EnvoyExtensionPolicyHTTP,
}

// goldenFiles are the objects in the golden files, by "filter/form".
func goldenFiles(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(golden), ".", func(name string, entry fs.DirEntry, err error) error {
		folder := path.Dir(name)
		if err != nil || entry.IsDir() || path.Base(name) == "kustomization.yaml" || !isForm(path.Base(folder)) {
			return err
		}
		content, err := os.ReadFile(filepath.Join(golden, name))
		files[folder] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func isForm(folder string) bool {
	for _, form := range forms {
		if form == folder {
			return true
		}
	}
	return false
}

// schemas are the CRDs of Istio and of Envoy Gateway, from their own modules.
var schemas = sync.OnceValues(func() (*crdvalidation.Validator, error) {
	istio, err := moduleDir("istio.io/istio")
	if err != nil {
		return nil, err
	}
	gateway, err := moduleDir("github.com/envoyproxy/gateway")
	if err != nil {
		return nil, err
	}
	return crdvalidation.NewValidatorFromFiles(
		filepath.Join(istio, "manifests/charts/base/files/crd-all.gen.yaml"),
		filepath.Join(gateway, "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_envoyextensionpolicies.yaml"),
	)
})

func moduleDir(module string) (string, error) {
	output, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(output)), nil
}

// checkSchema is what the API server does: schema, unknown fields, CEL rules.
func checkSchema(content string) error {
	validator, err := schemas()
	if err != nil {
		return err
	}
	return validator.ValidateCustomResourceYAML(content, nil)
}

// standing is the warning that istiod gives for every EnvoyFilter.
const standing = "EnvoyFilter exposes internal implementation details"

// checkWebhook does what istiod's admission webhook does, but treats warnings as
// errors.
func checkWebhook(content string) error {
	configs, others, err := crd.ParseInputs(content)
	if err != nil {
		return err
	}
	if len(others) > 0 || len(configs) != 1 {
		return fmt.Errorf("read %d objects of Istio's and %d others, want 1", len(configs), len(others))
	}
	c := configs[0]
	schema, ok := collections.Pilot.FindByGroupVersionAliasesKind(c.GroupVersionKind)
	if !ok {
		return fmt.Errorf("istiod knows no %s", c.GroupVersionKind)
	}
	warnings, err := schema.ValidateConfig(c)
	if err != nil {
		return err
	}
	return warningsToErrors(warnings)
}

func warningsToErrors(warnings error) error {
	var errs []error
	for _, warning := range flatten(warnings) {
		if !strings.HasPrefix(warning.Error(), standing) {
			errs = append(errs, fmt.Errorf("warning: %w", warning))
		}
	}
	return errors.Join(errs...)
}

// flatten splits Istio's list of warnings.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	var list interface{ WrappedErrors() []error }
	if errors.As(err, &list) {
		return list.WrappedErrors()
	}
	return []error{err}
}
