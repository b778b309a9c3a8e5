// Package variables reads environment variables into structs, and describes them.
//
// Values has the variables that the targets of any repository read. A program with other
// variables has a struct of its own; Read and Describe handle it in the same way. The packages
// that do the work take plain options, and work without any environment.
//
// Only a field's tags define a variable. "env" is its name, "group" is the thing that it
// belongs to, "doc" is its purpose, and "default" says in words what applies without it.
// "kind" is "file" if the value is a file's name, and "secret" if the value itself is secret.
// "go tool mage vars" and the tables of the pages are made from the tags.
package variables

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Values holds the variables that the targets of any repository read.
type Values struct {
	Filters       []string `env:"FILTERS" group:"filters" doc:"filters to work on, separated by commas" default:"all"`
	Compiler      string   `env:"COMPILER" group:"compiler" doc:"compiler for the filters: go or tinygo" default:"tinygo where it is installed, else go"`
	GoToolchain   string   `env:"FILTER_GOTOOLCHAIN" group:"compiler" doc:"Go release to build the filters with, for example go1.23.12" default:"the pinned release of each compiler"`
	TinyGoVersion string   `env:"TINYGO_VERSION" group:"compiler" doc:"TinyGo release that builds the filters, if not the pinned one, for example 0.40.1; release takes no other unless it is named here" default:"the pinned one where it was downloaded, else what is on PATH"`
	EnvoyPath     string   `env:"ENVOY_PATH" group:"envoy" doc:"Envoy binary to run, instead of finding or downloading one" default:"none"`
	EnvoyVersions []string `env:"ENVOY_VERSIONS" group:"envoy" doc:"Envoy versions to run e2e with, separated by commas" default:"1.40.0"`

	Registry          string   `env:"REGISTRY" group:"registry" doc:"registry and path for the filters, for example ghcr.io/acme/filters" default:"an embedded registry in dist/registry"`
	RegistryUsername  string   `env:"REGISTRY_USERNAME" group:"registry" doc:"user name for the registry" default:"the docker credential store's"`
	RegistryPassword  string   `env:"REGISTRY_PASSWORD" kind:"secret" group:"registry" doc:"password or token for the registry" default:"the docker credential store's"`
	RegistryPlainHTTP bool     `env:"REGISTRY_PLAIN_HTTP" group:"registry" doc:"talk to the registry of REGISTRY without TLS" default:"false, but true for a loopback address"`
	Shapes            []string `env:"SHAPES" group:"shapes" doc:"manifest shapes to push, separated by commas: artifact, compat, cncf" default:"artifact"`
	MovingTags        Off      `env:"MOVING_TAGS" group:"moving tags" doc:"none leaves the moving tags 1.4, 1 and latest alone, for a registry whose tags are immutable; verify does not look at them then" default:"they move where the registry lets them"`
	StorageURL        string   `env:"STORAGE_URL" group:"storage" doc:"storage for the filters: gs://, s3://, azblob:// with a bucket and a prefix, file:///FOLDER, or https:// for PUT" default:"an embedded storage in dist/storage"`
	StoragePublicURL  string   `env:"STORAGE_PUBLIC_URL" group:"storage" doc:"where readers fetch what is in STORAGE_URL, without credentials" default:"STORAGE_URL, if that is https or file; from a file no proxy can fetch"`
	StorageUsername   string   `env:"STORAGE_USERNAME" group:"storage" doc:"user name for an https STORAGE_URL" default:"none"`
	StoragePassword   string   `env:"STORAGE_PASSWORD" kind:"secret" group:"storage" doc:"password for an https STORAGE_URL" default:"none"`
	StorageToken      string   `env:"STORAGE_TOKEN" kind:"secret" group:"storage" doc:"bearer token for an https STORAGE_URL, in place of name and password" default:"none"`

	StorageLists Off `env:"STORAGE_LISTS" group:"storage" doc:"none writes and reads neither index.json nor SHA256SUMS, for a storage that refuses to overwrite them" default:"they list what is published"`

	Sign             Signing `env:"SIGN" group:"signing" doc:"how to sign: keyless, key or none; what that lacks is found before anything is published" default:"with SIGN_KEY, or else keyless in GitHub Actions"`
	SignKey          string  `env:"SIGN_KEY" kind:"file" group:"signing" doc:"private key to sign with: a file of cosign generate-key-pair, env://VARIABLE for a variable that holds one, or a key in awskms://, gcpkms://, azurekms:// or hashivault://" default:"none: keyless in GitHub Actions, a key that nobody keeps in the embedded registry"`
	CosignPassword   string  `env:"COSIGN_PASSWORD" kind:"secret" group:"signing" doc:"password of the file SIGN_KEY" default:"none"`
	FulcioURL        string  `env:"FULCIO_URL" group:"signing" doc:"Fulcio of a private sigstore, for keyless signatures" default:"the public one"`
	RekorURL         string  `env:"REKOR_URL" group:"signing" doc:"transparency log of a private sigstore; with SIGN_KEY, the log to write to" default:"the public one; with SIGN_KEY, none"`
	TimestampURL     string  `env:"TIMESTAMP_URL" group:"signing" doc:"timestamp authority of a private sigstore; with SIGN_KEY, the authority to ask" default:"the public one; with SIGN_KEY, none"`
	TrustedRoot      string  `env:"TRUSTED_ROOT" kind:"file" group:"verification" doc:"file with the trusted root of a private sigstore, as cosign trusted-root create writes it" default:"the public one, by TUF"`
	VerifyKey        string  `env:"VERIFY_KEY" kind:"file" group:"verification" doc:"public key, a file or as SIGN_KEY, whose signatures verify accepts" default:"none; in the embedded registry that of the rehearsal"`
	VerifyIdentity   string  `env:"VERIFY_IDENTITY" group:"verification" doc:"identity whose keyless signatures verify accepts, to the letter, such as https://github.com/acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0" default:"none"`
	VerifyIssuer     string  `env:"VERIFY_ISSUER" group:"verification" doc:"who vouches for VERIFY_IDENTITY, such as https://token.actions.githubusercontent.com" default:"none"`
	VerifyRepository string  `env:"VERIFY_REPOSITORY" group:"verification" doc:"repository whose workflow has to have signed, where others call the same reusable workflow, such as https://github.com/acme/filters" default:"any"`
	VerifyTested     bool    `env:"VERIFY_TESTED" group:"tests" doc:"whether verify demands, for each filter, a signed test result: which scenarios passed, in which Envoys" default:"false: one that is there has to be right, and none has to be there"`

	HTTPBinImage string `env:"HTTPBIN_IMAGE" group:"images" doc:"image of the httpbin that render adds to try filters on, with a tag, a digest or both" default:"mccutchen/go-httpbin:v2.26.0"`

	TransferTimeout time.Duration `env:"TRANSFER_TIMEOUT" group:"timeouts" doc:"how long a target may take to publish or read, with all retries, for example 10m" default:"30m"`
}

// Off is true for the word none, which turns off what is on without it.
type Off bool

// Signing is how to sign: one of the constants, or empty.
type Signing string

// The ways to sign.
const (
	SignKeyless Signing = "keyless"
	SignWithKey Signing = "key"
	SignNone    Signing = "none"
)

// FromEnv reads the environment into a Values: see Read. A registry takes no upper-case letters,
// and GitHub gives an owner's name as it is spelled, so REGISTRY is made lowercase.
func FromEnv() (Values, error) {
	c, err := Read[Values]()
	c.Registry = strings.ToLower(c.Registry)
	return c, err
}

// Read reads the environment into a struct whose fields have tags like Values's. An error
// names the variables at fault and says what they should be. It never repeats a value, which
// may be a secret in the wrong variable.
func Read[T any]() (T, error) {
	c, err := env.ParseAsWithOptions[T](env.Options{FuncMap: map[reflect.Type]env.ParserFunc{
		reflect.TypeFor[[]string](): func(list string) (any, error) { return catalog.Names(list), nil },
		reflect.TypeFor[Signing](): func(word string) (any, error) {
			return Signing(word), is(word, string(SignKeyless), string(SignWithKey), string(SignNone))
		},
		reflect.TypeFor[Off](): func(word string) (any, error) { return Off(true), is(word, "none") },
	}})
	if err == nil {
		err = check(reflect.ValueOf(c))
	} else {
		err = explain(err, reflect.TypeFor[T]())
	}
	if err != nil {
		var zero T
		return zero, fmt.Errorf("read the environment: %w", err)
	}
	return c, nil
}

func is(word string, wanted ...string) error {
	if !slices.Contains(wanted, word) {
		return errors.New("another word")
	}
	return nil
}

// explain names the variables whose values have the wrong type. The parser's errors name
// fields of the struct, and repeat the values.
func explain(err error, config reflect.Type) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var problems []error
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			problems = append(problems, err)
			continue
		}
		field, _ := config.FieldByName(parse.Name)
		should := "have another form"
		switch {
		case field.Type == reflect.TypeFor[time.Duration]():
			should = "be a duration, such as 10m"
		case field.Type == reflect.TypeFor[Off]():
			should = "be none, or not set"
		case field.Type == reflect.TypeFor[Signing]():
			should = "be keyless, key or none"
		case field.Type.Kind() == reflect.Bool:
			should = "be true or false"
		}
		problems = append(problems, fmt.Errorf("%s should %s; it is for: %s", field.Tag.Get("env"), should, field.Tag.Get("doc")))
	}
	return errors.Join(problems...)
}

// check refuses a value that is a file's content in place of its name. SIGN_KEY may hold the
// private key itself, for example, because CI systems keep secrets that way.
func check(config reflect.Value) error {
	var problems []error
	for field, value := range config.Fields() {
		kind := field.Tag.Get("kind")
		content := contentOf(fmt.Sprint(value))
		if kind == "secret" || content == "" {
			continue
		}
		problem := fmt.Errorf("%s holds %s; it should be: %s", field.Tag.Get("env"), content, field.Tag.Get("doc"))
		if kind == "file" {
			problem = fmt.Errorf("%w; write what it holds to a file (mode 0600), and give the file's name", problem)
		}
		problems = append(problems, problem)
	}
	return errors.Join(problems...)
}

// contentOf names the kind of content if a value looks like a file's content; empty if not.
func contentOf(value string) string {
	value = strings.Trim(value, "[] \t\r\n") // a list is printed in brackets
	switch {
	case strings.HasPrefix(value, "-----BEGIN"), strings.HasPrefix(value, pemInBase64):
		return "a key or a certificate itself"
	case strings.ContainsAny(value, "\r\n"):
		return "more than one line"
	case strings.HasPrefix(value, "{"):
		return "JSON itself"
	}
	return ""
}

// pemInBase64 is how "-----BEGIN" begins in base64. CI systems often keep keys in that form.
const pemInBase64 = "LS0tLS1CRUdJT"

// Variable describes one environment variable.
type Variable struct {
	// Name is the variable's name, such as REGISTRY.
	Name string
	// Group is the thing that the variable belongs to, such as registry, in small letters.
	Group string
	// Doc is the variable's purpose.
	Doc string
	// Default says in words what applies if the variable is not set.
	Default string
}

// Describe lists the variables that Read reads into a struct, in the order of its fields.
func Describe[T any]() []Variable {
	var list []Variable
	for field := range reflect.TypeFor[T]().Fields() {
		list = append(list, Variable{
			Name:    field.Tag.Get("env"),
			Group:   field.Tag.Get("group"),
			Doc:     field.Tag.Get("doc"),
			Default: field.Tag.Get("default"),
		})
	}
	return list
}
