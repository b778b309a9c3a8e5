// Command serve runs an S3 server and nginx, prints as JSON how to upload to them, and
// ends them when its standard input ends. Other modules use it to try real stores
// without this module's dependencies. It runs in the folder of its module.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/slipway-wasm/slipway/test/stores/server"
)

// Store is one line of the output.
type Store struct {
	// Name is s3 or nginx.
	Name string
	// Environment are the variables for "mage upload".
	Environment map[string]string `json:",omitempty"`
	// Missing is what is not installed, and how to get it; empty if the store runs.
	Missing string `json:",omitempty"`
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "slipway-stores-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	output := json.NewEncoder(os.Stdout)
	for _, start := range []func(context.Context, string) (Store, *server.Process, error){nginx, s3} {
		folder, err := os.MkdirTemp(dir, "")
		if err != nil {
			return err
		}
		store, process, err := start(ctx, folder)
		missing := new(server.Missing)
		switch {
		case errors.As(err, &missing):
			store.Missing = missing.Error()
		case err != nil:
			return err
		default:
			defer process.Stop()
		}
		if err := output.Encode(store); err != nil {
			return err
		}
	}
	end := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an error ends it as well
		close(end)
	}()
	select {
	case <-end:
	case <-ctx.Done():
	}
	return nil
}

// The credentials of both.
const (
	username = "slipway"
	password = "correct-horse-battery-staple"
)

func nginx(ctx context.Context, dir string) (Store, *server.Process, error) {
	process, err := server.Nginx(ctx, server.NginxOptions{Dir: dir, Username: username, Password: password})
	if err != nil {
		return Store{Name: "nginx"}, nil, err
	}
	return Store{Name: "nginx", Environment: map[string]string{
		"STORAGE_URL":      "http://" + process.Addr + "/filters",
		"STORAGE_USERNAME": username,
		"STORAGE_PASSWORD": password,
	}}, process, nil
}

func s3(ctx context.Context, dir string) (Store, *server.Process, error) {
	objects := filepath.Join(dir, "objects")
	if err := os.Mkdir(objects, 0o755); err != nil {
		return Store{}, nil, err
	}
	process, err := server.S3(ctx, server.S3Options{Module: ".", Dir: objects, Username: username, Password: password})
	if err != nil {
		return Store{Name: "s3"}, nil, err
	}
	const key = server.PublicBucket + "/team/a"
	return Store{Name: "s3", Environment: map[string]string{
		"STORAGE_URL":           "s3://" + key + "?region=us-east-1&use_path_style=true&endpoint=http://" + process.Addr,
		"STORAGE_PUBLIC_URL":    "http://" + process.Addr + "/" + key,
		"AWS_ACCESS_KEY_ID":     username,
		"AWS_SECRET_ACCESS_KEY": password,
	}}, process, nil
}
