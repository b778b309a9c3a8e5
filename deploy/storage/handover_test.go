package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// The caller learns the kind of an error in the command in cloud.
func TestCloudErrorKinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	public := publicServer(t, dir, answering(http.StatusForbidden, ""))
	request, err := json.Marshal(CloudRequest{URL: "s3://acme/filters", PublicURL: public, Upload: release("1.0.0", module(t, "headers", 'a', 1000))})
	if err != nil {
		t.Fatal(err)
	}
	in, started := io.Pipe()
	t.Cleanup(func() { _ = started.Close() }) // its end would end the upload
	go func() { _, _ = started.Write(request) }()
	var answer bytes.Buffer
	bucket := func(context.Context, *url.URL, string) (Bucket, error) { return &folder{dir: dir}, nil }
	if err := ServeCloud(withTimeout(t), in, &answer, io.Discard, bucket); err != nil {
		t.Fatal(err)
	}

	command := filepath.Join(t.TempDir(), "cloud")
	if err := os.WriteFile(command+".json", answer.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(command, []byte("#!/bin/sh\ncat '"+command+".json'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{URL: "s3://acme/filters", PublicURL: public, CloudCommand: command})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Upload(withTimeout(t), s, release("1.0.0", module(t, "headers", 'a', 1000)))
	wantError(t, err, "403 Forbidden", "proxies send no credentials")
	if !errors.Is(err, ErrPrivate) || errors.Is(err, ErrElsewhere) {
		t.Errorf("it is not ErrPrivate alone: %v", err)
	}
}
