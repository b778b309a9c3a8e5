package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// eventually waits until see returns nil.
func eventually(running context.Context, t *testing.T, see func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(running, 3*time.Minute)
	defer cancel()
	if err := envoytest.Until(ctx, see); err != nil {
		t.Fatal(err)
	}
}

// example returns options to run requestlog.
func example(t *testing.T, out io.Writer) options {
	t.Helper()
	return options{Filter: "requestlog", Options: foreground.Options{
		Listener: envoytest.MustFreeAddress(t), Backend: envoytest.MustFreeAddress(t), Admin: envoytest.MustFreeAddress(t),
		Root: "../..", Out: out,
	}}
}

func TestRun(t *testing.T) {
	cfg, err := variables.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envoy.Find(t.Context(), envoy.FindOptions{Path: cfg.EnvoyPath}); errors.Is(err, envoy.ErrNotFound) {
		t.Skipf("needs an Envoy: go online, or set ENVOY_PATH: %v", err)
	}
	// Find's own rule then chooses the version, as in the check before.
	cfg.EnvoyVersions = nil

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out envoytest.Output
	o := example(t, &out)
	o.Dist, o.Config = t.TempDir(), cfg
	running, wait := envoytest.Go(func() error { return run(ctx, o) })

	eventually(running, t, func() error {
		if !strings.Contains(out.String(), "curl -i http://"+o.Listener+"/hello") {
			return fmt.Errorf("no curl to try yet:\n%s", &out)
		}
		return nil
	})
	res, err := http.Get("http://" + o.Listener + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "hola mundo :)\n" || err != nil {
		t.Errorf("/hello answers %q, %v", body, err)
	}
	eventually(running, t, func() error {
		if !strings.Contains(out.String(), `"path":"/hello"`) {
			return fmt.Errorf("the filter's log does not show:\n%s", &out)
		}
		return nil
	})
	rendered, err := os.ReadFile(filepath.Join(o.Dist, "envoy", "requestlog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{o.Listener, o.Backend, o.Admin} {
		_, port, _ := net.SplitHostPort(address)
		if !strings.Contains(string(rendered), "port_value: "+port) {
			t.Errorf("the rendered configuration lacks port %s:\n%s", port, rendered)
		}
	}

	cancel()
	if err := wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	for _, address := range []string{o.Listener, o.Backend, o.Admin} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("still in use afterwards: %v", err)
			continue
		}
		listener.Close()
	}
}

// The error names all ports that are taken, before anything starts.
func TestRunNamesTakenPorts(t *testing.T) {
	t.Parallel()
	taken := func() string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return listener.Addr().String()
	}
	o := example(t, io.Discard)
	o.Listener, o.Admin = taken(), taken()
	err := run(t.Context(), o)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"listener: listen tcp " + o.Listener, "-listener", "admin: listen tcp " + o.Admin, "-admin"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error says nothing of %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), o.Backend) {
		t.Errorf("error names a free address:\n%v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*options)
		want   string
	}{
		"filter":  {func(o *options) { o.Filter = "nobody" }, `find filter "nobody"`},
		"address": {func(o *options) { o.Listener = "8085" }, "-listener 8085"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := example(t, io.Discard)
			test.change(&o)
			if err := run(t.Context(), o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}
