package server

import (
	"context"
	"os"
	"os/exec"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

// Buckets of S3.
const (
	// PublicBucket lets everybody do what S3Options.Everybody says.
	PublicBucket = "filters"
	// PrivateBucket lets nobody in without credentials.
	PrivateBucket = "private"
)

// S3Options says how the S3 server runs.
type S3Options struct {
	// Module is the folder of this module, whose tool the server is.
	Module string
	// Dir is an empty folder for the objects.
	Dir string
	// Username and Password are the access key and the secret key.
	Username, Password string
	// Everybody is the action that the public bucket allows without credentials.
	// Default: s3:GetObject.
	Everybody string
}

// S3 starts versitygw with its two buckets. It is built first if the build cache lacks
// it, which takes minutes.
func S3(ctx context.Context, o S3Options) (*Process, error) {
	versitygw, err := GoTool(ctx, o.Module, "versitygw")
	if err != nil {
		return nil, err
	}
	addr, err := envoytest.FreeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), versitygw, "--port", addr, "--quiet", "posix", o.Dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+o.Username, "ROOT_SECRET_KEY="+o.Password)
	p, err := Start(ctx, addr, cmd)
	if err != nil {
		return nil, err
	}
	if err := buckets(ctx, addr, o); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func buckets(ctx context.Context, addr string, o S3Options) error {
	if o.Everybody == "" {
		o.Everybody = "s3:GetObject"
	}
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + addr),
		UsePathStyle: true,
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider(o.Username, o.Password, ""),
	})
	for _, bucket := range []string{PublicBucket, PrivateBucket} {
		if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			return err
		}
	}
	// What deploy/README.md says a bucket for readers needs.
	_, err := client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{
		Bucket: aws.String(PublicBucket),
		Policy: aws.String(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "` + o.Everybody + `", "Resource": ["arn:aws:s3:::` + PublicBucket + `", "arn:aws:s3:::` + PublicBucket + `/*"]}]}`),
	})
	return err
}
