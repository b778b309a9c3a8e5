package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	gcs "cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"gocloud.dev/blob/memblob"
	"google.golang.org/api/googleapi"

	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// An object is absent only if the store says so.
func TestExplain(t *testing.T) {
	t.Parallel()
	fromS3 := func(status int, code string) error {
		return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
			Err:      &smithy.GenericAPIError{Code: code},
		}}
	}
	for _, c := range []struct {
		name     string
		err      error
		is       error
		text     string
		absent   bool
		tryAgain bool
	}{
		{name: "S3 404", err: fromS3(404, "NoSuchKey"), is: storage.ErrNotFound, absent: true},
		{name: "S3 404 without a body", err: fromS3(404, "NotFound"), is: storage.ErrNotFound, absent: true},
		{name: "S3 bucket", err: fromS3(404, "NoSuchBucket"), text: "make the bucket first"},
		{name: "S3 region", err: fromS3(301, "PermanentRedirect")},
		{name: "S3 403", err: fromS3(403, "AccessDenied"), text: "unless s3:ListBucket is allowed"},
		{name: "S3 two writers", err: fromS3(409, "ConditionalRequestConflict"), tryAgain: true},
		{name: "Google 404", err: fmt.Errorf("read: %w", gcs.ErrObjectNotExist), is: storage.ErrNotFound, absent: true},
		{name: "Google bucket", err: gcs.ErrBucketNotExist, text: "make the bucket first"},
		{name: "Google 403", err: &googleapi.Error{Code: 403}, text: "allow them to read, list and create"},
		{name: "Google 401", err: &googleapi.Error{Code: 401}, text: "these credentials may not do that"},
		{name: "Azure 404", err: &azcore.ResponseError{StatusCode: 404, ErrorCode: "BlobNotFound"}, is: storage.ErrNotFound, absent: true},
		{name: "Azure container", err: &azcore.ResponseError{StatusCode: 404, ErrorCode: "ContainerNotFound"}, text: "make the bucket first"},
		{name: "Azure account", err: errors.New("dial tcp: lookup nosuch.blob.core.windows.net: no such host")},
		{name: "Azure 403", err: &azcore.ResponseError{StatusCode: 403, ErrorCode: "AuthenticationFailed"}, text: "these credentials may not do that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := explain(c.err)
			if !errors.Is(err, c.err) {
				t.Errorf("%v lost its cause", err)
			}
			if c.is != nil && !errors.Is(err, c.is) || errors.Is(err, storage.ErrNotFound) != c.absent {
				t.Errorf("%v: absent is %t", err, errors.Is(err, storage.ErrNotFound))
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("%q lacks %q", err, c.text)
			}
			if retry.Retryable(err) != c.tryAgain {
				t.Errorf("%v: retryable is %t", err, !c.tryAgain)
			}
		})
	}
}

// A body that cannot be read to its end is not stored.
func TestNoHalves(t *testing.T) {
	t.Parallel()
	b := &bucket{Bucket: memblob.OpenBucket(nil), prefix: "p/"}
	broken := errors.New("broken")
	content := storage.Content{Type: storage.WasmMediaType, Size: 10, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("half"), reader{broken})), nil
	}}
	if err := b.Create(t.Context(), "k", content); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if exists, err := b.Exists(context.WithoutCancel(t.Context()), "p/k"); exists || err != nil {
		t.Errorf("exists is %t, %v", exists, err)
	}
}

type reader struct{ err error }

func (r reader) Read([]byte) (int, error) { return 0, r.err }
