package envoy

import (
	"errors"
	"os"
	"sync"
	"testing"
)

var find = sync.OnceValues(func() (Binary, error) {
	return Find(background, FindOptions{Path: os.Getenv("ENVOY_PATH")})
})

// realEnvoy returns the Envoy that these tests run.
func realEnvoy(t *testing.T) Binary {
	t.Helper()
	bin, err := find()
	if errors.Is(err, ErrNotFound) {
		t.Skipf("needs an Envoy: go online, or set ENVOY_PATH: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bin
}
