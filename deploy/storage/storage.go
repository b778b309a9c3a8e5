package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/internal/loopback"
	"github.com/slipway-wasm/slipway/deploy/internal/progress"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// Options says where filters are stored, and with which credentials.
type Options struct {
	// URL is the storage: gs://BUCKET/PREFIX, s3://BUCKET/PREFIX, azblob://CONTAINER/PREFIX,
	// file:///FOLDER, or https://HOST/PATH for a server that takes PUT. The options of a cloud
	// follow a question mark: see https://gocloud.dev/howto/blob/. Default: the embedded
	// storage, which keeps its objects in Dir and serves them until Close.
	URL string
	// Dir is the folder of the embedded storage. Default: "dist/storage".
	Dir string
	// PublicURL is where readers fetch. Default: URL, if that is http, https or file. A folder
	// itself proves what is in it, but proxies cannot fetch from there.
	PublicURL string
	// Username and Password (Basic), or else Token (Bearer), are the credentials for an https
	// URL. The clouds' SDKs read theirs from the environment as usual.
	Username, Password, Token string
	// NoLists writes and reads neither SHA256SUMS nor index.json: the storage refuses to
	// overwrite anything. Modules and their checksums are enough for proxies.
	NoLists bool
	// Bucket is the store at URL. The command in cloud sets it, because only that command can
	// open the clouds' stores. Default: opened from URL.
	Bucket Bucket
	// CloudCommand is the path of the command in cloud. Default: built from
	// deploy/storage/cloud, as seen from the working directory.
	CloudCommand string
	// Transport does the HTTP requests. Default: Go's own.
	Transport http.RoundTripper
	// Stall is how long a connection may stand still: see retry.Transport.
	Stall time.Duration
	// Retry says how often and how soon a failed operation is tried again. Open sets its
	// Notify.
	Retry retry.Policy
	// Out gets one line for each step, with a bar for long transfers if it is a terminal.
	// Default: nothing is written.
	Out io.Writer
}

// Storage is a place for filters and the address that readers use for it.
type Storage struct {
	options  Options
	location location
	public   string
	bucket   Bucket // nil for a cloud's store, which the command opens
	readers  *http.Client
	report   *progress.Reporter
	retry    retry.Policy
	secrets  redact.Secrets
	close    func() error
}

// Errors about a storage's options, possibly wrapped.
var (
	// ErrCredentials says that the server takes other credentials, or that a part of
	// them is missing.
	ErrCredentials = errors.New("credentials are a username with its password, or a token")
	// ErrCredentialsInAddress says that Options.URL or PublicURL holds credentials, which
	// belong in the other options.
	ErrCredentialsInAddress = errors.New("an address holds no credentials, because it appears in logs")
	// ErrNoPublicURL says that Options.PublicURL is missing.
	ErrNoPublicURL = errors.New("no public address was given, from which readers fetch")
	// ErrElsewhere says that Options.PublicURL does not lead to the storage.
	ErrElsewhere = errors.New("the public address does not serve what is in the storage")
	// ErrPrivate says that Options.PublicURL does not answer everybody.
	ErrPrivate = errors.New("readers are refused")
	// ErrFixedLists says that the storage refuses to overwrite index.json or SHA256SUMS.
	// Options.NoLists does without.
	ErrFixedLists = errors.New("index.json and SHA256SUMS grow with each release")
	// ErrLineBreak says that a password or a token ends with a line break.
	ErrLineBreak = errors.New("it ends with a line break, as a file does; give it without")
	// ErrMoved says that Options.URL redirects.
	ErrMoved = errors.New("an upload does not follow redirects")
)

// Open returns the storage at opts.URL. It sends nothing.
//
// It fails if it does not understand an address, if credentials would cross a network
// unencrypted, and if the readers' address is neither given nor known.
func Open(opts Options) (*Storage, error) {
	s := &Storage{
		options: opts,
		report:  progress.New(opts.Out),
		retry:   opts.Retry,
		close:   func() error { return nil },
	}
	s.secrets.Add(opts.Username, opts.Password)
	s.secrets.Add(opts.Username, opts.Token)
	s.retry.Notify = func(err error, wait time.Duration) {
		s.report.Printf("%s; trying again in %s", s.secrets.Text(err.Error()), wait.Round(100*time.Millisecond))
	}
	transport := &retry.Transport{Base: opts.Transport, Stall: opts.Stall}
	s.readers = &http.Client{Transport: transport}
	if opts.URL == "" {
		return s, s.openEmbedded(opts)
	}
	var err error
	if s.location, err = parseLocation(opts.URL); err != nil {
		return nil, fmt.Errorf("storage URL: %w", err)
	}
	own := opts.PublicURL == ""
	if own {
		opts.PublicURL = opts.URL
	}
	switch {
	case own && s.location.isCloud():
		return nil, fmt.Errorf("storage %s: %w; for example %s", s.location, ErrNoPublicURL, s.location.publicExample())
	case own && s.location.scheme == schemeFile:
		s.public = s.location.String()
		s.readers = &http.Client{Transport: http.NewFileTransport(http.Dir("/"))}
	default:
		if s.public, err = parsePublic(opts.PublicURL); err != nil {
			return nil, fmt.Errorf("public storage URL: %w", err)
		}
	}
	switch {
	case opts.Bucket != nil:
		s.bucket = opts.Bucket
	case s.location.isCloud():
	case s.location.scheme == schemeFile:
		s.bucket = &folder{dir: s.location.path}
	default:
		authorize, err := authorization(opts, s.location)
		if err != nil {
			return nil, fmt.Errorf("storage %s: %w", s.location, err)
		}
		s.bucket = newServer(s.location.String(), transport, authorize, s.retry, s.report.Printf)
	}
	return s, nil
}

// OpenPublic returns a storage that can only be read and verified. publicURL is where readers
// fetch. opts.URL is not used.
func OpenPublic(publicURL string, opts Options) (*Storage, error) {
	opts.URL, opts.PublicURL = publicURL, publicURL
	opts.Username, opts.Password, opts.Token = "", "", ""
	return Open(opts)
}

func (s *Storage) openEmbedded(opts Options) error {
	dir := cmp.Or(opts.Dir, filepath.Join("dist", "storage"))
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("embedded storage: %w", err)
	}
	server, err := httpstore.Serve(httpstore.ServeOptions{Dir: dir})
	if err != nil {
		return fmt.Errorf("embedded storage: %w", err)
	}
	s.location = location{scheme: schemeFile, path: dir}
	s.public = server.URL("")[:len(server.URL(""))-1]
	s.bucket = &folder{dir: dir}
	s.close = server.Close
	return nil
}

// Close stops the server of the embedded storage.
func (s *Storage) Close() error { return s.close() }

// PublicURL returns the address from which readers fetch the object under a key.
func (s *Storage) PublicURL(key string) string { return s.public + "/" + key }

// publicExample returns an example of a public address for this kind of store.
func (l location) publicExample() string {
	var base string
	switch l.scheme {
	case "gs":
		base = "https://storage.googleapis.com/" + l.bucket
	case "s3":
		base = "https://" + l.bucket + ".s3.eu-central-1.amazonaws.com"
	case "azblob":
		base = "https://ACCOUNT.blob.core.windows.net/" + l.bucket
	default:
		return "https://filters.example.com"
	}
	if l.path != "" {
		base += "/" + l.path
	}
	return base
}

// authorization returns a function that adds the credentials to a request.
func authorization(opts Options, l location) (func(*http.Request), error) {
	basic := opts.Username != "" || opts.Password != ""
	for _, c := range []struct{ name, value string }{{"username", opts.Username}, {"password", opts.Password}, {"token", opts.Token}} {
		if strings.TrimRight(c.value, "\r\n") != c.value {
			return nil, fmt.Errorf("the %s: %w", c.name, ErrLineBreak)
		}
	}
	switch {
	case hasControl(opts.Token):
		return nil, errors.New("the token has a line break or another control character in it, which no header can have; give the token alone")
	case basic && opts.Token != "":
		return nil, fmt.Errorf("both a username with a password and a token were given: %w", ErrCredentials)
	case basic && (opts.Username == "" || opts.Password == ""):
		return nil, fmt.Errorf("a username and a password belong together: %w", ErrCredentials)
	case (basic || opts.Token != "") && l.scheme == schemeHTTP && !loopback.Host(l.bucket):
		return nil, errors.New("http would send the credentials in the clear; use https")
	case basic:
		return func(r *http.Request) { r.SetBasicAuth(opts.Username, opts.Password) }, nil
	case opts.Token != "":
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+opts.Token) }, nil
	}
	return func(*http.Request) {}, nil
}

func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }

// do runs an operation with the retries of the policy.
func (s *Storage) do(ctx context.Context, operation func() error) error {
	return s.retry.Do(ctx, operation)
}
