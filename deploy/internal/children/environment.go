package children

import (
	"slices"
	"strings"
)

// kept are the variables that every program gets. Programs, the go command, Python's pip and the
// compilers need them to run and to download; others say how tests run. Upper and lower case
// are the same, as for the proxies. An asterisk at the end stands for any text.
//
// The address of a proxy or an index may hold a password. It is kept, because without it
// nothing could be downloaded where it is needed: no module, no Envoy and no tool.
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

// Repositories are the variables with which git, and the go command where it runs git, reach
// other repositories.
var Repositories = []string{"GIT_*", "SSH_*", "NETRC"}

// Environment returns the part of an environment, such as os.Environ's, that programs get which
// need no secret: what they need to run. The list has no destinations for publishing and no
// credentials for anything, whatever their names are. more are names, or patterns as "GIT_*", of
// what a program needs besides; "*" is everything.
func Environment(environment []string, more ...string) []string {
	patterns := slices.Concat(kept, more)
	return slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		name = strings.ToUpper(name)
		return !slices.ContainsFunc(patterns, func(pattern string) bool {
			prefix, open := strings.CutSuffix(pattern, "*")
			return name == pattern || open && strings.HasPrefix(name, prefix)
		})
	})
}
