package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadFile reads the module in a file, which may be a FIFO or a device. It reads no more than
// proxies do, and nothing beyond the header of what is no module. It returns when ctx ends, even
// if nobody writes to the FIFO.
func ReadFile(ctx context.Context, path string) ([]byte, error) {
	type result struct {
		wasm []byte
		err  error
	}
	read := make(chan result, 1)
	go func() { // opening a FIFO waits for a writer
		wasm, err := readFile(path)
		read <- result{wasm, err}
	}()
	select {
	case r := <-read:
		return r.wasm, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("read %s: %w", path, context.Cause(ctx))
	}
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, len(componentHeader))
	n, err := io.ReadFull(file, header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if header = header[:n]; !bytes.HasPrefix(header, []byte(componentHeader[:4])) {
		return header, nil // whoever reads it says that it is no module
	}
	var wasm bytes.Buffer
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		wasm.Grow(int(min(info.Size(), maxModule)) + bytes.MinRead)
	}
	wasm.Write(header)
	if _, err := io.Copy(&wasm, io.LimitReader(file, maxModule+1-int64(n))); err != nil {
		return nil, err
	}
	if wasm.Len() > maxModule {
		return nil, fmt.Errorf("read %s: it has more than the %d bytes that proxies read", path, maxModule)
	}
	return wasm.Bytes(), nil
}
