// Command render reads a manifest.Request as JSON from its standard input and writes a
// manifest.Response to its standard output. The function manifest.Render runs it. It only
// reads files: those that it compares with.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/render/difference"
	"github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var request manifest.Request
	if err := json.NewDecoder(in).Decode(&request); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	response, err := answer(request)
	if err != nil {
		response = manifest.Response{Error: err.Error()}
	}
	return json.NewEncoder(out).Encode(response)
}

func answer(request manifest.Request) (response manifest.Response, err error) {
	response.Files, response.Omitted, err = objects.Render(request)
	if err == nil && request.Compare != "" {
		response.Diff, err = difference.Folder(request.Compare, response.Files)
	}
	return response, err
}
