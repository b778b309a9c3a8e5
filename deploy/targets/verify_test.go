package targets

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/verify"
)

// TestVerifyRecord tampers with the record of a release, one fact at a time.
func TestVerifyRecord(t *testing.T) {
	project(t)
	ctx, c := t.Context(), variables.Values{}
	pushed := runJSON[[]oci.Published](t, func(o Output) error { return push(ctx, c, "1.4.0", o) })
	stored := runJSON[[]storage.Object](t, func(o Output) error { return upload(ctx, c, "1.4.0", o) })
	info, err := gitinfo.Read(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	write := func(t *testing.T, change func(*rel.Record)) {
		t.Helper()
		record := rel.Record{Schema: rel.SchemaURL, RecordVersion: rel.RecordVersion, Version: "1.4.0", Tag: "v1.4.0", Rehearsal: true, Commit: info.Commit}
		for i, p := range pushed {
			record.Filters = append(record.Filters, rel.FilterRecord{
				Name: p.Filter, WasmSHA256: p.WasmSHA256, WasmSize: stored[i].WasmSize, URL: stored[i].URL,
				Manifests: []rel.ManifestRecord{{Shape: oci.Artifact, Repository: p.Repository, Tag: p.Tag, ManifestDigest: p.ManifestDigest}},
			})
		}
		change(&record)
		data, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dist, rel.RecordFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, func(*rel.Record) {})
	for _, version := range []string{"1.4.0", "v1.4.0", "headers/v1.4.0"} {
		found := runJSON[verify.Report](t, func(o Output) error { return verifyPublished(ctx, c, version, false, o) })
		if last := found.Checks[len(found.Checks)-1]; last.What != "record" || last.State != "ok" {
			t.Errorf("%s: %+v", version, found.Checks)
		}
	}
	for name, test := range map[string]struct {
		change func(*rel.Record)
		want   string
	}{
		"manifest digest": {func(r *rel.Record) { r.Filters[1].Manifests[0].ManifestDigest = "sha256:" + strings.Repeat("0", 64) }, "the manifest digest of"},
		"wasm sha256":     {func(r *rel.Record) { r.Filters[1].WasmSHA256 = strings.Repeat("0", 64) }, "the wasm sha256 of headers"},
		"size":            {func(r *rel.Record) { r.Filters[0].WasmSize++ }, "the size of authtoken"},
		"commit":          {func(r *rel.Record) { r.Commit = strings.Repeat("0", 40) }, "the commit of"},
		"no commit":       {func(r *rel.Record) { r.Commit = "" }, "the commit of"},
		"no sum":          {func(r *rel.Record) { r.Filters[0].WasmSHA256 = "" }, "the wasm sha256 of authtoken"},
		"a filter less":   {func(r *rel.Record) { r.Filters = r.Filters[:1] }, "it does not name headers"},
		"a shape more": {func(r *rel.Record) {
			r.Filters[0].Manifests = append(r.Filters[0].Manifests, rel.ManifestRecord{Shape: oci.Compat, Tag: "compat-1.4.0"})
		}, "compat-1.4.0 of authtoken, which is not published"},
		"another place": {func(r *rel.Record) { r.Rehearsal = false; r.Filters[0].URL = "https://evil.example/authtoken.wasm" }, "the URL of authtoken"},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, test.change)
			err := verifyPublished(ctx, c, "1.4.0", false, Output{Out: &strings.Builder{}, Err: &strings.Builder{}})
			if err == nil || !strings.Contains(err.Error(), "the record is wrong") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v\nwant %q", err, test.want)
			}
		})
	}
	// A record that cannot be compared is not wrong.
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }))
	t.Cleanup(refusing.Close)
	for name, test := range map[string]struct {
		change func(*rel.Record)
		config variables.Values
		want   string
	}{
		"a later form":  {func(r *rel.Record) { r.RecordVersion = 99 }, c, "record version is 99"},
		"a refusal":     {func(*rel.Record) {}, variables.Values{StoragePublicURL: refusing.URL}, "not everything that it names could be looked at"},
		"a folder here": {func(*rel.Record) {}, c, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, test.change)
			if path := filepath.Join(dist, rel.RecordFile); test.want == "is a directory" {
				if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.Remove(path) })
			}
			var text, data strings.Builder
			err := verifyPublished(ctx, test.config, "1.4.0", false, Output{Out: &text, Err: io.Discard})
			if err == nil || !strings.Contains(err.Error(), "the record is unknown") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), " wrong") {
				t.Errorf("%v\nwant %q", err, test.want)
			}
			if !strings.Contains(text.String(), "unknown  record") {
				t.Errorf("the table is\n%s", text.String())
			}
			if err := verifyPublished(ctx, test.config, "1.4.0", false, Output{Out: &data, Err: io.Discard, JSON: true}); err == nil || !strings.Contains(data.String(), `"state": "unknown"`) {
				t.Errorf("%v\n%s", err, data.String())
			}
		})
	}
	// If the published module says that its checkout was changed, it is not that of the
	// record's commit.
	write(t, func(*rel.Record) {})
	record, err := rel.ReadRecord(filepath.Join(dist, rel.RecordFile))
	if err != nil {
		t.Fatal(err)
	}
	for revision, want := range map[string]string{info.Commit: "", info.Commit + "-dirty": "the commit of x:1.4.0", "": "the commit of x:1.4.0"} {
		v := &oci.Verification{Reference: "x:1.4.0", Shape: oci.Artifact, Annotations: map[string]string{oci.AnnotationFilter: "headers", ocispec.AnnotationRevision: revision}}
		got := strings.Join(recordProblems(record, nil, &verify.Report{Manifests: []*oci.Verification{v}}), "; ")
		if strings.Contains(got, "the commit of") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("published with revision %q: %s", revision, got)
		}
	}
	record.Commit = ""
	v := &oci.Verification{Reference: "x:1.4.0", Shape: oci.Artifact, Annotations: map[string]string{oci.AnnotationFilter: "headers"}}
	if got := recordProblems(record, nil, &verify.Report{Manifests: []*oci.Verification{v}}); !strings.Contains(strings.Join(got, "; "), "the commit of") {
		t.Errorf("neither names a commit: %q", got)
	}
	write(t, func(r *rel.Record) { r.Version = "1.3.0" })
	err = verifyPublished(ctx, c, "1.4.0", false, Output{Out: io.Discard, Err: io.Discard})
	if want := `the record is wrong: version is "1.3.0", and what it names is 1.4.0`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// TestVerifyAnonymously: a release that only its publisher can pull is not released. So
// the passwords that docker keeps are not used. Those that are given are.
func TestVerifyAnonymously(t *testing.T) {
	project(t)
	address := distributiontest.Start(t, distributiontest.Options{Auth: true})
	login := base64.StdEncoding.EncodeToString([]byte(distributiontest.Username + ":" + distributiontest.Password))
	write(t, filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), `{"auths":{"`+address+`":{"auth":"`+login+`"}}}`)
	ctx, c := t.Context(), variables.Values{Registry: address + "/acme", Filters: []string{"headers"}}
	run(t, func(o Output) error { return push(ctx, c, "1.4.0", o) })
	out := Output{Out: &strings.Builder{}, Err: &strings.Builder{}}
	err := verifyPublished(ctx, c, "1.4.0", false, out)
	if err == nil || !strings.Contains(err.Error(), "the manifest is unknown") || !strings.Contains(err.Error(), "let everybody read it") {
		t.Errorf("without a password: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), distributiontest.Password) {
		t.Errorf("the password is in %v", err)
	}
	c.RegistryUsername, c.RegistryPassword = distributiontest.Username, distributiontest.Password
	run(t, func(o Output) error { return verifyPublished(ctx, c, "1.4.0", false, o) })
}
