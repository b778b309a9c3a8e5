package envoyconf_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

const wasmSHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// Render makes a whole configuration. It reports all mistakes at once.
func ExampleRender() {
	text, err := envoyconf.Render(envoyconf.BuildOptions{
		Listeners: []envoyconf.Listener{{
			Address: envoyconf.Address{Port: 8085},
			Filters: []envoyconf.Filter{{
				Name:   "headers",
				Source: envoyconf.Remote{URL: "https://cdn.acme.example/headers.wasm", SHA256: wasmSHA256},
			}},
		}},
		Upstream: envoyconf.Address{Port: 8080},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Count(string(text), wasmSHA256))

	_, err = envoyconf.Render(envoyconf.BuildOptions{
		Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{Name: "headers"}}}},
	})
	fmt.Println(err)
	// Output:
	// 1
	// build Envoy bootstrap: upstream.port: 0 is not a port to connect to; give 1 to 65535
	// listeners[0].filters[0].source: missing; give Remote (URL and sha256) or Local (path)
}

// BuildFilter makes a filter for a configuration that other code builds.
func ExampleBuildFilter() {
	wasm, clusters, err := envoyconf.BuildFilter(envoyconf.Filter{
		Name:   "headers",
		Source: envoyconf.Remote{URL: "https://cdn.acme.example/headers.wasm", SHA256: wasmSHA256},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(wasm.GetConfig().GetFailurePolicy(), clusters[0].GetName())
	// Output: FAIL_CLOSED wasm_https_cdn.acme.example_443
}

// Discovery makes the content of a file that Envoy watches.
func ExampleDiscovery() {
	content, err := envoyconf.Discovery(envoyconf.Filter{
		Name:   "headers",
		Source: envoyconf.Local{Path: "/srv/headers-2.wasm"},
	}, "2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(string(content), "/srv/headers-2.wasm"))
	// Output: true
}
