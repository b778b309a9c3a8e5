package gotest

import (
	"slices"
	"strings"
)

// kept are the variables that tests get to know: what programs, the go command, Python's
// pip and the compilers need to run and to download, and what says how tests run. Names
// count without their case, as for the proxies; an asterisk stands for any end.
//
// A proxy's or an index's address may hold a password. Without it no module, no Envoy
// and no tool could be downloaded where one is needed, so it stays.
//
// References:
//   - https://pkg.go.dev/cmd/go#hdr-Environment_variables
//   - https://pip.pypa.io/en/stable/topics/configuration/#environment-variables
var kept = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LD_LIBRARY_PATH",
	"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
	"LANG", "LANGUAGE", "LC_*", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR",
	"CI",

	"GO111MODULE", "GO386", "GOAMD64", "GOARCH", "GOARM", "GOARM64", "GOAUTH", "GOBIN", "GOCACHE", "GOCACHEPROG",
	"GODEBUG", "GOENV", "GOEXPERIMENT", "GOFLAGS", "GOGC", "GOINSECURE", "GOMAXPROCS", "GOMEMLIMIT", "GOMODCACHE",
	"GONOPROXY", "GONOSUMDB", "GOOS", "GOPATH", "GOPRIVATE", "GOPROXY", "GOROOT", "GOSUMDB", "GOTMPDIR", "GOTOOLCHAIN",
	"GOTRACEBACK", "GOVCS",
	"AR", "CC", "CXX", "CGO_*", "PKG_CONFIG", "PKG_CONFIG_PATH",
	"TINYGOROOT", "WASMOPT",

	"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"SSL_CERT_DIR", "SSL_CERT_FILE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"PIP_*", "VIRTUAL_ENV",

	"COMPILER", "FILTER_GOTOOLCHAIN", "TINYGO_VERSION",
	"ENVOY_PATH", "ENVOY_VERSIONS", "ENVOY_VERSIONS_URL", "FUNC_E_HOME", "FUNC_E_DATA_HOME",

	// Windows
	"APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "OS", "PATHEXT",
	"PROCESSOR_ARCHITECTURE", "PROGRAMDATA", "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME",
	"USERPROFILE", "WINDIR",
}

// Environment is what tests get to know of an environment, such as os.Environ's. They
// run the code of every dependency, so it is a list of what stays: where to publish, and
// what lets somebody in there or anywhere else, is not in it, whatever its name is.
func Environment(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		name = strings.ToUpper(name)
		return !slices.ContainsFunc(kept, func(pattern string) bool {
			prefix, open := strings.CutSuffix(pattern, "*")
			return name == pattern || open && strings.HasPrefix(name, prefix)
		})
	})
}
