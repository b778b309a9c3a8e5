package importer

import (
	"fmt"
	"os"
	"testing"

	"github.com/slipway-wasm/slipway/test/importer/proxy"
)

// slipway is the path of Slipway's module. Those of its other modules begin with it.
const slipway = "github.com/slipway-wasm/slipway"

// released is the working tree in a module proxy.
var released proxy.Released

func TestMain(m *testing.M) {
	code, err := proxy.Run("../..", func(r proxy.Released) int {
		released = r
		return m.Run()
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
