package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Inspect says what a module is and who loads it: a file, a URL, or a reference in a registry.
//
// It takes any proxy-wasm module, also one made elsewhere and in another language. It
// prints its size by section, imports, exports, ABI, compiler and annotations. For each
// range of Envoy versions and each consumer it says whether that takes the module, and
// why not. -json prints all of it as JSON.
//
// Examples:
//
//	go tool mage inspect dist/headers.wasm
//	go tool mage inspect headers:1.4.0
//	go tool mage inspect ghcr.io/acme/filters/headers@sha256:…
//	go tool mage inspect https://cdn.acme.example/filters/headers.wasm -json
func Inspect(ctx context.Context, fileOrReference string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return inspectModule(ctx, c, fileOrReference, out)
	})
}

// inspection is what Inspect prints.
type inspection struct {
	// Source is what was inspected, as it was given. A URL is without credentials and
	// query.
	Source string `json:"source"`
	// Registry is what else the registry holds; nil for a file or a URL.
	Registry *oci.Module `json:"registry,omitempty"`
	// Packed says that a URL serves the module compressed or in an archive.
	Packed bool `json:"packed,omitempty"`
	// Redirect is the address that a URL redirects to, without its query.
	Redirect string `json:"redirect,omitempty"`
	*inspect.Description
	// Consumers says how each consumer gets the module. A consumer that runs Envoy
	// refuses a module that no Envoy loads.
	Consumers []oci.Verdict `json:"consumers"`
}

// envoys are the consumers that run modules in Envoy.
var envoys = []string{"plain Envoy", "Istio", "Envoy Gateway"}

func inspectModule(ctx context.Context, c variables.Values, what string, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	i := inspection{Source: redact.Address(what)}
	wasm, err := i.read(ctx, c, what, out)
	if err != nil {
		return fmt.Errorf("inspect %s: %w", i.Source, err)
	}
	if i.Description, err = inspect.Describe(ctx, wasm); err != nil {
		return fmt.Errorf("inspect %s: %w", i.Source, err)
	}
	if !slices.ContainsFunc(i.Envoys, func(e inspect.Envoys) bool { return e.Loads }) {
		for n, v := range i.Consumers {
			if v.Answer == oci.Accepts && slices.Contains(envoys, v.Consumer) {
				i.Consumers[n].Answer, i.Consumers[n].Reason = oci.Refuses, "no Envoy loads the module"
			}
		}
	}
	return out.print(i, i.text)
}

func (i *inspection) read(ctx context.Context, c variables.Values, what string, out Output) ([]byte, error) {
	wasm, err := inspect.ReadFile(ctx, what)
	if err == nil {
		i.Source = what
		i.Consumers = []oci.Verdict{
			{Consumer: "plain Envoy", Answer: oci.Accepts, Reason: "as a file, or from a URL with the wasm sha256"},
			{Consumer: "Istio", Answer: oci.Accepts, Reason: "from a URL with the wasm sha256, or as a file in the proxy"},
			{Consumer: "Envoy Gateway", Answer: oci.Accepts, Reason: "from a URL with the wasm sha256"},
		}
		return wasm, nil
	}
	if strings.HasPrefix(what, "http://") || strings.HasPrefix(what, "https://") {
		fetched, err := inspect.Fetch(ctx, what)
		if err != nil {
			return nil, err
		}
		i.Packed, i.Redirect = fetched.Packed, fetched.Redirect
		for _, consumer := range envoys {
			i.Consumers = append(i.Consumers, oci.Verdict{Consumer: consumer, Answer: oci.Accepts, Reason: "from this URL with the wasm sha256"})
		}
		var refused []string
		if fetched.Packed {
			refused = append(refused, "it is served compressed or in an archive, which Envoy does not unpack; serve the raw module")
		}
		if fetched.Redirect != "" {
			refused = append(refused, fmt.Sprintf("the URL redirects to %s, and Envoy follows no redirect; serve the module at the URL itself", fetched.Redirect))
		}
		if len(refused) > 0 {
			i.Consumers[0] = oci.Verdict{Consumer: "plain Envoy", Answer: oci.Refuses, Reason: strings.Join(refused, "; ")}
		}
		return fetched.Wasm, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	reference := strings.TrimPrefix(what, "oci://")
	if !strings.ContainsAny(reference, ":@") {
		return nil, errors.New("no such file; give a file, a URL, or a reference with a tag or digest, such as headers:1.4.0")
	}
	err = withReference(ctx, c, reference, out, func(ctx context.Context, r *oci.Registry, ref oci.Reference) error {
		i.Registry, err = r.ReadModule(ctx, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	i.Consumers = i.Registry.Consumers
	return i.Registry.Wasm, nil
}

// text is the inspection for people.
func (i *inspection) text(w io.Writer) error {
	printable.Fprintln(w, i.Source)
	table := func(rows func(row func(cells ...string))) error {
		t := printable.NewTable(w)
		rows(func(cells ...string) { t.Indented("  ", cells...) })
		return t.Flush()
	}
	unknown := func(s string) string {
		if s == "" {
			return "it does not say"
		}
		return s
	}
	return errors.Join(
		table(func(row func(...string)) {
			row("size", fmt.Sprintf("%d bytes", i.Size))
			row("wasm sha256", i.WasmSHA256)
			row("compiler", unknown(i.Compiler))
			row("proxy-wasm ABI", unknown(i.ABI))
			if i.Registry != nil {
				row("reference", i.Registry.Reference)
				row("shape", unknown(string(i.Registry.Shape)))
			}
		}),
		i.annotations(w, table),
		section(w, "Sections"), table(func(row func(...string)) {
			for _, s := range i.Sections {
				row(s.Name, fmt.Sprintf("%d bytes", s.Size), fmt.Sprintf("%.1f %%", 100*float64(s.Size)/float64(i.Size)))
			}
		}),
		section(w, "Imports"), table(func(row func(...string)) {
			for _, f := range i.Imports {
				row(f.Module+"."+f.Name, f.Signature)
			}
		}),
		section(w, "Exports"), table(func(row func(...string)) {
			for _, f := range i.Exports {
				row(f.Name, f.Signature)
			}
		}),
		section(w, "Loads in"), table(func(row func(...string)) {
			for _, e := range i.Envoys {
				if e.Loads {
					row("Envoy "+e.Versions(), "yes")
				}
				for _, reason := range e.Reasons {
					row("Envoy "+e.Versions(), "no", reason)
				}
			}
			for _, defect := range i.Defects {
				row("but cannot work", "", defect)
			}
			if i.Started != nil && i.Started.Skipped != "" {
				row("but was not started", "", i.Started.Skipped)
			}
			if i.Started != nil && i.Started.Refuses != "" {
				row("but needs a configuration", "", i.Started.Refuses)
			}
		}),
		section(w, "Is taken by (Istio and Envoy Gateway load it if their proxy is such an Envoy)"), table(func(row func(...string)) {
			for _, v := range i.Consumers {
				row(v.Consumer, string(v.Answer), v.Reason)
			}
		}),
	)
}

func (i *inspection) annotations(w io.Writer, table func(func(row func(...string))) error) error {
	if i.Registry == nil || len(i.Registry.Annotations) == 0 {
		return nil
	}
	return errors.Join(section(w, "Annotations"), table(func(row func(...string)) {
		for _, key := range slices.Sorted(maps.Keys(i.Registry.Annotations)) {
			row(key, i.Registry.Annotations[key])
		}
	}))
}

func section(w io.Writer, title string) error {
	return printable.Fprintf(w, "\n%s\n", title)
}
