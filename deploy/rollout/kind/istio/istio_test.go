package istio

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/repo/v1"
)

// newChart makes a chart whose description says where it was found.
func newChart(name, description string) *chartv2.Chart {
	return &chartv2.Chart{Metadata: &chartv2.Metadata{APIVersion: "v2", Name: name, Version: DefaultTag, Description: description}}
}

func unpacked(t *testing.T, folder, name string) {
	t.Helper()
	content := fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\ndescription: %s\n", name, DefaultTag, folder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "Chart.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func packed(t *testing.T, folder, name string) {
	t.Helper()
	if _, err := util.Save(newChart(name, folder), folder); err != nil {
		t.Fatal(err)
	}
}

// The charts are found in releases, in Istio's source, in mirrors and in repositories.
func TestLoad(t *testing.T) {
	t.Setenv("HELM_CACHE_HOME", t.TempDir())
	t.Setenv("HELM_CONFIG_HOME", t.TempDir())
	for name, charts := range map[string]func(dir string) string{
		"source": func(dir string) string {
			unpacked(t, filepath.Join(dir, "base"), "base")
			unpacked(t, filepath.Join(dir, "istio-control", "istio-discovery"), "istiod")
			return dir
		},
		"unpacked": func(dir string) string {
			unpacked(t, filepath.Join(dir, "base"), "base")
			unpacked(t, filepath.Join(dir, "istiod"), "istiod")
			return dir
		},
		"archives": func(dir string) string {
			packed(t, dir, "base")
			packed(t, dir, "istiod")
			return dir
		},
		"repository": func(dir string) string {
			packed(t, dir, "base")
			packed(t, dir, "istiod")
			server := httptest.NewServer(http.FileServer(http.Dir(dir)))
			t.Cleanup(server.Close)
			index, err := repo.IndexDirectory(dir, server.URL)
			if err != nil {
				t.Fatal(err)
			}
			if err := index.WriteFile(filepath.Join(dir, "index.yaml"), 0o600); err != nil {
				t.Fatal(err)
			}
			return server.URL
		},
	} {
		t.Run(name, func(t *testing.T) {
			loaded, err := Load(Options{Charts: charts(t.TempDir())})
			if err != nil {
				t.Fatal(err)
			}
			for want, c := range map[string]chart.Charter{"base": loaded.base, "istiod": loaded.istiod} {
				if got := c.(*chartv2.Chart).Name(); got != want {
					t.Errorf("chart %s, want %s", got, want)
				}
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	empty, half := t.TempDir(), t.TempDir()
	unpacked(t, filepath.Join(half, "base"), "base")
	whole := t.TempDir()
	unpacked(t, filepath.Join(whole, "base"), "base")
	unpacked(t, filepath.Join(whole, "istiod"), "istiod")
	for name, c := range map[string]struct {
		opts Options
		want string
	}{
		"no chart":      {Options{Charts: empty}, "find Istio's chart base in " + empty},
		"half of them":  {Options{Charts: half}, "find Istio's chart istiod in " + half},
		"no such file":  {Options{Charts: whole, Values: []string{"missing.yaml"}}, "missing.yaml"},
		"no repository": {Options{Charts: "http://127.0.0.1:1/charts"}, "find Istio's chart base in http://127.0.0.1:1/charts"},
		"password":      {Options{Charts: "http://user:s3cret@127.0.0.1:1/charts"}, "holds credentials"},
		"signature":     {Options{Charts: "http://127.0.0.1:1/charts?signature=s3cret"}, "holds credentials"},
		"no URL":        {Options{Charts: "http://user:s3cret#@127.0.0.1:1/charts"}, "is no URL"},
	} {
		if _, err := Load(c.opts); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// The user's values override what is set here, and leave the rest.
func TestValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unpacked(t, filepath.Join(dir, "base"), "base")
	unpacked(t, filepath.Join(dir, "istiod"), "istiod")
	file := filepath.Join(dir, "values.yaml")
	if err := os.WriteFile(file, []byte("pilot: {resources: {requests: {cpu: 1}}, env: {A: b}}\ntelemetry: {enabled: false}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(Options{Charts: dir, Hub: "mirror.example/istio", Values: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(loaded.values)
	for _, want := range []string{"hub:mirror.example/istio", "tag:" + DefaultTag, "imagePullPolicy:IfNotPresent", "requests:map[cpu:1 memory:256Mi]", "env:map[A:b]", "telemetry:map[enabled:false]"} {
		if !strings.Contains(got, want) {
			t.Errorf("values lack %s: %s", want, got)
		}
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(Options{}.Images()); got != "[docker.io/istio/pilot:"+DefaultTag+" docker.io/istio/proxyv2:"+DefaultTag+"]" {
		t.Errorf("default images are %s", got)
	}
	if got := fmt.Sprint(Options{Hub: "h:5000/i", Tag: "t"}.Images()); got != "[h:5000/i/pilot:t h:5000/i/proxyv2:t]" {
		t.Errorf("images are %s", got)
	}
}
