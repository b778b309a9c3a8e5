package oci

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
)

// sized returns a filter whose module has the given number of bytes of data.
func sized(t *testing.T, name string, bytes int64) build.Built {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	wasm := wasmtest.Encode(wasmtest.Filter())
	filter := buildtest.At(file.Name(), name, wasm)
	hash := sha256.New()
	out := io.MultiWriter(file, hash)
	// The data is a custom section without a name.
	section := append(binary.AppendUvarint([]byte{0}, uint64(bytes)+1), 0)
	for _, part := range [][]byte{wasm, section} {
		if _, err := out.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.CopyN(out, zeros{}, bytes); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	filter.Module.Size = int64(len(wasm)+len(section)) + bytes
	filter.Module.WasmSHA256 = hex.EncodeToString(hash.Sum(nil))
	return filter
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestMemory pushes and pulls a small and a very large module, and measures what that
// allocates. It is not parallel, so that nothing else allocates.
func TestMemory(t *testing.T) {
	r := openTest(t, distributiontest.Start(t, distributiontest.Options{}))
	allocated := func(do func()) int64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	measure := func(name string, bytes int64, shape Shape) (pushed, pulled int64) {
		filter := sized(t, name, bytes)
		pushed = allocated(func() {
			if _, err := r.Push(t.Context(), images(t, []build.Built{filter}, buildtest.Release("1.0.0"), []Shape{shape}...), PushOptions{}); err != nil {
				t.Fatal(err)
			}
		})
		pulled = allocated(func() {
			ref := Reference{Repository: r.name(name), Tag: shape.tag("1.0.0")}
			if _, err := r.Pull(t.Context(), ref, filepath.Join(t.TempDir(), "pulled.wasm")); err != nil {
				t.Fatal(err)
			}
		})
		return pushed, pulled
	}
	// A compressed layer takes longer, so its module is smaller, which shows the same.
	for shape, size := range map[Shape]int64{Artifact: 200 << 20, Compat: 50 << 20} {
		measure("warm-up", 1<<20, shape)
		smallPush, smallPull := measure("small", 2<<20, shape)
		largePush, largePull := measure("large", size, shape)
		t.Logf("%s: allocated for 2 MiB: %d to push and %d to pull; for %d MiB: %d and %d", shape, smallPush, smallPull, size>>20, largePush, largePull)
		const noise = 4 << 20
		if largePush > smallPush+noise || largePull > smallPull+noise {
			t.Errorf("%s: what is allocated grows with the module", shape)
		}
	}
}
