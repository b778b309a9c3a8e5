package config_test

import (
	"slices"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/config"
)

func TestFromEnv(t *testing.T) {
	for _, v := range config.Describe[config.Config]() {
		t.Setenv(v.Name, "")
	}
	c, err := config.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Filters) != 0 || c.Compiler != "" {
		t.Errorf("an empty environment gives %+v", c)
	}
	t.Setenv("FILTERS", "headers,authtoken")
	t.Setenv("COMPILER", "go")
	c, err = config.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Filters, []string{"headers", "authtoken"}) || c.Compiler != "go" {
		t.Errorf("the environment gives %+v", c)
	}
}

// A program's own variables are read and described as those of Config are.
func TestRead(t *testing.T) {
	type own struct {
		Size int `env:"OWN_SIZE" group:"own" doc:"how large" default:"1"`
	}
	t.Setenv("OWN_SIZE", "3")
	c, err := config.Read[own]()
	if err != nil || c.Size != 3 {
		t.Errorf("read %+v, error %v", c, err)
	}
	want := []config.Variable{{Name: "OWN_SIZE", Group: "own", Doc: "how large", Default: "1"}}
	if got := config.Describe[own](); !slices.Equal(got, want) {
		t.Errorf("described as %+v", got)
	}
}
