// Package config reads Slipway's environment variables.
//
// They are read in one place, into one struct, so that the page that documents
// them can be checked against it, and so that the packages that do the work take
// plain options and can be used without any environment.
package config

import (
	"fmt"
	"reflect"

	"github.com/caarlos0/env/v11"
)

// Config is what the environment says. Each field's tags name the variable, its
// default and what it is for.
type Config struct {
	Filters       []string `env:"FILTERS" doc:"filters to work on, separated by commas" default:"all"`
	Compiler      string   `env:"COMPILER" doc:"compiler for the filters: go or tinygo" default:"tinygo where it is installed, else go"`
	GoToolchain   string   `env:"FILTER_GOTOOLCHAIN" doc:"Go release to build the filters with, for example go1.23.12" default:"the pinned release of each compiler"`
	EnvoyPath     string   `env:"ENVOY_PATH" doc:"Envoy binary to run, instead of finding or downloading one" default:"none"`
	EnvoyVersions []string `env:"ENVOY_VERSIONS" doc:"Envoy versions to run e2e with, separated by commas" default:"1.40.0"`
}

// FromEnv reads the environment. An error names the variable at fault and never
// its value, which may be a secret.
func FromEnv() (Config, error) {
	c, err := env.ParseAs[Config]()
	if err != nil {
		return Config{}, fmt.Errorf("read the environment: %w", err)
	}
	return c, nil
}

// Variable describes one environment variable.
type Variable struct {
	Name    string
	Default string // what holds when it is not set, for people
	Doc     string
}

// Variables lists every variable that Config has, in its order.
func Variables() []Variable {
	var list []Variable
	for field := range reflect.TypeFor[Config]().Fields() {
		list = append(list, Variable{
			Name:    field.Tag.Get("env"),
			Default: field.Tag.Get("default"),
			Doc:     field.Tag.Get("doc"),
		})
	}
	return list
}
