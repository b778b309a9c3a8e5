package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// passwordVariable holds the password of a private key, as for cosign.
const passwordVariable = "COSIGN_PASSWORD"

// loadOptions are cosign's: an Ed25519 key signs a hash, because a transparency log
// sees only the hash.
//
// Reference: https://github.com/sigstore/cosign/blob/v3.1.3/pkg/cosign/keys.go
var loadOptions = []signature.LoadOption{options.WithED25519ph()}

// loadSigner opens a private key: a file or a key in a KMS.
func loadSigner(ctx context.Context, key string) (signature.SignerVerifier, error) {
	if inKMS(key) {
		signer, err := kms.Get(ctx, key, crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("open key %s: %w", redact.Value(key), err)
		}
		return signer, nil
	}
	signer, err := loadPrivateKey(key, []byte(os.Getenv(passwordVariable)))
	if err != nil {
		return nil, fmt.Errorf("open private key %s: %w", redact.Value(key), err)
	}
	return signer, nil
}

// loadPrivateKey opens what "cosign generate-key-pair" wrote.
//
// Reference: https://github.com/sigstore/cosign/blob/v3.1.3/pkg/cosign/keys.go
func loadPrivateKey(file string, password []byte) (signature.SignerVerifier, error) {
	data, err := readKey(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || (block.Type != "ENCRYPTED SIGSTORE PRIVATE KEY" && block.Type != "ENCRYPTED COSIGN PRIVATE KEY") {
		return nil, errors.New(`it is no encrypted private key of cosign; make one with "cosign generate-key-pair", or turn another into one with "cosign import-key-pair"`)
	}
	der, err := encrypted.Decrypt(block.Bytes, password)
	if err != nil {
		return nil, fmt.Errorf("%s does not decrypt it", passwordVariable)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("its decrypted content is not a PKCS #8 key")
	}
	return signature.LoadDefaultSignerVerifier(private, loadOptions...)
}

// loadPublicKey opens a public key: a PEM file or a key in a KMS.
func loadPublicKey(ctx context.Context, key string) (crypto.PublicKey, error) {
	if inKMS(key) {
		signer, err := kms.Get(ctx, key, crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("open key %s: %w", redact.Value(key), err)
		}
		return signer.PublicKey(options.WithContext(ctx))
	}
	data, err := readKey(key)
	if err != nil {
		return nil, fmt.Errorf("open public key: %w", err)
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf(`open public key %s: it is no public key as PEM; give the file that "cosign public-key" prints`, key)
	}
	return public, nil
}

// inVariable begins a key that is in an environment variable, as for cosign.
const inVariable = "env://"

// readKey reads a key's file, or the environment variable that holds it.
func readKey(key string) ([]byte, error) {
	name, ok := strings.CutPrefix(key, inVariable)
	if !ok {
		return redact.ReadFile(key)
	}
	if os.Getenv(name) == "" {
		return nil, fmt.Errorf("the variable of %s is empty or not set", redact.Value(key))
	}
	return []byte(os.Getenv(name)), nil
}

func inKMS(key string) bool {
	return strings.Contains(key, "://") && !strings.HasPrefix(key, inVariable)
}

// keypair lets sigstore-go sign with a key of sigstore's libraries.
type keypair struct {
	signer    signature.SignerVerifier
	public    crypto.PublicKey
	hint      []byte
	algorithm signature.AlgorithmDetails
}

func newKeypair(signer signature.SignerVerifier) (*keypair, error) {
	public, err := signer.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	algorithm, err := signature.GetDefaultAlgorithmDetails(public, loadOptions...)
	if err != nil {
		return nil, err
	}
	hint, err := keyHint(public)
	return &keypair{signer: signer, public: public, hint: hint, algorithm: algorithm}, err
}

// keyHint is the name that cosign gives a public key in a bundle.
func keyHint(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	sum := sha256.Sum256(der)
	return []byte(base64.StdEncoding.EncodeToString(sum[:])), err
}

func (k *keypair) GetHashAlgorithm() protocommon.HashAlgorithm { return k.algorithm.GetProtoHashType() }

func (k *keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return k.algorithm.GetSignatureAlgorithm()
}

func (k *keypair) GetHint() []byte { return k.hint }

func (k *keypair) GetKeyAlgorithm() string {
	switch k.public.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA"
	case *rsa.PublicKey:
		return "RSA"
	case ed25519.PublicKey:
		return "ED25519"
	}
	return ""
}

func (k *keypair) GetPublicKey() crypto.PublicKey { return k.public }

func (k *keypair) GetPublicKeyPem() (string, error) {
	data, err := cryptoutils.MarshalPublicKeyToPEM(k.public)
	return string(data), err
}

// SignData returns the signature and the digest that was signed.
func (k *keypair) SignData(ctx context.Context, data []byte) ([]byte, []byte, error) {
	hash := k.algorithm.GetHashType().New()
	hash.Write(data)
	digest := hash.Sum(nil)
	sig, err := k.signer.SignMessage(bytes.NewReader(data), options.WithContext(ctx), options.WithDigest(digest))
	return sig, digest, err
}
