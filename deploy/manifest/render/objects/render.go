package objects

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// The folders of a filter. Each holds one way to run it. It can be applied by "kubectl apply
// -k", or named as a resource in an overlay.
const (
	WasmPluginOCI            = "wasmplugin"
	WasmPluginHTTP           = "wasmplugin-http"
	TrafficExtensionOCI      = "trafficextension"
	TrafficExtensionHTTP     = "trafficextension-http"
	EnvoyFilterHTTP          = "envoyfilter"
	EnvoyFilterLocal         = "envoyfilter-local"
	EnvoyExtensionPolicyOCI  = "envoyextensionpolicy"
	EnvoyExtensionPolicyHTTP = "envoyextensionpolicy-http"
	HTTPBin                  = "httpbin"
	// Bootstrap is a file, because kubectl has no use for it.
	Bootstrap = "envoy.yaml"
)

const kustomizationFile = "kustomization.yaml"

// Render returns the files for the request, sorted by path, and the forms that its filters
// rule out. The same request always gives the same bytes.
func Render(request manifest.Request) ([]manifest.File, []manifest.Omission, error) {
	if err := request.Check(); err != nil {
		return nil, nil, err
	}
	var out output
	var names []string
	for _, f := range request.Filters {
		release, err := request.Release(f.Name)
		if err != nil {
			return nil, nil, err
		}
		s := subject{Filter: f, Source: release, apply: *f.Metadata.Apply}
		if err := out.filter(s, request.HTTPBinImage); err != nil {
			return nil, nil, fmt.Errorf("filter %s: %w", f.Name, err)
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if err := out.kustomization("", "All filters, each pulled from the registry where it is there.", names); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(out.files, func(a, b manifest.File) int { return strings.Compare(a.Path, b.Path) })
	return out.files, out.omitted, nil
}

// subject is one filter and its release.
type subject struct {
	catalog.Filter
	manifest.Source
	apply catalog.Apply
}

// form is one way to run a filter.
type form struct {
	folder string
	file   string
	// make returns the objects, or the reason why there are none.
	make func(subject) (objects []any, reason string, err error)
}

func forms(httpbinImage string) []form {
	return []form{
		{WasmPluginOCI, "wasmplugin.yaml", fromOCI(wasmPlugin)},
		{WasmPluginHTTP, "wasmplugin.yaml", fromHTTP(wasmPlugin)},
		{TrafficExtensionOCI, "trafficextension.yaml", fromOCI(trafficExtension)},
		{TrafficExtensionHTTP, "trafficextension.yaml", fromHTTP(trafficExtension)},
		{EnvoyFilterHTTP, "envoyfilter.yaml", envoyFilterRemote},
		{EnvoyFilterLocal, "envoyfilter.yaml", envoyFilterLocal},
		{EnvoyExtensionPolicyOCI, "envoyextensionpolicy.yaml", fromOCI(envoyExtensionPolicy)},
		{EnvoyExtensionPolicyHTTP, "envoyextensionpolicy.yaml", fromHTTP(envoyExtensionPolicy)},
		{HTTPBin, "httpbin.yaml", func(s subject) ([]any, string, error) {
			objects, err := httpbin(s.apply.Namespace, httpbinImage)
			return objects, "", err
		}},
	}
}

// source is where a module is pulled from, as Istio's and Envoy Gateway's objects
// name it.
type source struct {
	// reference and manifestDigest name an OCI manifest; empty for HTTP. The reference has
	// the tag and the digest: the tag is for readers, the digest decides what is pulled.
	reference, manifestDigest string
	// url and wasmSHA256 name a raw module; empty for OCI.
	url, wasmSHA256 string
}

const (
	notInRegistry = "the release is not in a registry"
	notInStorage  = "the release is not in a storage"
)

func fromOCI(object func(subject, source) (any, string, error)) func(subject) ([]any, string, error) {
	return func(s subject) ([]any, string, error) {
		if s.Repository == "" {
			return nil, notInRegistry, nil
		}
		return single(object(s, source{reference: s.Repository + ":" + s.Tag + "@" + s.ManifestDigest, manifestDigest: s.ManifestDigest}))
	}
}

func fromHTTP(object func(subject, source) (any, string, error)) func(subject) ([]any, string, error) {
	return func(s subject) ([]any, string, error) {
		if s.URL == "" {
			return nil, notInStorage, nil
		}
		return single(object(s, source{url: s.URL, wasmSHA256: s.WasmSHA256}))
	}
}

func single(object any, reason string, err error) ([]any, string, error) {
	return []any{object}, reason, err
}

type output struct {
	files   []manifest.File
	omitted []manifest.Omission
}

func (o *output) filter(s subject, httpbinImage string) error {
	// Every Istio since 1.12 has WasmPlugin.
	choice := WasmPluginOCI
	if s.Repository == "" {
		choice = WasmPluginHTTP
	}
	for _, f := range forms(httpbinImage) {
		objects, reason, err := f.make(s)
		if err != nil {
			return fmt.Errorf("%s: %w", f.folder, err)
		}
		if reason != "" {
			o.omitted = append(o.omitted, manifest.Omission{Filter: s.Name, Form: f.folder, Reason: reason})
			continue
		}
		if reason, err = tooLarge(objects); err != nil {
			return fmt.Errorf("%s: %w", f.folder, err)
		}
		if reason != "" {
			// The filter's own kustomization names this form.
			if f.folder == choice {
				return fmt.Errorf("%s: %s", f.folder, reason)
			}
			o.omitted = append(o.omitted, manifest.Omission{Filter: s.Name, Form: f.folder, Reason: reason})
			continue
		}
		comment := header(s)
		if f.folder == HTTPBin {
			comment = "A service that answers with what it got, to try a filter on.\nIts image comes from HTTPBIN_IMAGE; patch everything else with kustomize."
		}
		content, err := marshal(comment, objects...)
		if err != nil {
			return fmt.Errorf("%s: %w", f.folder, err)
		}
		folder := path.Join(s.Name, f.folder)
		o.files = append(o.files, manifest.File{Path: path.Join(folder, f.file), Content: content})
		if err := o.kustomization(folder, comment, []string{f.file}); err != nil {
			return err
		}
	}
	bootstrap, reason, err := plainEnvoy(s)
	if err != nil {
		return fmt.Errorf("%s: %w", Bootstrap, err)
	}
	if reason != "" {
		o.omitted = append(o.omitted, manifest.Omission{Filter: s.Name, Form: Bootstrap, Reason: reason})
	} else {
		o.files = append(o.files, manifest.File{Path: path.Join(s.Name, Bootstrap), Content: bootstrap})
	}
	return o.kustomization(s.Name, header(s), []string{choice})
}

// maxObject is what etcd takes in one request, 1.5 MiB, less what a cluster adds to an object:
// managedFields, above all, which repeat its keys.
//
// Reference: https://etcd.io/docs/v3.6/dev-guide/limit/
const maxObject = 1_400_000

// tooLarge returns the reason why a cluster cannot keep one of the objects; empty if it can.
func tooLarge(objects []any) (string, error) {
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			return "", err
		}
		if len(text) > maxObject {
			return fmt.Sprintf("it has %d bytes, and a cluster keeps about %d in one object; make pluginConfig smaller", len(text), maxObject), nil
		}
	}
	return "", nil
}

// header tells a reader of a file where it comes from.
func header(s subject) string {
	return fmt.Sprintf("Rendered from the filter.yaml of %s and what was published as %s.\nChange that file, or patch this one with kustomize.", s.Name, s.Version)
}
