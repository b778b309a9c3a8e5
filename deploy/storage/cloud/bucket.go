package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	gcs "cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	azblobblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// bucket is a storage.Bucket in a cloud. gocloud.dev hides the differences between the clouds,
// but it has no conditional replace. For that, each SDK is configured directly.
type bucket struct {
	*blob.Bucket
	prefix string
}

var _ storage.Bucket = (*bucket)(nil)

// Get opens an object. The tag comes from the same answer as the bytes, so that they belong
// together.
func (b *bucket) Get(ctx context.Context, key string) (io.ReadCloser, string, error) {
	reader, err := b.NewReader(ctx, b.prefix+key, nil)
	if err != nil {
		return nil, "", explain(err)
	}
	return reader, tag(reader), nil
}

// tag is the ETag of S3 and Azure, or the generation of Google.
func tag(reader *blob.Reader) string {
	var fromS3 s3.GetObjectOutput
	var fromAzure azblobblob.DownloadStreamResponse
	var fromGoogle *gcs.Reader
	switch {
	case reader.As(&fromS3) && fromS3.ETag != nil:
		return *fromS3.ETag
	case reader.As(&fromAzure) && fromAzure.ETag != nil:
		return string(*fromAzure.ETag)
	case reader.As(&fromGoogle):
		return strconv.FormatInt(fromGoogle.Attrs.Generation, 10)
	}
	return ""
}

// Create writes a new object.
func (b *bucket) Create(ctx context.Context, key string, content storage.Content) error {
	return b.write(ctx, key, content, &blob.WriterOptions{
		IfNotExist: true,
		BeforeWrite: func(as func(any) bool) error {
			var toAzure *azblob.UploadStreamOptions
			if as(&toAzure) {
				noEncoding(toAzure)
			}
			return nil
		},
	})
}

// Replace overwrites an object with a known tag.
func (b *bucket) Replace(ctx context.Context, key string, old storage.State, content storage.Content) error {
	if old.Tag == "" {
		return errors.New("the store gives objects no ETag, so they cannot be replaced conditionally")
	}
	return b.write(ctx, key, content, &blob.WriterOptions{
		BeforeWrite: func(as func(any) bool) error {
			var toS3 *transfermanager.UploadObjectInput
			var toAzure *azblob.UploadStreamOptions
			var toGoogle **gcs.ObjectHandle
			switch {
			case as(&toS3):
				toS3.IfMatch = &old.Tag
			case as(&toAzure):
				noEncoding(toAzure)
				etag := azcore.ETag(old.Tag)
				toAzure.AccessConditions = &azblob.AccessConditions{
					ModifiedAccessConditions: &azblobblob.ModifiedAccessConditions{IfMatch: &etag},
				}
			case as(&toGoogle):
				generation, err := strconv.ParseInt(old.Tag, 10, 64)
				if err != nil {
					return fmt.Errorf("read the generation: %w", err)
				}
				*toGoogle = (*toGoogle).If(gcs.Conditions{GenerationMatch: generation})
			default:
				return errors.New("this store cannot replace an object conditionally")
			}
			return nil
		},
	})
}

// noEncoding removes the empty Content-Encoding that gocloud sets: the store would send it to
// readers.
func noEncoding(opts *azblob.UploadStreamOptions) { opts.HTTPHeaders.BlobContentEncoding = nil }

// How much of an object is held in memory while it is sent: two parts.
const (
	partSize = 8 << 20
	parts    = 2
)

// write sends an object. It calls Upload, because NewWriter's Close panics after a refused
// write to Azure (gocloud.dev v0.47.0).
func (b *bucket) write(ctx context.Context, key string, content storage.Content, opts *blob.WriterOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := content.Open()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	opts.ContentType = content.Type
	opts.CacheControl = content.CacheControl
	opts.BufferSize = partSize
	opts.MaxConcurrency = parts
	source := &source{Reader: body, broken: cancel}
	err = b.Upload(ctx, b.prefix+key, source, opts)
	return explain(errors.Join(source.err, err))
}

// source is the body that is sent. If it cannot be read to its end, it cancels the write.
// gocloud would close the write instead, and the store would take that for the end of a
// shorter object.
type source struct {
	io.Reader
	broken func()
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
		s.broken()
	}
	return n, err
}

// explain translates an error and adds what can be done about it.
//
// It does not rely on gocloud's "not found", which also covers Google's 403, S3's 301 and an
// unknown host. Only an object that is definitely absent may be created.
func explain(err error) error {
	if err == nil {
		return nil
	}
	status, code := answer(err)
	switch {
	case code == "NoSuchBucket" || code == "ContainerNotFound" || errors.Is(err, gcs.ErrBucketNotExist):
		return fmt.Errorf("%w; make the bucket first, or correct its name in the address", err)
	case status == http.StatusNotFound || errors.Is(err, gcs.ErrObjectNotExist):
		return fmt.Errorf("%w: %w", storage.ErrNotFound, err)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("%w; these credentials may not do that: allow them to read, list and create objects in the bucket (S3 answers 403 for an object that does not exist unless s3:ListBucket is allowed)", err)
	// When two conditional writes to S3 meet, one of them must be repeated:
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
	case code == "ConditionalRequestConflict":
		return retry.Again(err)
	case gcerrors.Code(err) == gcerrors.FailedPrecondition:
		return fmt.Errorf("%w: %w", storage.ErrPrecondition, err)
	}
	return err
}

// answer returns a store's HTTP status and its name for the error; 0 and "" if the error is
// not an answer of the store.
func answer(err error) (status int, code string) {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		code = api.ErrorCode()
	}
	fromS3 := new(awshttp.ResponseError)
	fromAzure := new(azcore.ResponseError)
	fromGoogle := new(googleapi.Error)
	switch {
	case errors.As(err, &fromS3):
		status = fromS3.HTTPStatusCode()
	case errors.As(err, &fromAzure):
		status, code = fromAzure.StatusCode, fromAzure.ErrorCode
	case errors.As(err, &fromGoogle):
		status = fromGoogle.Code
	}
	return status, code
}
