package targets

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/verify"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// signedRelease releases 1.4.0, signed, to a registry and a storage, and returns its
// configuration and the storage's folder.
func signedRelease(t *testing.T) (c variables.Values, folder string) {
	t.Helper()
	keys, err := filepath.Abs("testdata") // a key pair for tests only
	if err != nil {
		t.Fatal(err)
	}
	builder := secretProject(t)
	t.Setenv("COSIGN_PASSWORD", "test")
	registry := startRegistry(t)
	folder = t.TempDir()
	store, err := httpstore.Serve(httpstore.ServeOptions{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	c = variables.Values{
		Registry: registry + "/acme", StorageURL: "file://" + folder, StoragePublicURL: strings.TrimSuffix(store.URL(""), "/"),
		SignKey: filepath.Join(keys, "cosign.key"), VerifyKey: filepath.Join(keys, "cosign.pub"),
	}
	var log bytes.Buffer
	options, err := releaseOptions(c, "1.4.0", releaseChoices{Suite: gotest.Options{RefuseSkips: true}}, Output{Out: &log, Err: &log})
	if err == nil {
		options.Maker = quickMaker{build: builder}
		_, err = rel.Release(t.Context(), options)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return c, folder
}

// TestVerifySignedRecord edits each field of a signed record. verify refuses each edit, and names
// the field: with registry and storage, and with the storage alone.
func TestVerifySignedRecord(t *testing.T) {
	c, folder := signedRelease(t)
	alone := c
	alone.Registry = ""
	path, bundle := filepath.Join(dist, rel.RecordFile), filepath.Join(dist, rel.BundleFile)
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	verified := func(c variables.Values) (string, error) {
		var out bytes.Buffer
		err := verifyPublished(t.Context(), c, "1.4.0", false, Output{Out: &out, Err: io.Discard})
		return out.String(), err
	}
	// What is published is read once for all edits.
	published := map[string]*verify.Report{}
	for name, c := range map[string]variables.Values{"both": c, "the storage alone": alone} {
		out, err := verified(c)
		if err != nil || strings.Contains(out, "missing") || strings.Count(out, "  record  ") < 2 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if published[name], err = findVersion(t.Context(), c, version.MustParse("1.4.0"), false, Output{Out: io.Discard, Err: io.Discard}); err != nil {
			t.Fatal(err)
		}
	}
	opts := verify.Options{Filters: []string{"headers"}, Version: version.MustParse("1.4.0"), Policy: policy(c)}

	type object = map[string]any
	filter := func(r object) object { return r["filters"].([]any)[0].(object) }
	manifest := func(r object) object { return filter(r)["manifests"].([]any)[0].(object) }
	scenario := func(r object) object { return filter(r)["scenarios"].([]any)[0].(object) }
	set := func(in func(object) object, key string, value any) func(object) {
		return func(r object) {
			old := in(r)[key]
			if in(r)[key] = value; reflect.DeepEqual(old, value) {
				t.Errorf("%s is %v already", key, value)
			}
		}
	}
	without := func(in func(object) object, key string) func(object) {
		return func(r object) {
			if _, ok := in(r)[key]; !ok {
				t.Errorf("there is no %s in %v", key, in(r))
			}
			delete(in(r), key)
		}
	}
	top := func(r object) object { return r }
	compiler := func(r object) object { return r["compiler"].(object) }
	zeros := strings.Repeat("0", 64)
	edits := map[string]struct {
		edit func(object)
		want string // the field
	}{
		"schema":             {set(top, "$schema", "https://evil.example/v2.json"), "$schema"},
		"another version":    {set(top, "version", "1.4.1"), "version"},
		"an older version":   {set(top, "version", "1.3.0"), "version"},
		"no version":         {without(top, "version"), "version"},
		"tag":                {set(top, "tag", "v1.4.1"), "tag"},
		"tag of one filter":  {set(top, "tag", "headers/v1.4.0"), "tag"},
		"a rehearsal":        {set(top, "rehearsal", true), "rehearsal"},
		"commit":             {set(top, "commit", zeros[:40]), "commit"},
		"committed":          {set(top, "committed", "2020-01-01T00:00:00Z"), "committed"},
		"source":             {set(top, "source", "https://evil.example/filters"), "source"},
		"compiler's name":    {set(compiler, "name", "rust"), "compiler.name"},
		"compiler's version": {set(compiler, "version", "0.0.1"), "compiler.version"},
		"compiler's Go":      {set(compiler, "goVersion", "go1.1"), "compiler.goVersion"},
		"compiler's flags":   {set(compiler, "flags", []any{"-race"}), "compiler.flags"},
		"more Envoys":        {func(r object) { r["envoyVersions"] = append(r["envoyVersions"].([]any), "1.99.0") }, "envoyVersions"},
		"another Envoy":      {func(r object) { r["envoyVersions"].([]any)[0] = "1.99.0" }, "envoyVersions[0]"},
		"no Envoy":           {without(top, "envoyVersions"), "envoyVersions"},
		"tools":              {func(r object) { r["tools"].([]any)[0].(object)["version"] = "0.1" }, "tools[0].version"},
		"no tools":           {set(top, "tools", nil), "tools"},
		"no filters":         {func(r object) { r["filters"] = []any{} }, "does not name headers"},
		"a filter more": {func(r object) {
			r["filters"] = append(r["filters"].([]any), object{"name": "evil", "wasmSha256": zeros, "wasmSize": 1})
		}, "filters: it names evil"},
		"a filter twice": {func(r object) { r["filters"] = append(r["filters"].([]any), filter(r)) }, "filters"},
		"filter's name":  {set(filter, "name", "evil"), "does not name headers"},
		"sum":            {set(filter, "wasmSha256", zeros), "wasm sha256"},
		"size":           {set(filter, "wasmSize", 1), "size"},
		"URL":            {set(filter, "url", "https://evil.example/headers.wasm"), "URL"},
		"no URL":         {without(filter, "url"), "URL"},
		"no manifests":   {without(filter, "manifests"), "manifests"},
		"a manifest more": {func(r object) {
			filter(r)["manifests"] = append(filter(r)["manifests"].([]any), object{"shape": "compat", "repository": "evil.example/headers", "tag": "compat-1.4.0", "manifestDigest": "sha256:" + zeros})
		}, "manifests"},
		"shape":                {set(manifest, "shape", "cncf"), "manifests[0].shape"},
		"repository":           {set(manifest, "repository", "evil.example/headers"), "manifests[0].repository"},
		"tag of a manifest":    {set(manifest, "tag", "latest"), "manifests[0].tag"},
		"manifest digest":      {set(manifest, "manifestDigest", "sha256:"+zeros), "manifests[0].manifestDigest"},
		"no scenarios":         {without(filter, "scenarios"), "scenarios"},
		"scenario's name":      {set(scenario, "scenario", "does everything"), "scenarios[0].scenario"},
		"scenario's Envoy":     {set(scenario, "envoyVersion", "1.99.0"), "scenarios[0].envoyVersion"},
		"scenario's outcome":   {set(scenario, "outcome", "left out"), "scenarios[0].outcome"},
		"a field of no kind":   {set(top, "trusted", true), "trusted"},
		"a form of later":      {set(top, "recordVersion", 99), "record version is 99"},
		"only the white space": {func(object) {}, "its filters or its text"},
	}
	if len(edits) < 25 {
		t.Errorf("%d edits", len(edits))
	}
	for name, test := range edits {
		var record object
		if err := json.Unmarshal(original, &record); err != nil {
			t.Fatal(err)
		}
		test.edit(record)
		changed, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(changed))
		for where, found := range published {
			check := checkRecord(t.Context(), opts, found)
			if err := attest.Failed([]attest.Check{*check}); err == nil || !strings.Contains(check.Detail, test.want) {
				t.Errorf("%s, %s: %s: %s\nwant %q", name, where, check.State, check.Detail, test.want)
			}
		}
	}
	if _, err := verified(c); err == nil || !strings.Contains(err.Error(), path+": verification failed: the record is ") {
		t.Errorf("edited: %v", err)
	}

	// Keys that Go reads and others do not, and a field that is given twice.
	for old, changed := range map[string]string{`"tag": "v1.4.0"`: `"Tag": "v1.4.0"`, `"version": "1.4.0"`: `"version": "9.9.9", "version": "1.4.0"`} {
		text := strings.Replace(string(original), old, changed, 1)
		if text == string(original) {
			t.Fatalf("no %s in %s", old, original)
		}
		write(t, path, text)
		if _, err := verified(c); err == nil || !strings.Contains(err.Error(), "the record is wrong") {
			t.Errorf("%s: %v", changed, err)
		}
	}
	write(t, path, string(original))

	// The signature beside it is another.
	write(t, bundle, strings.Replace(string(signature), `"payload":"`, `"payload":"e30=","unknown":"`, 1))
	if _, err := verified(c); err == nil || !strings.Contains(err.Error(), "check its signature "+bundle) {
		t.Errorf("another signature: %v", err)
	}
	write(t, bundle, string(signature))

	// The record of another version is named, and is no failure.
	var other rel.Record
	if err := json.Unmarshal(original, &other); err != nil {
		t.Fatal(err)
	}
	other.Version, other.Tag = "1.3.0", "v1.3.0"
	other.Filters[0].URL = strings.ReplaceAll(other.Filters[0].URL, "1.4.0", "1.3.0")
	other.Filters[0].Manifests[0].ManifestDigest = "sha256:" + zeros
	data, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(data))
	if out, err := verified(c); err != nil || !strings.Contains(out, "missing  record      "+path) || !strings.Contains(out, `version is "1.3.0" there, and it names nothing of 1.4.0`) {
		t.Errorf("another version: %v\n%s", err, out)
	}
	write(t, path, string(original))

	// Nobody signed it, as far as the storage can tell: with a key, that is named.
	stored := filepath.Join(folder, filepath.FromSlash(storage.RecordKey("headers", "1.4.0")))
	statement, err := os.ReadFile(stored)
	if err == nil {
		err = os.Remove(stored)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verified(alone); err == nil || !strings.Contains(err.Error(), "the record is wrong: filters: it names headers, and no record of that is signed") {
		t.Errorf("an unsigned record: %v", err)
	}
	// Or it is a signature of something else.
	provenance, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(storage.BundleKey("headers", "1.4.0"))))
	if err != nil {
		t.Fatal(err)
	}
	write(t, stored, string(provenance))
	if _, err := verified(alone); err == nil || !strings.Contains(err.Error(), "no right signature of it is beside ") {
		t.Errorf("a provenance in its place: %v", err)
	}
	write(t, stored, string(statement))
	// Somebody else's key does not count.
	unknown := c
	unknown.VerifyKey = filepath.Join(t.TempDir(), "other.pub")
	write(t, unknown.VerifyKey, otherKey)
	if _, err := verified(unknown); err == nil || !strings.Contains(err.Error(), path+": verification failed: the record is wrong: no right signature of it") {
		t.Errorf("another key: %v", err)
	}
	// Without a record here, what is signed is compared with what is published.
	if err := errors.Join(os.Remove(path), os.Remove(bundle)); err != nil {
		t.Fatal(err)
	}
	if out, err := verified(c); err != nil || !strings.Contains(out, "ok     record      "+c.Registry+"/headers:1.4.0") {
		t.Errorf("no record here: %v\n%s", err, out)
	}
}

// otherKey is a public key whose private half nobody has.
const otherKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhGqhAZIIACpS3pe0AcA12BZu6p1N
P/QUPNYql02sDFKYpDKUIk+jbIlasVF029rA8ju5J8yerXEa2FdYNraZqg==
-----END PUBLIC KEY-----
`
