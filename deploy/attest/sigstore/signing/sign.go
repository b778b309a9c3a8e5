package signing

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// payloadType is the type of in-toto statements in a DSSE envelope.
//
// Reference: https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md
const payloadType = "application/vnd.in-toto+json"

// How long a service may take to answer, and how often it is asked again.
const (
	serviceTimeout = 90 * time.Second
	serviceRetries = 3
)

// Sign makes a bundle for each statement, unless an existing bundle makes it.
func Sign(ctx context.Context, request attest.SignRequest) (response attest.Response, err error) {
	s, err := newSigner(ctx, request.Signer)
	if err != nil {
		return response, err
	}
	if response.PublicKey, err = s.publicKey(); err != nil {
		return response, err
	}
	existing, err := s.judgeOfExisting(ctx, request.Policy)
	if err != nil {
		return response, err
	}
	response.Bundles = make([]json.RawMessage, len(request.Items))
	for i, item := range request.Items {
		if existing.has(item) {
			continue
		}
		if response.Bundles[i], err = s.sign(ctx, item.Statement); err != nil {
			return attest.Response{}, err
		}
	}
	return response, nil
}

// signer makes bundles.
type signer struct {
	keypair sign.Keypair
	keyless bool
	options sign.BundleOptions
}

func newSigner(ctx context.Context, opts attest.Signer) (*signer, error) {
	if err := checkAddresses(opts); err != nil {
		return nil, err
	}
	if opts.Key != "" {
		key, err := loadSigner(ctx, opts.Key)
		if err != nil {
			return nil, err
		}
		keypair, err := newKeypair(key)
		if err != nil {
			return nil, fmt.Errorf("open key %s: %w", redact.Value(opts.Key), err)
		}
		s := &signer{keypair: keypair}
		return s, s.addLogs(opts)
	}
	keypair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, err
	}
	if opts.Rehearsal {
		return &signer{keypair: keypair}, nil
	}
	token, err := attest.IdentityToken(ctx)
	if err != nil {
		return nil, err
	}
	s := &signer{keypair: keypair, keyless: true}
	s.options.CertificateProviderOptions = &sign.CertificateProviderOptions{IDToken: token}
	if opts.FulcioURL == "" {
		return s, s.usePublic(opts)
	}
	if opts.RekorURL == "" {
		return nil, fmt.Errorf("%w: a Fulcio is given without a log; a certificate lasts minutes, and only a log or a timestamp proves later that it was valid", attest.ErrSigstore)
	}
	s.useFulcio(opts.FulcioURL)
	return s, s.addLogs(opts)
}

// checkAddresses refuses a text that is not an address. It may be a secret, and the
// error of a request to it would repeat it.
func checkAddresses(opts attest.Signer) error {
	for _, service := range []struct{ name, address string }{{"Fulcio", opts.FulcioURL}, {"the log", opts.RekorURL}, {"the timestamp authority", opts.TimestampURL}} {
		u, err := url.Parse(service.address)
		if service.address != "" && (err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "") {
			return fmt.Errorf("%w: the address of %s is not an http or https URL; write https://HOST", attest.ErrSigstore, service.name)
		}
	}
	return nil
}

// usePublic signs with the services that the public sigstore names at present.
func (s *signer) usePublic(opts attest.Signer) error {
	if opts.RekorURL != "" || opts.TimestampURL != "" || opts.TrustedRoot != "" {
		return fmt.Errorf("%w: a log, a timestamp authority or a trusted root is given without a Fulcio; the public sigstore has its own of each", attest.ErrSigstore)
	}
	config, err := root.FetchSigningConfig()
	if err != nil {
		return fmt.Errorf("fetch the addresses of the public sigstore: %w", err)
	}
	fulcio, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, time.Now())
	if err != nil {
		return fmt.Errorf("choose a Fulcio: %w", err)
	}
	s.useFulcio(fulcio.URL)
	rekors, err := root.SelectServices(config.RekorLogURLs(), config.RekorLogURLsConfig(), sign.RekorAPIVersions, time.Now())
	if err != nil {
		return fmt.Errorf("choose a Rekor: %w", err)
	}
	for _, rekor := range rekors {
		s.addRekor(rekor.URL, rekor.MajorAPIVersion)
	}
	if len(config.TimestampAuthorityURLs()) > 0 {
		authorities, err := root.SelectServices(config.TimestampAuthorityURLs(), config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, time.Now())
		if err != nil {
			return fmt.Errorf("choose a timestamp authority: %w", err)
		}
		for _, authority := range authorities {
			s.addTimestamps(authority.URL)
		}
	}
	// The new signatures are checked against the trusted root that everybody uses.
	s.options.TrustedRoot, err = trustedRoot("")
	return err
}

// addLogs adds the configured log and timestamp authority.
func (s *signer) addLogs(opts attest.Signer) (err error) {
	if opts.RekorURL != "" {
		s.addRekor(opts.RekorURL, 1)
	}
	if opts.TimestampURL != "" {
		s.addTimestamps(opts.TimestampURL)
	}
	if s.keyless && opts.TrustedRoot != "" {
		s.options.TrustedRoot, err = trustedRoot(opts.TrustedRoot)
	}
	return err
}

// useFulcio requests one certificate, for all statements.
func (s *signer) useFulcio(url string) {
	s.options.CertificateProvider = &oneCertificate{CertificateProvider: sign.NewFulcio(&sign.FulcioOptions{BaseURL: url, Timeout: serviceTimeout, Retries: serviceRetries})}
}

func (s *signer) addRekor(url string, version uint32) {
	s.options.TransparencyLogs = append(s.options.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: url, Timeout: serviceTimeout, Retries: serviceRetries, Version: version}))
}

func (s *signer) addTimestamps(url string) {
	s.options.TimestampAuthorities = append(s.options.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: url, Timeout: serviceTimeout, Retries: serviceRetries}))
}

func (s *signer) sign(ctx context.Context, statement []byte) (json.RawMessage, error) {
	opts := s.options
	opts.Context = ctx
	made, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: payloadType}, s.keypair, opts)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return protojson.Marshal(made)
}

// publicKey is the key's public half; empty for a key with a certificate.
func (s *signer) publicKey() (string, error) {
	if s.keyless {
		return "", nil
	}
	return s.keypair.GetPublicKeyPem()
}

// oneCertificate requests a certificate only once.
type oneCertificate struct {
	sign.CertificateProvider
	once sync.Once
	der  []byte
	err  error
}

func (c *oneCertificate) GetCertificate(ctx context.Context, keypair sign.Keypair, opts *sign.CertificateProviderOptions) ([]byte, error) {
	c.once.Do(func() { c.der, c.err = c.CertificateProvider.GetCertificate(ctx, keypair, opts) })
	if c.err != nil {
		return nil, fmt.Errorf("get a certificate from Fulcio: %w", c.err)
	}
	return c.der, nil
}
