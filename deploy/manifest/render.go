package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
	if opts.Dir == "" {
		opts.Dir = DefaultOut
	}
	if opts.HTTPBinImage == "" {
		opts.HTTPBinImage = DefaultHTTPBinImage
	}
	if opts.Out == nil {
		opts.Out = io.Discard
	}
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
		for _, r := range opts.Releases {
			fmt.Fprintf(opts.Out, "%s %s: kubectl apply -k %s\n", r.Filter, r.Version, filepath.Join(opts.Dir, r.Filter))
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
