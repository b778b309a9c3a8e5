package storage

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// The schemes of a storage's address.
const (
	schemeFile  = "file"
	schemeHTTP  = "http"
	schemeHTTPS = "https"
)

// cloudSchemes are the schemes that the command in cloud serves.
var cloudSchemes = []string{"gs", "s3", "azblob"}

// location is a storage's address after checking.
type location struct {
	scheme string
	// bucket is the bucket of a cloud's store, or the host and port of a server.
	bucket string
	// path is the part between bucket and keys: "", or segments without a slash at either end.
	// For a folder it is the folder's path in the operating system's form.
	path string
	// query holds the options of a cloud's address.
	query url.Values
}

// String returns the address without options. It is safe to show.
func (l location) String() string {
	if l.scheme == schemeFile {
		return "file://" + filepath.ToSlash(l.path)
	}
	return strings.TrimSuffix(l.scheme+"://"+l.bucket+"/"+l.path, "/")
}

// object is the address of one object.
func (l location) object(key string) string { return l.String() + "/" + key }

func (l location) isCloud() bool { return slices.Contains(cloudSchemes, l.scheme) }

// parseLocation reads the address of a storage. No error repeats an address that
// may hold a secret.
func parseLocation(address string) (location, error) {
	u, err := parseAddress(address)
	if err != nil {
		return location{}, err
	}
	l := location{scheme: u.Scheme, bucket: u.Host, path: strings.Trim(u.Path, "/"), query: u.Query()}
	switch {
	case u.Scheme == schemeFile:
		if u.Host != "" && u.Host != "localhost" {
			return location{}, fmt.Errorf("%s://%s%s: a file URL names no host; write three slashes: file:///%s%s", u.Scheme, u.Host, u.Path, u.Host, u.Path)
		}
		if l.path == "" {
			return location{}, errors.New("file:// names no folder; write file:///srv/filters")
		}
		l.path = filepath.FromSlash(strings.TrimRight(u.Path, "/"))
	case l.isCloud() && u.Host == "":
		return location{}, fmt.Errorf("%s://%s names no bucket; write %s://BUCKET/PREFIX", u.Scheme, u.Path, u.Scheme)
	case (u.Scheme == schemeHTTP || u.Scheme == schemeHTTPS) && u.Hostname() == "":
		return location{}, fmt.Errorf("%s://%s names no host; write %s://HOST/PATH", u.Scheme, u.Path, u.Scheme)
	case l.isCloud(), u.Scheme == schemeHTTP, u.Scheme == schemeHTTPS:
	default:
		return location{}, fmt.Errorf("unknown scheme %q; an address begins with gs://, s3://, azblob://, file:// or https://", u.Scheme)
	}
	if len(l.query) > 0 && !l.isCloud() {
		return location{}, fmt.Errorf("%s has a query, which %s addresses cannot have: %w", l, u.Scheme, ErrCredentialsInAddress)
	}
	return l, nil
}

// parsePublic reads the address that readers use, and returns it without a slash at its end.
func parsePublic(address string) (string, error) {
	u, err := parseAddress(address)
	if err != nil {
		return "", err
	}
	if (u.Scheme != schemeHTTP && u.Scheme != schemeHTTPS) || u.Hostname() == "" {
		return "", errors.New("readers fetch over HTTP: write https://HOST/PATH")
	}
	if u.RawQuery != "" {
		return "", errors.New("the address has a query, and readers send none")
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), nil
}

// parseAddress makes the checks that all addresses share.
func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL") // the parser's error repeats the address
	case u.Scheme == "":
		hint := ""
		if strings.HasPrefix(address, ".") || strings.HasPrefix(address, "/") {
			hint = "; for a folder write file:// and its absolute path, such as file:///srv/filters"
		}
		return nil, errors.New("the address has no scheme; it begins with gs://, s3://, azblob://, file:// or https://" + hint)
	case u.User != nil:
		return nil, fmt.Errorf("%s://%s%s: %w", u.Scheme, u.Host, u.Path, ErrCredentialsInAddress)
	case u.Fragment != "":
		return nil, errors.New("it has a fragment (#)")
	case u.Opaque != "":
		return nil, errors.New("write two slashes after the scheme, as in s3://") // it may be user:password
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == ".." || segment == "." {
			return nil, fmt.Errorf("%s://%s%s: the path holds a segment %q, which would lead out of it", u.Scheme, u.Host, u.Path, segment)
		}
	}
	return u, nil
}
