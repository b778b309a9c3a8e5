package oci

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/credentials/trace"
)

// helperTimeout is how long a credential helper may take. It gets no terminal, and so cannot ask
// anybody.
const helperTimeout = time.Minute

// dockerCredentials returns the credentials in the docker credential store. They are asked for
// only if the registry wants some.
func (r *Registry) dockerCredentials() (auth.CredentialFunc, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if _, homeless := os.UserHomeDir(); err != nil && homeless != nil {
		return func(context.Context, string) (auth.Credential, error) { //nolint:nilerr // whoever asks gets it
			return auth.EmptyCredential, fmt.Errorf("%w, and the docker credential store cannot be found without a home folder: %w", ErrNoCredentials, homeless)
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the docker credential store: %w", err)
	}
	get := credentials.Credential(store)
	return func(ctx context.Context, host string) (auth.Credential, error) {
		found, err := r.withinTime(ctx, host, get)
		for _, secret := range []string{found.Password, found.RefreshToken, found.AccessToken} {
			r.secrets.Add(found.Username, secret)
		}
		return found, err
	}, nil
}

// withinTime asks for credentials, and gives up on a helper that hangs, even if a process that
// the helper started keeps its output open.
func (r *Registry) withinTime(ctx context.Context, host string, get auth.CredentialFunc) (auth.Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, r.helperTimeout)
	defer cancel()
	var helper atomic.Value
	helper.Store("the docker credential store")
	ctx = trace.WithExecutableTrace(ctx, &trace.ExecutableTrace{ExecuteStart: func(name, _ string) { helper.Store(name) }})
	type answer struct {
		auth.Credential
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		found, err := get(ctx, host)
		answers <- answer{found, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil && ctx.Err() == nil {
			a.err = fmt.Errorf("%s: %w", helper.Load(), a.err)
		}
		if ctx.Err() == nil {
			return a.Credential, a.err
		}
	case <-ctx.Done():
	}
	return auth.EmptyCredential, fmt.Errorf("%s does not say within %s how to log in to %s: %w; try it by hand, or take it out of docker's config.json", helper.Load(), r.helperTimeout, host, ErrNoCredentials)
}
