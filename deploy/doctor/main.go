// Doctor shows which of the programs that Slipway's targets use are installed, in which
// version, and how to get the missing ones:
//
//	go run ./deploy/doctor
//
// It fails only if a program is missing without which nothing works. It changes nothing and
// asks no server. The environment variables are those of package deploy/variables, and NO_COLOR.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/fatih/color"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

func main() {
	if err := command(); err != nil {
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(1)
	}
}

func command() error {
	c, err := variables.FromEnv()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return examine(ctx, checks(c), os.Stdout, !color.NoColor)
}
