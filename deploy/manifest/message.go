package manifest

import "github.com/slipway-wasm/slipway/deploy/catalog"

// Request is what the program render reads from its standard input, as JSON.
type Request struct {
	// Filters and Releases belong together by the filter's name, one of each.
	Filters  []catalog.Filter
	Releases []Release
	// HTTPBinImage is the image of the httpbin to try filters on.
	HTTPBinImage string
	// Compare is a folder with manifests, as an absolute path, that the result is
	// compared with. Default: nothing is compared.
	Compare string
}

// Response is what the program render writes to its standard output, as JSON.
type Response struct {
	// Files are what to write, sorted by Path.
	Files []File
	// Omitted is what could not be rendered, and why.
	Omitted []Omission
	// Diff tells people what is different from Request.Compare. Empty: nothing.
	Diff string
	// Error is why there is nothing else. Empty: all went well.
	Error string
}

// File is one rendered file.
type File struct {
	// Path is relative to the folder of all manifests, with slashes.
	Path    string
	Content string
}

// Omission is a form of a filter that its filter.yaml rules out.
type Omission struct {
	// Filter is the filter's name, Form the folder or file that is not there.
	Filter, Form string
	// Reason is half a sentence, such as "it has no gateway context".
	Reason string
}
