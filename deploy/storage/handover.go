package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/children"
	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// CloudRequest is the request that Prepare, Upload and Attach write to the standard input of the command in
// cloud. It holds no secrets: the command reads them from the environment.
type CloudRequest struct {
	URL       string
	PublicURL string
	// NoLists is Options.NoLists.
	NoLists bool
	// Prepare asks only whether the bucket can be written. Upload is not used then.
	Prepare bool
	Upload  UploadOptions
	// Attach stores signatures, and nothing is uploaded. Default: nil.
	Attach *AttachOptions `json:",omitempty"`
	// Deadline is the context's deadline; zero if it has none.
	Deadline time.Time
}

// CloudResponse is the answer that the command writes to its standard output. Its standard
// error is for people.
type CloudResponse struct {
	Objects []Object
	// Error is empty after a success.
	Error string
	// Kinds are the error's kinds: keys of the map kinds.
	Kinds []string
}

// kinds are the errors that the process that asked can recognize with errors.Is.
var kinds = map[string]error{"elsewhere": ErrElsewhere, "private": ErrPrivate, "deadline": retry.ErrDeadline}

// cloudError is an error of the command.
type cloudError struct {
	text  string
	kinds []error
}

func (e *cloudError) Error() string   { return e.text }
func (e *cloudError) Unwrap() []error { return e.kinds }

// cloudBuild is printed before the go command runs, which may have much to compile.
const cloudBuild = "building the command for %s:// with the clouds' SDKs (minutes the first time, then cached)"

// handOver runs the command that links the clouds' SDKs. When this process ends, the command's
// standard input ends, and so the command stops, too.
func (s *Storage) handOver(ctx context.Context, request CloudRequest) ([]Object, error) {
	command, err := s.cloudCommand(ctx)
	if err != nil {
		return nil, err
	}
	request.URL, request.PublicURL, request.NoLists = s.options.URL, s.public, s.options.NoLists
	request.Deadline, _ = ctx.Deadline()
	data, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, command)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	children.Follow(cmd)
	cmd.Stderr = s.options.Out
	var answer bytes.Buffer
	cmd.Stdout = &answer
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_, writeErr := stdin.Write(data)
	err = errors.Join(cmd.Wait(), writeErr)

	var response CloudResponse
	if jsonErr := json.Unmarshal(answer.Bytes(), &response); jsonErr != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("the command %s ended without an answer: %w", filepath.Base(command), errors.Join(err, jsonErr))
	}
	if response.Error != "" {
		failed := &cloudError{text: response.Error}
		for _, kind := range response.Kinds {
			if known := kinds[kind]; known != nil {
				failed.kinds = append(failed.kinds, known)
			}
		}
		return nil, failed
	}
	return response.Objects, nil
}

// cloudCommand returns the path of the command. It builds it if the build cache does not have
// it.
func (s *Storage) cloudCommand(ctx context.Context) (string, error) {
	if s.options.CloudCommand != "" {
		return s.options.CloudCommand, nil
	}
	s.report.Printf(cloudBuild, s.location.scheme)
	command, err := gorun.Tool(ctx, "deploy/storage/cloud", "cloud")
	if err != nil {
		return "", fmt.Errorf("build the command for %s://: %w", s.location.scheme, err)
	}
	return command, nil
}

// ServeCloud is the main function of the command in cloud. It reads a CloudRequest from in,
// opens the bucket, uploads, and writes a CloudResponse to out. It stops when in ends, because
// then the process that asked is gone.
//
// open gets the address of the bucket with its options, and the prefix of all keys: empty, or
// with a slash at its end.
func ServeCloud(ctx context.Context, in io.Reader, out, people io.Writer, open func(ctx context.Context, bucket *url.URL, prefix string) (Bucket, error)) error {
	var request CloudRequest
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&request); err != nil {
		return fmt.Errorf("read the request: %w; package storage starts this command", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, in) // an error ends it as well
		cancel(errors.New("the process that asked for the upload has ended"))
	}()
	if !request.Deadline.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, request.Deadline)
		defer stop()
	}
	var response CloudResponse
	var err error
	if response.Objects, err = serveCloud(ctx, request, people, open); err != nil {
		response.Error = err.Error()
		for name, kind := range kinds {
			if errors.Is(err, kind) {
				response.Kinds = append(response.Kinds, name)
			}
		}
	}
	return json.NewEncoder(out).Encode(response)
}

func serveCloud(ctx context.Context, request CloudRequest, people io.Writer, open func(context.Context, *url.URL, string) (Bucket, error)) ([]Object, error) {
	l, err := parseLocation(request.URL)
	if err != nil {
		return nil, err
	}
	prefix := l.path
	if prefix != "" {
		prefix += "/"
	}
	bucket, err := open(ctx, &url.URL{Scheme: l.scheme, Host: l.bucket, RawQuery: l.query.Encode()}, prefix)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", l, err)
	}
	s, err := Open(Options{URL: request.URL, PublicURL: request.PublicURL, NoLists: request.NoLists, Bucket: bucket, Out: people})
	if err != nil {
		return nil, err
	}
	switch {
	case request.Prepare:
		return nil, s.prepare(ctx)
	case request.Attach != nil:
		return nil, s.attach(ctx, *request.Attach)
	}
	return (&upload{s, request.Upload}).run(ctx)
}
