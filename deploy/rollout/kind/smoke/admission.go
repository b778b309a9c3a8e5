package smoke

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
)

// admissionTimeout leaves istiod time to register its webhook, which it does after
// it has become ready.
const admissionTimeout = time.Minute

// istioForms are the folders of the rendered manifests that istiod admits.
var istioForms = []string{"wasmplugin", "wasmplugin-http", "trafficextension", "trafficextension-http", "envoyfilter", "envoyfilter-local", httpbinForm}

// httpbinForm is the folder with the httpbin to try a filter on.
const httpbinForm = "httpbin"

// standingWarning is the warning that istiod gives for every EnvoyFilter.
const standingWarning = "EnvoyFilter exposes internal implementation details"

// refusal is a mistake in a rendered file, and the words of the error that must report
// it.
type refusal struct {
	name     string
	file     string // below the folder of a filter
	old, new string
	// warned says that istiod only warns of the mistake.
	warned bool
	want   []string
}

const webhook = `admission webhook "validation.istio.io" denied the request`

var refusals = []refusal{
	{"a filter's type that Envoy does not have", "envoyfilter/envoyfilter.yaml", "filters.http.wasm.v3.Wasm\n", "filters.http.wasm.v3.Wasn\n", false, []string{webhook, "Wasn"}},
	{"a filter to insert before that has no name", "envoyfilter/envoyfilter.yaml", "name: envoy.filters.http.router", `name: ""`, false, []string{webhook, "subfilter match has no name"}},
	{"a field that Envoy's filter does not have", "envoyfilter/envoyfilter.yaml", "failure_policy", "failure_polcy", true, []string{"failure_polcy"}},
	{"a field that a WasmPlugin does not have", "wasmplugin/wasmplugin.yaml", "failStrategy:", "failurePolicy:", false, []string{"failurePolicy"}},
	{"a wasm sha256 written as a digest", "wasmplugin-http/wasmplugin.yaml", "sha256: ", "sha256: sha256:", false, []string{"spec.sha256"}},
	{"a URL that nobody can fetch", "wasmplugin/wasmplugin.yaml", "oci://", "docker://", false, []string{"spec.url"}},
}

// checkAdmission applies all rendered manifests with --dry-run=server, which passes the
// API server's schema and istiod's webhook and changes nothing. A warning is an error,
// because it names something that the proxies would ignore. Then it checks that the
// mistakes are refused.
func checkAdmission(ctx context.Context, k kubectl.Kubectl, manifests string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, admissionTimeout, fmt.Errorf("gave up after %v", admissionTimeout))
	defer cancel()
	var group errgroup.Group
	group.SetLimit(4)
	for _, form := range istioForms {
		group.Go(func() error {
			folder, err := oneForm(manifests, form)
			if err != nil {
				return err
			}
			warnings, err := k.DryRun(ctx, nil, "--kustomize="+folder)
			if err != nil {
				return fmt.Errorf("the form %s is not admitted: %w", form, err)
			}
			for _, warning := range warnings {
				if !strings.Contains(warning, standingWarning) {
					return fmt.Errorf("the form %s is admitted with a warning: %s", form, warning)
				}
			}
			return nil
		})
	}
	for _, r := range refusals {
		group.Go(func() error { return r.check(ctx, k, manifests) })
	}
	return group.Wait()
}

// oneForm writes a kustomization of one form of all filters and returns its folder.
func oneForm(manifests, form string) (string, error) {
	of, err := filepath.Glob(filepath.Join(manifests, "*", form))
	if err != nil {
		return "", err
	}
	if len(of) == 0 {
		return "", fmt.Errorf("%s has no form %s of any filter", manifests, form)
	}
	if form == httpbinForm {
		of = of[:1] // it is the same for each filter
	}
	content := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	for _, folder := range of {
		content += "- ../" + filepath.Base(filepath.Dir(folder)) + "/" + form + "\n"
	}
	folder := filepath.Join(manifests, "all-"+form)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(content), 0o600)
}

// check sends the file with its mistake until it is refused. It is accepted until the
// webhook is there.
func (r refusal) check(ctx context.Context, k kubectl.Kubectl, manifests string) error {
	files, err := filepath.Glob(filepath.Join(manifests, "*", filepath.FromSlash(r.file)))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no %s of any filter: %w", manifests, r.file, err)
	}
	file := files[0]
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(content), r.old) {
		return fmt.Errorf("%s has no %q to be replaced", file, r.old)
	}
	wrong := strings.ReplaceAll(string(content), r.old, r.new)
	for {
		err := r.refused(ctx, k, wrong)
		if err == nil {
			return nil
		}
		if ended := wait(ctx); ended != nil {
			return fmt.Errorf("%s has to be refused: %w (%w)", r.name, err, ended)
		}
	}
}

func (r refusal) refused(ctx context.Context, k kubectl.Kubectl, content string) error {
	warnings, err := k.DryRun(ctx, strings.NewReader(content), "--filename=-")
	said := strings.Join(warnings, "\n")
	if err != nil {
		said = err.Error()
	}
	if (err == nil) != r.warned {
		return errors.Join(fmt.Errorf("it is admitted: %v, want %v", err == nil, r.warned), err)
	}
	for _, want := range r.want {
		if !strings.Contains(said, want) {
			return fmt.Errorf("what is said lacks %q: %s", want, said)
		}
	}
	return nil
}
