package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/oci"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Push publishes the built filters in REGISTRY under a version, such as 1.4.0.
//
// It sets the version's tag first, and never changes it. 1.4, 1 and latest follow, and
// only move forward. The same bytes again are a success; other bytes are refused before
// anything changes. Credentials are those of docker login. -json prints the result as
// JSON.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage push 1.4.0
func Push(ctx context.Context, version string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return push(ctx, c, version, out)
	})
}

// Pull writes the module of a reference, such as headers:1.4.0, to a file.
//
// Example:
//
//	go tool mage pull headers:1.4.0 headers.wasm
func Pull(ctx context.Context, reference, file string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return pull(ctx, c, reference, file, out)
	})
}

// List prints the published versions with their digests, sizes and dates.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage list -json
func List(ctx context.Context, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return listVersions(ctx, c, out)
	})
}

// Sbom attaches a bill of materials to each filter that was pushed under a version.
//
// It is made from the records in dist/, which have to be those of the pushed modules.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage sbom 1.4.0
func Sbom(ctx context.Context, version string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return attachSBOMs(ctx, c, version, out)
	})
}

// Attach attaches a file to a reference; the kind is sbom, provenance, test-report or a media type.
//
// Example:
//
//	go tool mage attach headers:1.4.0 test-report report.xml
func Attach(ctx context.Context, reference, kind, file string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return attachFile(ctx, c, reference, kind, file, out)
	})
}

// Referrers prints what is attached to a reference as a tree.
//
// Example:
//
//	go tool mage referrers headers:1.4.0
func Referrers(ctx context.Context, reference string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return listReferrers(ctx, c, reference, out)
	})
}

// Registry serves the embedded registry on 127.0.0.1:5000, or another address (-address=HOST:PORT), until Ctrl-C.
//
// It holds what push writes without REGISTRY, in dist/registry. It has neither TLS nor
// a password. On an address that other machines reach, such as 0.0.0.0:5000, it is
// read-only, unless -writable lets all of them write.
//
// Example:
//
//	go tool mage registry -address=127.0.0.1:5002
func Registry(ctx context.Context, address *string, writable *bool) error {
	return ended(serveRegistry(ctx, given(address), given(writable), newOutput(nil)))
}

// LowestEnvoyTested is the lowest Envoy version that the gate (.ci/run) runs the
// filters in. It is an annotation of pushed manifests, so it must not depend on the
// machine that pushes.
const LowestEnvoyTested = "1.36.4"

// dist is the folder that the build writes modules to.
const dist = "dist"

func push(ctx context.Context, c variables.Values, text string, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	release, err := readRelease(ctx, c, text)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	shapes, err := shapes(c)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	images, err := oci.NewImages(*release, shapes...)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	r, done, err := openRegistryWith(ctx, c, "", oci.RegistryOptions{Out: out.Err, FixedTags: bool(c.MovingTags)})
	if err != nil {
		return err
	}
	published, err := r.Push(ctx, images, oci.PushOptions{})
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	for _, p := range published {
		if p.Refusal != nil { // one is enough: it is about the registry
			printable.Fprintln(out.Err, advice.Add(p.Refusal))
			break
		}
	}
	return out.print(published, func(w io.Writer) error {
		for _, p := range published {
			printable.Fprintln(w, p)
		}
		if c.Registry == "" {
			printable.Fprintf(w, "It is in the embedded registry in %s. \"go tool mage registry\" serves that to others; set REGISTRY to publish elsewhere.\n", filepath.Join(dist, "registry"))
		}
		return nil
	})
}

// pull prints its result to out.Err if out.Out is the file that the module goes to, such as
// /dev/stdout.
func pull(ctx context.Context, c variables.Values, reference, file string, out Output) error {
	if isFile(out.Out, file) {
		out.Out = out.Err
	}
	return withReference(ctx, c, reference, out, func(ctx context.Context, r *oci.Registry, ref oci.Reference) error {
		pulled, err := r.Pull(ctx, ref, file)
		if err != nil {
			return err
		}
		return out.print(pulled, func(w io.Writer) error { return printable.Fprintln(w, pulled) })
	})
}

// isFile reports whether a writer writes to the file at a path.
func isFile(w io.Writer, path string) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	written, err := file.Stat()
	named, err2 := os.Stat(path)
	return errors.Join(err, err2) == nil && os.SameFile(written, named)
}

func listVersions(ctx context.Context, c variables.Values, out Output) error {
	return withRegistry(ctx, c, out, func(ctx context.Context, r *oci.Registry, filters []string) error {
		list, err := r.List(ctx, filters)
		if err != nil {
			return err
		}
		return printList(list, out)
	})
}

func printList(list []oci.Listed, out Output) error {
	return out.print(list, func(w io.Writer) error { return oci.WriteList(w, list) })
}

func attachSBOMs(ctx context.Context, c variables.Values, text string, out Output) error {
	release, err := readRelease(ctx, c, text)
	if err != nil {
		return fmt.Errorf("sbom: %w", err)
	}
	return withRegistry(ctx, c, out, func(ctx context.Context, r *oci.Registry, _ []string) error {
		nodes, err := r.AttachSBOMs(ctx, *release)
		if err != nil {
			return err
		}
		return out.print(nodes, func(w io.Writer) error {
			for _, node := range nodes {
				printable.Fprintf(w, "attached %s\n", node)
			}
			return nil
		})
	})
}

func attachFile(ctx context.Context, c variables.Values, reference, kind, file string, out Output) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	if known, ok := map[string]string{"sbom": oci.TypeSBOM, "provenance": oci.TypeProvenance, "test-report": oci.TypeTestReport}[kind]; ok {
		kind = known
	}
	return withReference(ctx, c, reference, out, func(ctx context.Context, r *oci.Registry, ref oci.Reference) error {
		node, err := r.Attach(ctx, ref, oci.Attachment{
			ArtifactType: kind,
			MediaType:    mediaType(kind, content),
			Name:         filepath.Base(file),
			Content:      content,
		})
		if err != nil {
			return err
		}
		return out.print(node, func(w io.Writer) error {
			return printable.Fprintf(w, "attached %s to %s\n", node, ref)
		})
	})
}

// mediaType is the media type of an attached file. It follows from the kind; a test
// report may be JUnit's XML, JSON or text.
func mediaType(kind string, content []byte) string {
	if kind != oci.TypeTestReport {
		return kind
	}
	if strings.HasPrefix(strings.TrimSpace(string(content)), "{") {
		return "application/json"
	}
	sniffed, _, _ := strings.Cut(http.DetectContentType(content), ";")
	return sniffed
}

func listReferrers(ctx context.Context, c variables.Values, reference string, out Output) error {
	return withReference(ctx, c, reference, out, func(ctx context.Context, r *oci.Registry, ref oci.Reference) error {
		nodes, err := r.Discover(ctx, ref)
		if err != nil {
			return err
		}
		return printTree(oci.Tree{Reference: ref.String(), Referrers: nodes}, out)
	})
}

func printTree(tree oci.Tree, out Output) error { return out.print(tree, tree.Text) }

// serveRegistry serves the embedded registry until ctx ends, by default at the address that
// rendered manifests name.
func serveRegistry(ctx context.Context, address string, writable bool, out Output) error {
	address = cmp.Or(address, rel.EmbeddedRegistry)
	server, err := embedded.Start(ctx, embedded.Options{Addr: address, Writable: writable, Out: out.Err})
	if err != nil {
		return err
	}
	if !server.Local() {
		may := "read and overwrite what is in it"
		if server.ReadOnly() {
			may = "read what is in it, and nobody can write (-writable would let everybody)"
		}
		printable.Fprintf(out.Err, "warning: everybody who reaches %s can %s: it has neither TLS nor a password; other machines set REGISTRY_PLAIN_HTTP=true\n", server.Addr(), may)
	}
	printable.Fprintf(out.Out, "The embedded registry listens: set REGISTRY=%s in other shells. Ctrl-C ends it.\n", server.Addr())
	return errors.Join(server.Wait(ctx), server.Close())
}

func withDeadline(ctx context.Context, c variables.Values) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, transferTimeout(c), rel.ErrTransferTimeout)
}

func transferTimeout(c variables.Values) time.Duration {
	if c.TransferTimeout == 0 {
		return 30 * time.Minute
	}
	return c.TransferTimeout
}

// withRegistry runs work on the configured registry, with the filters' names.
func withRegistry(ctx context.Context, c variables.Values, out Output, work func(context.Context, *oci.Registry, []string) error) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return err
	}
	r, done, err := openRegistry(ctx, c, "", out)
	if err != nil {
		return err
	}
	return errors.Join(work(ctx, r, catalog.NamesOf(filters)), done())
}

// withReference runs work on the registry of a reference.
func withReference(ctx context.Context, c variables.Values, reference string, out Output, work func(context.Context, *oci.Registry, oci.Reference) error) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	r, done, err := openRegistry(ctx, c, reference, out)
	if err != nil {
		return err
	}
	ref, err := r.ParseReference(reference)
	if err == nil {
		err = work(ctx, r, ref)
	}
	return errors.Join(err, done())
}

// openRegistry opens the registry of a reference. If there is no reference or it is a
// short one, it opens the configured registry. done ends what was started for it.
func openRegistry(ctx context.Context, c variables.Values, reference string, out Output) (*oci.Registry, func() error, error) {
	return openRegistryWith(ctx, c, reference, oci.RegistryOptions{Out: out.Err})
}

// registryOptions are the options of the configured registry.
func registryOptions(c variables.Values) *oci.RegistryOptions {
	return &oci.RegistryOptions{Address: c.Registry, PlainHTTP: c.RegistryPlainHTTP, Username: c.RegistryUsername, Password: c.RegistryPassword}
}

func openRegistryWith(ctx context.Context, c variables.Values, reference string, opts oci.RegistryOptions) (r *oci.Registry, done func() error, err error) {
	configured := registryOptions(c)
	opts.Address, opts.PlainHTTP = configured.Address, configured.PlainHTTP
	opts.Username, opts.Password = configured.Username, configured.Password
	done = func() error { return nil }
	reference = strings.TrimPrefix(reference, "oci://")
	switch slash := strings.LastIndex(reference, "/"); {
	case slash >= 0:
		opts.Address = reference[:slash]
		// The configured password is only for the configured registry. So is the
		// permission to use plain HTTP: with another registry, docker's password would
		// cross the network in the clear.
		if host(opts.Address) != host(c.Registry) {
			opts.Username, opts.Password, opts.PlainHTTP = "", "", false
		}
	case opts.Address == "":
		server, err := embedded.Start(ctx, embedded.Options{Dir: filepath.Join(dist, "registry"), Out: opts.Out})
		if err != nil {
			return nil, nil, err
		}
		opts.Address, opts.Username, opts.Password = server.Addr(), "", ""
		done = server.Close
	}
	if r, err = oci.Open(opts); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return r, done, nil
}

func host(address string) string {
	host, _, _ := strings.Cut(address, "/")
	return host
}

// readRelease reads the built modules of the configured filters, as a version of this
// checkout.
func readRelease(ctx context.Context, c variables.Values, text string) (*build.Release, error) {
	v, err := version.Parse(text)
	if err != nil {
		return nil, err
	}
	return build.ReadRelease(ctx, build.ReleaseOptions{Version: v, Filters: c.Filters, Dist: dist, EnvoyTested: LowestEnvoyTested})
}

func shapes(c variables.Values) ([]oci.Shape, error) {
	var shapes []oci.Shape
	for _, name := range c.Shapes {
		shape, err := oci.ParseShape(name)
		if err != nil {
			return nil, fmt.Errorf("SHAPES: %w", err)
		}
		shapes = append(shapes, shape)
	}
	return shapes, nil
}
