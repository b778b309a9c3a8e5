package pipeline

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// password protects a key that only exists during the run.
const password = "bench"

// key is a key pair, as "cosign generate-key-pair" writes it. Releases are signed, and
// the bench cannot ask anybody to sign.
type key struct{ private, public string }

// newKey makes a key pair in files whose names begin with path.
func newKey(path string) (key, error) {
	k := key{private: path + ".key", public: path + ".pub"}
	if err := k.write(); err != nil {
		return key{}, fmt.Errorf("make a key to sign with: %w", err)
	}
	return k, nil
}

func (k key) write() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	sealed, err := encrypted.Encrypt(der, []byte(password))
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(k.private, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: sealed}), 0o600),
		os.WriteFile(k.public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
}
