package manifest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
)

const (
	// DefaultOut is where manifests are written.
	DefaultOut = "dist/manifests"
	// DefaultHTTPBinImage is the maintained httpbin:
	// https://github.com/mccutchen/go-httpbin/releases
	DefaultHTTPBinImage = "mccutchen/go-httpbin:v2.26.0"
	// CompareCluster as RenderOptions.Compare stands for the cluster that kubectl talks to.
	CompareCluster = "cluster"
)

// RenderOptions say what to render, and from what.
type RenderOptions struct {
	// Filters are the filters, each with an apply section. Required.
	Filters []catalog.Filter
	// Releases are the published facts, one for each filter. Required.
	Releases []Source
	// Dir is the folder to write. Its old content is removed. Default: DefaultOut.
	Dir string
	// HTTPBinImage is the image of the httpbin on which filters are tried, with a tag, a
	// digest or both. Default: DefaultHTTPBinImage.
	HTTPBinImage string
	// Compare makes Render print what would change, and write nothing. Render compares with a
	// folder of manifests or, for CompareCluster, with the cluster. Default: the manifests are
	// written.
	Compare string
	// Out gets the list of what was rendered, or the differences. Default: nothing is written.
	Out io.Writer
}

// Render writes the manifests of all filters, or compares them. If it fails, it has not
// written or changed any file.
func Render(ctx context.Context, opts RenderOptions) error {
	opts.Dir = cmp.Or(opts.Dir, DefaultOut)
	opts.HTTPBinImage = cmp.Or(opts.HTTPBinImage, DefaultHTTPBinImage)
	opts.Out = cmp.Or(opts.Out, io.Discard)
	response, err := ask(ctx, opts)
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	for _, o := range response.Omitted {
		fmt.Fprintf(opts.Out, "%s: no %s, because %s\n", o.Filter, o.Form, o.Reason)
	}
	switch opts.Compare {
	case "":
		if err := replace(opts.Dir, response.Files); err != nil {
			return fmt.Errorf("render: write %s: %w", opts.Dir, err)
		}
		large, err := largeFolders(response.Files)
		if err != nil {
			return fmt.Errorf("render: %w", err)
		}
		for _, r := range opts.Releases {
			serverSide := ""
			if large[r.Filter] {
				serverSide = "--server-side "
			}
			fmt.Fprintf(opts.Out, "%s %s: kubectl apply %s-k %s\n", r.Filter, r.Version, serverSide, filepath.Join(opts.Dir, r.Filter))
		}
		return nil
	case CompareCluster:
		if err := kubectlDiff(ctx, response.Files, opts.Out); err != nil {
			return fmt.Errorf("render: %w", err)
		}
		return nil
	}
	if response.Diff == "" {
		fmt.Fprintf(opts.Out, "%s: no difference\n", opts.Compare)
		return nil
	}
	fmt.Fprint(opts.Out, response.Diff)
	return nil
}

// maxAnnotations is how much all annotations of an object may have together. kubectl apply
// keeps the whole object in one, unless it is told to leave that to the server.
//
// Reference: https://kubernetes.io/docs/reference/using-api/server-side-apply/
const maxAnnotations = 256 << 10

// largeFolders returns the filters' folders with an object for which kubectl apply has no room
// in its annotation.
func largeFolders(files []File) (map[string]bool, error) {
	large := map[string]bool{}
	for _, file := range files {
		filter, _, _ := strings.Cut(file.Path, "/")
		for document := range strings.SplitSeq(file.Content, "\n---\n") {
			if len(document) < maxAnnotations/8 || path.Base(file.Path) == "envoy.yaml" {
				continue
			}
			text, err := yaml.YAMLToJSON([]byte(document))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file.Path, err)
			}
			// The annotation's name needs room as well.
			if len(text) > maxAnnotations-1024 {
				large[filter] = true
			}
		}
	}
	return large, nil
}

// ask checks the options and runs the program render.
func ask(ctx context.Context, opts RenderOptions) (Response, error) {
	request := Request{Filters: opts.Filters, Releases: opts.Releases, HTTPBinImage: opts.HTTPBinImage}
	if err := request.Check(); err != nil {
		return Response{}, err
	}
	if opts.Compare != "" && opts.Compare != CompareCluster {
		compare, err := filepath.Abs(opts.Compare)
		if err != nil {
			return Response{}, err
		}
		if info, err := os.Stat(compare); err != nil || !info.IsDir() {
			return Response{}, fmt.Errorf("compare with %s: no such folder; give one with manifests, or %q", opts.Compare, CompareCluster)
		}
		request.Compare = compare
	}
	var response Response
	if err := gorun.Run(ctx, module, ".", request, &response); err != nil {
		return Response{}, err
	}
	if response.Error != "" {
		return Response{}, errors.New(response.Error)
	}
	return response, nil
}

// module is the program that makes the objects.
const module = "deploy/manifest/render"
