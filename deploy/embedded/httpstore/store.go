package httpstore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

var (
	// ErrExists says that a key holds other bytes already. Objects never change.
	ErrExists = errors.New("object exists with other bytes")
	// ErrKey says that a key cannot name an object.
	ErrKey = errors.New("invalid key")
)

// Store is a folder of objects that never change. It is safe for concurrent use,
// also by several processes on the same folder.
type Store struct{ root *os.Root }

// Object is what the store holds under a key.
type Object struct {
	// Key is the object's slash-separated path, such as "headers/1.0.0/headers.wasm".
	Key string
	// SHA256 is the sum of its bytes, 64 lower-case hex digits.
	SHA256 string
	// Size is in bytes.
	Size int64
}

// Open returns the store in dir, which is created where it is missing.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open storage %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	return &Store{root: root}, nil
}

// Close releases the folder. What it holds stays.
func (s *Store) Close() error { return s.root.Close() }

// Put stores what r holds under key. If the key has the same bytes already, that
// is a success; if it has others, the error is [ErrExists] and nothing changes.
// The object appears complete or not at all.
func (s *Store) Put(key string, r io.Reader) (Object, error) {
	object, err := s.put(key, r)
	if err != nil {
		return Object{}, fmt.Errorf("put %s: %w", key, err)
	}
	return object, nil
}

func (s *Store) put(key string, r io.Reader) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	if err := s.root.MkdirAll(path.Dir(key), 0o755); err != nil {
		return Object{}, err
	}
	temp := path.Join(path.Dir(key), ".put-"+rand.Text())
	defer s.root.Remove(temp) //nolint:errcheck // hidden, hence never served
	object, err := s.write(temp, r)
	if err != nil {
		return Object{}, err
	}
	object.Key = key

	// A link, unlike a rename, fails when the name is taken: of two writers one wins.
	err = s.root.Link(temp, key)
	if !errors.Is(err, fs.ErrExist) {
		return object, err
	}
	existing, err := s.Stat(key)
	if err != nil {
		return Object{}, err
	}
	if existing.SHA256 != object.SHA256 {
		return Object{}, fmt.Errorf("%w: it has sha256 %s, ours %s; choose a new version", ErrExists, existing.SHA256, object.SHA256)
	}
	return existing, nil
}

func (s *Store) write(name string, r io.Reader) (Object, error) {
	file, err := s.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return Object{}, err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, hash), r)
	if err := errors.Join(err, file.Close()); err != nil {
		return Object{}, err
	}
	return Object{SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size}, nil
}

// Stat returns what the store holds under key; the sum is that of the bytes as
// they are now. A key without object gives an error that is [fs.ErrNotExist].
func (s *Store) Stat(key string) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, fmt.Errorf("stat %s: %w", key, err)
	}
	file, err := s.root.Open(key)
	if err != nil {
		return Object{}, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return Object{}, err
	}
	return Object{Key: key, SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size}, nil
}

// checkKey keeps keys inside the folder and away from hidden files, among which
// are uploads that are not complete.
func checkKey(key string) error {
	if !fs.ValidPath(key) || key == "." {
		return fmt.Errorf("%w: want a relative path such as headers/1.0.0/headers.wasm", ErrKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(segment, ".") {
			return fmt.Errorf("%w: %q begins with a dot", ErrKey, segment)
		}
	}
	return nil
}
