package config_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/config"
)

func TestFromEnv(t *testing.T) {
	for _, v := range config.Variables() {
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

// TestPage: deploy/README.md lists every variable as the code has it.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range config.Variables() {
		if v.Name == "" || v.Doc == "" || v.Default == "" {
			t.Errorf("a variable is not described: %+v", v)
		}
		row := fmt.Sprintf("| `%s` | %s | %s |\n", v.Name, v.Doc, v.Default)
		if !strings.Contains(string(page), row) {
			t.Errorf("deploy/README.md lacks the row\n%s", row)
		}
	}
}
