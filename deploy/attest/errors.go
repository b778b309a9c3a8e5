package attest

import "errors"

// What is wrong with the options, in the chain of errors.
var (
	// ErrNoSigner says that nobody can sign: Signer has no key, and no job vouches for it.
	ErrNoSigner = errors.New(`nobody says who signs: it takes a key, or a job of GitHub Actions with the permission "id-token: write"`)
	// ErrPolicy says that Policy does not name whose signatures count.
	ErrPolicy = errors.New("signatures count by a key, or by an identity and who vouches for it")
	// ErrSigstore says that the addresses of a private sigstore are not all of them.
	ErrSigstore = errors.New("the private sigstore cannot be used")
	// ErrTrustedRoot says that TrustedRoot was not given, and the public one not fetched.
	ErrTrustedRoot = errors.New("fetch the trusted root of the public sigstore")
)

// kinds are what a Response tells of an error besides its text.
var kinds = map[string]error{"no signer": ErrNoSigner, "policy": ErrPolicy, "sigstore": ErrSigstore, "trusted root": ErrTrustedRoot}

// FailedResponse is the answer of a program that failed. text is what people read of err.
func FailedResponse(err error, text string) Response {
	response := Response{Error: text}
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			response.ErrorKinds = append(response.ErrorKinds, name)
		}
	}
	return response
}

// Err is the error that a program answered; nil if there is none.
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
