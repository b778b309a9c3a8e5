package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cranelib "github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	craneLayout "github.com/google/go-containerregistry/pkg/v1/layout"
	orasoci "oras.land/oras-go/v2/content/oci"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
)

// BenchmarkPushBesideCrane pushes 20 filters of 2 MB, and pushes them again unchanged.
// It compares this with what people do today: a loop of "crane push" over OCI layouts,
// or of "crane append" over archives. Both sides run as commands. crane takes one image
// per run; our push takes all filters, and first compares each with its record. The
// rounds are interleaved, and each uses new repositories of the same distribution
// registry.
//
// A ratio above 1 says that crane takes longer. "first" and "again" publish under one
// tag, as crane does. "tags" compares a push that also moves 1.0, 1 and latest with
// "crane push" and three runs of "crane tag". "linked" leaves out the start of 20
// processes: it calls the code of "crane push" in this process, one image after the
// other, and compares that with our code.
func BenchmarkPushBesideCrane(b *testing.B) {
	registry := distributiontest.Start(b, distributiontest.Options{})
	crane := buildCrane(b)
	layouts, modules := b.TempDir(), b.TempDir()
	var filters []build.Built
	for i := range 20 {
		filters = append(filters, benchFilter(b, modules, i))
	}
	for _, image := range images(b, filters, buildtest.Release("1.0.0")) {
		writeLayout(b, filepath.Join(layouts, image.Filter.Module.Name), image)
	}
	archives := make(map[string]string)
	for _, filter := range filters {
		archives[filter.Module.Name] = benchArchive(b, filter)
	}
	total := make(map[string]time.Duration)
	round := 0
	for b.Loop() {
		round++
		name := func(kind string, filter build.Built) string {
			return fmt.Sprintf("%s/%s%d/%s", registry, kind, round, filter.Module.Name)
		}
		slipway := func(kind string, tags bool) {
			child := exec.CommandContext(b.Context(), os.Args[0])
			child.Env = append(os.Environ(), fmt.Sprintf("%s=%s/%s%d", benchTo, registry, kind, round), benchModules+"="+modules, fmt.Sprintf("%s=%t", benchTags, tags))
			run(b, child)
		}
		craneEach := func(arguments func(build.Built) []string) {
			for _, filter := range filters {
				run(b, exec.CommandContext(b.Context(), crane, arguments(filter)...))
			}
		}
		cranePush := func(kind string) {
			craneEach(func(filter build.Built) []string {
				return []string{"push", filepath.Join(layouts, filter.Module.Name), name(kind, filter) + ":1.0.0"}
			})
		}
		craneAppend := func() {
			craneEach(func(filter build.Built) []string {
				return []string{"append", "--new_layer=" + archives[filter.Module.Name], "--new_tag=" + name("append", filter) + ":1.0.0"}
			})
		}
		craneTags := func() {
			cranePush("tags")
			for _, tag := range []string{"1.0", "1", "latest"} {
				craneEach(func(filter build.Built) []string { return []string{"tag", name("tags", filter) + ":1.0.0", tag} })
			}
		}
		linked := func() {
			r := openWith(b, RegistryOptions{Address: fmt.Sprintf("%s/linked%d", registry, round)})
			_, err := r.Push(b.Context(), images(b, filters, buildtest.Release("1.0.0")), PushOptions{HoldTags: true})
			must(b, err)
		}
		craneLinked := func() {
			for _, filter := range filters {
				must(b, cranelib.Push(layoutImage(b, filepath.Join(layouts, filter.Module.Name)), name("crane-linked", filter)+":1.0.0"))
			}
		}
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"slipway", func() { slipway("slipway", false) }},
			{"push", func() { cranePush("push") }},
			{"append", craneAppend},
			{"slipway again", func() { slipway("slipway", false) }},
			{"push again", func() { cranePush("push") }},
			{"append again", craneAppend},
			{"slipway tags", func() { slipway("all", true) }},
			{"push tags", craneTags},
			{"linked", linked},
			{"push linked", craneLinked},
			{"linked again", linked},
			{"push linked again", craneLinked},
		} {
			start := time.Now()
			step.do()
			total[step.name] += time.Since(start)
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, pair := range map[string][2]string{
		"first:crane-push":        {"push", "slipway"},
		"first:crane-append":      {"append", "slipway"},
		"again:crane-push":        {"push again", "slipway again"},
		"again:crane-append":      {"append again", "slipway again"},
		"again:first":             {"slipway", "slipway again"},
		"tags:crane-tag":          {"push tags", "slipway tags"},
		"first:crane-push-linked": {"push linked", "linked"},
		"again:crane-push-linked": {"push linked again", "linked again"},
	} {
		b.ReportMetric(float64(total[pair[0]])/float64(total[pair[1]]), name)
	}
}

// Variables for the child process of BenchmarkPushBesideCrane.
const (
	benchModules = "SLIPWAY_TEST_BENCH_MODULES" // the folder with the modules
	benchTags    = "SLIPWAY_TEST_BENCH_TAGS"    // whether the moving tags are moved
)

// pushForBench is the child process of BenchmarkPushBesideCrane. As "mage push" does,
// it compares each module of a folder with its record, and then pushes all.
func pushForBench(address string) int {
	folder := os.Getenv(benchModules)
	paths, err := filepath.Glob(filepath.Join(folder, "*.wasm"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".wasm"))
	}
	modules, err := build.Load(folder, names)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	filters := make([]build.Built, len(modules))
	for i, module := range modules {
		filters[i].Module = module
	}
	r, err := Open(RegistryOptions{Address: address})
	images, err2 := NewImages(buildtest.Release("1.0.0", filters...))
	if err = errors.Join(err, err2); err == nil {
		_, err = r.Push(context.Background(), images, PushOptions{HoldTags: os.Getenv(benchTags) != "true"})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// buildCrane builds crane from the same version of go-containerregistry that our tests
// use.
func buildCrane(b *testing.B) string {
	b.Helper()
	version, err := exec.CommandContext(b.Context(), "go", "list", "-m", "-f={{.Version}}", "github.com/google/go-containerregistry").Output()
	must(b, err)
	folder := b.TempDir()
	install := exec.CommandContext(b.Context(), "go", "install", "github.com/google/go-containerregistry/cmd/crane@"+strings.TrimSpace(string(version)))
	install.Env = append(os.Environ(), "GOBIN="+folder)
	run(b, install)
	return filepath.Join(folder, "crane")
}

func run(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if output, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", cmd, err, output)
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// benchFilter is a module of 2 MB that compresses about as well as wasm does, in a
// folder with its record.
func benchFilter(b *testing.B, folder string, i int) build.Built {
	b.Helper()
	random := rand.New(rand.NewPCG(uint64(i), 0))
	content := make([]byte, 2_000_000)
	for j := range content {
		content[j] = byte(random.IntN(8)*random.IntN(16) + j/1000)
	}
	options := wasmtest.Filter()
	options.Custom = string(content)
	wasm := wasmtest.Encode(options)
	name := fmt.Sprintf("filter%d", i)
	path := filepath.Join(folder, name+".wasm")
	must(b, os.WriteFile(path, wasm, 0o600))
	filter := buildtest.At(path, name, wasm)
	record, err := json.Marshal(filter.Module.Record)
	must(b, err)
	must(b, os.WriteFile(filepath.Join(folder, name+".json"), record, 0o600))
	return filter
}

// benchArchive writes the uncompressed archive that people pass to crane append.
func benchArchive(b *testing.B, filter build.Built) string {
	b.Helper()
	wasm, err := os.ReadFile(filter.Module.Path)
	must(b, err)
	file, err := os.Create(filepath.Join(b.TempDir(), "layer.tar"))
	must(b, err)
	archive := tar.NewWriter(file)
	must(b, archive.WriteHeader(&tar.Header{Name: compatFile, Mode: 0o644, Size: int64(len(wasm))}))
	_, err = archive.Write(wasm)
	must(b, err)
	must(b, archive.Close())
	must(b, file.Close())
	return file.Name()
}

// writeLayout writes an image to an OCI layout.
func writeLayout(b *testing.B, folder string, image *Image) {
	b.Helper()
	layout, err := orasoci.New(folder)
	must(b, err)
	for _, blob := range image.Blobs {
		body, err := blob.Open()
		must(b, err)
		must(b, layout.Push(b.Context(), blob.Descriptor, body))
	}
	must(b, layout.Push(b.Context(), image.Descriptor, bytes.NewReader(image.Manifest)))
	must(b, layout.Tag(b.Context(), image.Descriptor, "1.0.0"))
}

// layoutImage returns the only image in an OCI layout.
func layoutImage(b *testing.B, folder string) v1.Image {
	b.Helper()
	path, err := craneLayout.FromPath(folder)
	must(b, err)
	index, err := path.ImageIndex()
	must(b, err)
	manifest, err := index.IndexManifest()
	must(b, err)
	image, err := path.Image(manifest.Manifests[0].Digest)
	must(b, err)
	return image
}
