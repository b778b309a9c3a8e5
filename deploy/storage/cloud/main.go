// Command cloud uploads to Google Cloud Storage, Amazon S3 and stores with its protocol, and
// Azure Blob Storage.
//
// It is a separate module and program, because the clouds' SDKs take minutes to compile and
// most users need none of them. "go tool mage upload" starts it when STORAGE_URL begins with
// gs, s3 or azblob, and talks to it over standard input and output. Package storage does the
// upload itself; this program only sets up the SDKs. Credentials come from the environment, as
// the SDKs read it: see the howto of gocloud.dev/blob.
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/s3blob"

	"github.com/slipway-wasm/slipway/deploy/storage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := storage.ServeCloud(ctx, os.Stdin, os.Stdout, os.Stderr, open); err != nil {
		fmt.Fprintln(os.Stderr, "cloud:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func open(ctx context.Context, address *url.URL, prefix string) (storage.Bucket, error) {
	b, err := blob.OpenBucket(ctx, address.String())
	if err != nil {
		return nil, err
	}
	return &bucket{Bucket: b, prefix: prefix}, nil
}
