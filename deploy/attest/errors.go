package attest

import "errors"

// Errors about the options, to be found by errors.Is.
var (
	// ErrNoSigner says that nothing can sign: Signer has no key, and there is no
	// identity of a job.
	ErrNoSigner = errors.New(`nobody says who signs: it takes a key, or a job of GitHub Actions with the permission "id-token: write"`)
	// ErrIdentity says that a job cannot make the signatures that the policy accepts.
	ErrIdentity = errors.New("is what signatures are accepted from")
	// ErrPolicy says that Policy does not name whose signatures count.
	ErrPolicy = errors.New("a signature is trusted by a key, or by an identity with its issuer")
	// ErrSigstore says that some addresses of a private sigstore are missing.
	ErrSigstore = errors.New("the private sigstore cannot be used")
	// ErrPlayedOther says that scenarios were played with other modules than those that
	// are published.
	ErrPlayedOther = errors.New("play them with the module that is published")
	// ErrTrustedRoot says that the public trusted root could not be fetched, and
	// TrustedRoot names no other.
	ErrTrustedRoot = errors.New("fetch the trusted root of the public sigstore")
)

// kinds are the kinds of error that a Response can name besides its text.
var kinds = map[string]error{"no signer": ErrNoSigner, "policy": ErrPolicy, "sigstore": ErrSigstore, "trusted root": ErrTrustedRoot}

// FailedResponse is the response of a program that failed with err. text is the message
// for people.
func FailedResponse(err error, text string) Response {
	response := Response{Error: text}
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			response.ErrorKinds = append(response.ErrorKinds, name)
		}
	}
	return response
}

// Err is the error in the response; nil if there is none.
func (r Response) Err() error {
	if r.Error == "" {
		return nil
	}
	failed := &failure{text: r.Error}
	for _, name := range r.ErrorKinds {
		if kind := kinds[name]; kind != nil {
			failed.chain = append(failed.chain, kind)
		}
	}
	return failed
}

// failure is an error whose text and chain come from elsewhere.
type failure struct {
	text  string
	chain []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.chain }
