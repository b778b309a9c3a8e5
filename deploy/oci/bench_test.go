package oci

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	craneLayout "github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/slipway-wasm/slipway/test/distribution"
)

// BenchmarkPushBesideCrane pushes 20 filters of 2 MB, and pushes them again
// unchanged, next to what people do today: "crane push" of an OCI layout and
// "crane append" of an archive. crane's code runs in this process: the time that
// starting it 20 times takes is not counted. The rounds are interleaved, each to new
// repositories of the same distribution registry.
//
// A ratio above 1 says that crane takes longer. "first" and "again" publish under
// one tag, as crane does; "tags" compares a push that also moves 1.0, 1 and latest
// with crane push and three times "crane tag".
func BenchmarkPushBesideCrane(b *testing.B) {
	registry := distribution.Start(b, distribution.Options{})
	folder := b.TempDir()
	var filters []Filter
	for i := range 20 {
		filters = append(filters, benchFilter(b, i))
	}
	onDisk := openWith(b, RegistryOptions{Address: LayoutScheme + folder})
	if _, err := Push(b.Context(), onDisk, PushOptions{Filters: filters, Release: testRelease("1.0.0"), HoldTags: true}); err != nil {
		b.Fatal(err)
	}
	var archives []string
	for _, filter := range filters {
		archives = append(archives, benchArchive(b, filter))
	}
	total := make(map[string]time.Duration)
	round := 0
	for b.Loop() {
		round++
		name := func(kind string, filter Filter) string {
			return fmt.Sprintf("%s/%s%d/%s", registry, kind, round, filter.Module.Name)
		}
		slipway := func(kind string, holdTags bool) {
			r := openWith(b, RegistryOptions{Address: fmt.Sprintf("%s/%s%d", registry, kind, round)})
			_, err := Push(b.Context(), r, PushOptions{Filters: filters, Release: testRelease("1.0.0"), HoldTags: holdTags})
			must(b, err)
		}
		cranePush := func(kind string) {
			for _, filter := range filters {
				must(b, crane.Push(layoutImage(b, filepath.Join(folder, filter.Module.Name)), name(kind, filter)+":1.0.0"))
			}
		}
		craneAppend := func() {
			for i, filter := range filters {
				image, err := crane.Append(empty.Image, archives[i])
				must(b, err)
				must(b, crane.Push(image, name("append", filter)+":1.0.0"))
			}
		}
		craneTags := func() {
			cranePush("tags")
			for _, filter := range filters {
				for _, tag := range []string{"1.0", "1", "latest"} {
					must(b, crane.Tag(name("tags", filter)+":1.0.0", tag))
				}
			}
		}
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"slipway", func() { slipway("slipway", true) }},
			{"push", func() { cranePush("push") }},
			{"append", craneAppend},
			{"slipway again", func() { slipway("slipway", true) }},
			{"push again", func() { cranePush("push") }},
			{"append again", craneAppend},
			{"slipway tags", func() { slipway("all", false) }},
			{"push tags", craneTags},
		} {
			start := time.Now()
			step.do()
			total[step.name] += time.Since(start)
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, pair := range map[string][2]string{
		"first:crane-push":   {"push", "slipway"},
		"first:crane-append": {"append", "slipway"},
		"again:crane-push":   {"push again", "slipway again"},
		"again:crane-append": {"append again", "slipway again"},
		"again:first":        {"slipway", "slipway again"},
		"tags:crane-tag":     {"push tags", "slipway tags"},
	} {
		b.ReportMetric(float64(total[pair[0]])/float64(total[pair[1]]), name)
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// benchFilter is a module of 2 MB that compresses about as well as wasm does.
func benchFilter(b *testing.B, i int) Filter {
	b.Helper()
	random := rand.New(rand.NewPCG(uint64(i), 0))
	content := make([]byte, 2_000_000)
	for j := range content {
		content[j] = byte(random.IntN(8)*random.IntN(16) + j/1000)
	}
	return testFilter(b, fmt.Sprintf("filter%d", i), string(content))
}

// benchArchive is the uncompressed archive that people hand to crane append.
func benchArchive(b *testing.B, filter Filter) string {
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

// layoutImage is the image in an OCI layout with one.
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
