package oci

import (
	"errors"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/version"
)

const (
	listReferrers = "^GET .*/referrers/"
	fallbackTag   = "/manifests/sha256-"
	anyManifest   = "/manifests/"
)

// TestRegistriesAsTheyAre publishes to registries that deviate from the distribution
// specification, each in its own way, and reads back. Each row is named after what the
// registry does.
func TestRegistriesAsTheyAre(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", large)
	want := push(t, openTest(t, startRegistry(t, embedded.Options{})), "1.0.0", filter)
	one := func(match string, fault faultproxytest.Fault) []faultproxytest.Rule {
		return []faultproxytest.Rule{{Match: match, Fault: fault}}
	}
	basic := RegistryOptions{Username: "ann", Password: "secret"}
	for name, c := range map[string]struct {
		rules []faultproxytest.Rule
		opts  RegistryOptions
		err   string // empty: everything works
	}{
		"leaves out Docker-Content-Digest":         {rules: one(anyManifest, faultproxytest.WithoutHeader("Docker-Content-Digest"))},
		"leaves out Docker-Content-Digest on HEAD": {rules: one(headManifest, faultproxytest.WithoutHeader("Docker-Content-Digest"))},
		"leaves out the length":                    {rules: []faultproxytest.Rule{{Match: getManifest, Fault: faultproxytest.Chunked}, {Match: headManifest, Fault: faultproxytest.WithoutHeader("Content-Length")}}},
		"leaves out everything":                    {rules: one(headManifest, faultproxytest.Status(200))},
		"refuses HEAD":                             {rules: one("^HEAD ", faultproxytest.Status(405))},
		"refuses HEAD, and leaves out the digest":  {rules: []faultproxytest.Rule{{Match: "^HEAD ", Fault: faultproxytest.Status(405)}, {Match: getManifest, Fault: faultproxytest.WithoutHeader("Docker-Content-Digest")}}},
		"answers 400 on referrers":                 {rules: one(listReferrers, faultproxytest.Status(400))},
		"answers 405 on referrers":                 {rules: one(listReferrers, faultproxytest.Status(405))},
		"answers 406 on referrers":                 {rules: one(listReferrers, faultproxytest.Status(406))},
		"answers 501 on referrers":                 {rules: one(listReferrers, faultproxytest.Status(501))},
		"answers NAME_UNKNOWN on referrers":        {rules: []faultproxytest.Rule{{Match: listReferrers, Fault: faultproxytest.JSON(404, `{"errors":[{"code":"NAME_UNKNOWN"}]}`)}}},
		"answers a page on referrers":              {rules: one(listReferrers, faultproxytest.LoginPage), err: `text/html`},
		"lists referrers late":                     {rules: []faultproxytest.Rule{{Match: listReferrers, Times: 4, Fault: faultproxytest.EmptyIndex}}},
		"lists the fallback tag late":              {rules: []faultproxytest.Rule{{Match: listReferrers, Fault: faultproxytest.Status(404)}, {Match: "^GET .*" + fallbackTag, Times: 4, Fault: faultproxytest.EmptyIndex}}},
		"never lists referrers":                    {rules: one(listReferrers, faultproxytest.EmptyIndex), err: "does not list it among the referrers, late or never; nothing is lost"},
		"never lists the fallback tag":             {rules: []faultproxytest.Rule{{Match: listReferrers, Fault: faultproxytest.Status(404)}, {Match: "^GET .*" + fallbackTag, Fault: faultproxytest.EmptyIndex}}, err: "does not list it among the referrers, late or never; nothing is lost"},
		"resolves sha256-HEX as the digest":        {rules: []faultproxytest.Rule{{Match: listReferrers, Fault: faultproxytest.Status(404)}, {Match: fallbackTag, Fault: faultproxytest.DigestTags}}, err: "is no index"},
		"offers Negotiate before Basic":            {opts: basic, rules: one("", faultproxytest.Challenges("ann", "secret", "Negotiate", `Basic realm="acme"`))},
		"offers several in one header":             {opts: basic, rules: one("", faultproxytest.Challenges("ann", "secret", `Negotiate oRQw==, NTLM, Digest realm="a, Basic \"b\"", qop="auth", Basic realm="acme"`))},
		"offers Bearer without a realm":            {opts: basic, rules: one("", faultproxytest.Challenges("ann", "secret", `Bearer, Basic realm="acme"`))},
		"offers Basic in small letters":            {opts: basic, rules: one("", faultproxytest.Challenges("ann", "secret", `negotiate, basic REALM=acme`))},
		"offers Negotiate alone":                   {opts: basic, rules: one("", faultproxytest.Challenges("ann", "secret", "Negotiate", `Digest realm="acme"`)), err: "it offers Negotiate and Digest"},
		"offers nothing":                           {opts: basic, rules: one("", faultproxytest.Challenges("ann", "secret")), err: "401"},
		"answers with a login page":                {rules: one("", faultproxytest.LoginPage), err: `text/html`},
		"answers GET with a login page":            {rules: one(getManifest, faultproxytest.LoginPage), err: `text/html, a page with the title "Sign in to Acme"`},
		"answers PUT with a login page":            {rules: one(putVersionTag, faultproxytest.LoginPage), err: `text/html, a page with the title "Sign in to Acme"`},
		"answers errors in HTML":                   {rules: one(putManifest, faultproxytest.ErrorPage(503, "The quota of <acme> is used up")), err: "503 Service Unavailable: Error The quota of <acme> is used up"},
		"refuses in HTML":                          {rules: one(putManifest, faultproxytest.ErrorPage(400, "The quota of <acme> is used up")), err: "400 Bad Request: Error The quota of <acme> is used up"},
		"limits the rate until a date":             {rules: []faultproxytest.Rule{{Match: putManifest, Times: 1, Fault: faultproxytest.Status(429, "Date", "Fri, 02 Jan 2099 15:04:05 GMT", "Retry-After", "Fri, 02 Jan 2099 15:04:06 GMT")}}},
		"lets the token end in a push":             {rules: one("", faultproxytest.Tokens(5))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}), c.rules...)
			c.opts.Address = proxy.Addr + "/acme"
			r := openWith(t, c.opts)
			err := publishAndRead(t, r, want)
			if c.err == "" && err != nil {
				t.Fatal(err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v\nwant %q in it", err, c.err)
			}
			if err != nil && strings.Contains(err.Error(), "somebody else") {
				t.Errorf("the error blames somebody else: %v", err)
			}
			if puts := proxy.Requests("^PUT "); len(puts) > 40 {
				t.Errorf("%d PUTs", len(puts))
			}
		})
	}
}

// publishAndRead pushes a filter, attaches a file and reads everything back. It compares the
// manifests with those of an undisturbed push.
func publishAndRead(t *testing.T, r *Registry, want []Published) error {
	t.Helper()
	filter := buildtest.Filter(t, "headers", large)
	release := buildtest.Release("1.0.0", filter)
	all, err := NewImages(release, Shapes...)
	if err != nil {
		t.Fatal(err)
	}
	published, err := r.Push(t.Context(), all, PushOptions{})
	if err != nil {
		return err
	}
	for i, p := range published {
		if p.ManifestDigest != want[i].ManifestDigest {
			t.Errorf("published %s, want %s", p, want[i])
		}
	}
	nodes, err := r.AttachSBOMs(t.Context(), release)
	if err != nil {
		return err
	}
	found, err := r.VerifyVersion(t.Context(), "headers", release.Version)
	if err != nil {
		return err
	}
	for i, v := range found {
		if v.Err() != nil || len(v.Referrers) != 1 || v.Referrers[0].ManifestDigest != nodes[i].ManifestDigest {
			t.Errorf("%s: problems %v, referrers %v", v.Reference, v.Problems, v.Referrers)
		}
	}
	return nil
}

// putRange matches what sets 1.0, 1 and latest in the Artifact shape.
const putRange = "^PUT .*/manifests/(1|1\\.0|latest)$"

// TestImmutableTags: where no tag can move, the second release completes, says so, and sets
// its own tag.
func TestImmutableTags(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", "")
	for name, fault := range map[string]faultproxytest.Fault{
		"as ECR":               faultproxytest.ImmutableTags(400, "The image tag exists and cannot be overwritten because the repository is immutable."),
		"as Artifact Registry": faultproxytest.ImmutableTags(403, "Permission artifactregistry.tags.update denied"),
		"as Quay":              faultproxytest.ImmutableTags(409, "Tag is immutable"),
		"as Harbor":            faultproxytest.ImmutableTags(412, "configured as immutable, cannot be updated"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}), faultproxytest.Rule{Match: "^PUT .*/manifests/[^:]*$", Fault: fault})
			release := func(text string, opts RegistryOptions, prepare error) Published {
				t.Helper()
				proxy.Forget()
				opts.Address = proxy.Addr + "/acme"
				r := openWith(t, opts)
				if err := r.Prepare(t.Context(), []string{"headers"}, version.MustParse(text)); !errors.Is(err, prepare) {
					t.Errorf("prepare %s: %v, want %v", text, err, prepare)
				}
				p, err := r.Push(t.Context(), images(t, []build.Built{filter}, buildtest.Release(text)), PushOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if found := digestOf(t, r, "headers", text); found != p[0].ManifestDigest {
					t.Errorf("tag %s is at %q, want %s", text, found, p[0].ManifestDigest)
				}
				return p[0]
			}
			first := release("1.0.0", RegistryOptions{}, nil)
			if first.Refusal != nil || len(first.Moved) != 3 {
				t.Errorf("first: moved %v, refusal %v", first.Moved, first.Refusal)
			}
			second := release("1.0.1", RegistryOptions{}, ErrFixedTags)
			if puts := proxy.Requests(putRange); len(puts) != 1 || second.Refusal != nil {
				t.Errorf("second, after it was found out: %v, refusal %v", puts, second.Refusal)
			}
			release("1.0.2", RegistryOptions{FixedTags: true}, nil)
			if puts := proxy.Requests(putRange); len(puts) != 0 {
				t.Errorf("third, with a choice: %v", puts)
			}
			// Without Prepare, as "push" does it.
			r := openWith(t, RegistryOptions{Address: proxy.Addr + "/acme"})
			p, err := r.Push(t.Context(), images(t, []build.Built{filter}, buildtest.Release("1.0.3")), PushOptions{})
			if err != nil || !errors.Is(p[0].Refusal, ErrFixedTags) || !strings.Contains(p[0].Refusal.Error(), "; those that exist stay where they are") || len(p[0].Moved) > 0 {
				t.Errorf("fourth: %+v, error %v", p, err)
			}
			if found := digestOf(t, r, "headers", "latest"); found != first.ManifestDigest {
				t.Errorf("latest is at %s, want %s", found, first.ManifestDigest)
			}
		})
	}
}

// TestPrepare: what would end a push is found before anything is built, and the attempt leaves
// nothing behind.
func TestPrepare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule faultproxytest.Rule
		want string // empty: all is well
	}{
		"well":                    {},
		"nobody may write":        {faultproxytest.Rule{Match: startUpload, Fault: faultproxytest.Status(403)}, "let them write to the repository"},
		"makes no repository":     {faultproxytest.Rule{Match: startUpload, Fault: faultproxytest.JSON(404, `{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}`)}, "404 Not Found: name unknown: no such repository; this registry makes no repository by itself: make it first"},
		"wants somebody to login": {faultproxytest.Rule{Fault: faultproxytest.Status(401)}, "docker login"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := startRegistry(t, embedded.Options{})
			proxy := faultproxytest.Start(t, address, c.rule)
			if c.rule.Fault == nil {
				proxy = faultproxytest.Start(t, address)
			}
			r := openTest(t, proxy.Addr)
			err := r.Prepare(t.Context(), []string{"headers"}, version.MustParse("1.0.0"))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), r.name("headers")+" cannot be pushed to")) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if tags := tagDigests(t, openTest(t, address)); len(tags) > 0 {
				t.Errorf("there are tags: %v", tags)
			}
		})
	}
}

// TestVerifyWithoutReferrers: a manifest can be verified, and rendered, where the list of what
// is attached may not be read.
func TestVerifyWithoutReferrers(t *testing.T) {
	t.Parallel()
	address := startRegistry(t, embedded.Options{})
	filter := buildtest.Filter(t, "headers", "")
	push(t, openTest(t, address), "1.0.0", filter)
	r := openTest(t, faultproxytest.Start(t, address, faultproxytest.Rule{Match: listReferrers, Fault: faultproxytest.Status(403)}).Addr)
	v, err := r.Verify(t.Context(), Reference{Repository: r.name("headers"), Tag: "1.0.0"})
	if err != nil || v.Err() != nil || !strings.Contains(v.ReferrersUnknown, "403 Forbidden") {
		t.Errorf("%+v, error %v", v, err)
	}
	var text strings.Builder
	if err := v.Text(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "attached         list referrers: GET ") {
		t.Errorf("told:\n%s", text.String())
	}
}

// TestListsReferrersLater: a run that gave up on a late list lost nothing, and the next one
// finishes.
func TestListsReferrersLater(t *testing.T) {
	t.Parallel()
	address := startRegistry(t, embedded.Options{})
	filter := buildtest.Filter(t, "headers", "")
	release := buildtest.Release("1.0.0", filter)
	if _, err := openTest(t, address).Push(t.Context(), images(t, []build.Built{filter}, release), PushOptions{}); err != nil {
		t.Fatal(err)
	}
	proxy := faultproxytest.Start(t, address, faultproxytest.Rule{Match: listReferrers, Times: 1 + listTries, Fault: faultproxytest.EmptyIndex})
	if _, err := openTest(t, proxy.Addr).AttachSBOMs(t.Context(), release); err == nil || !strings.Contains(err.Error(), "nothing is lost: run this again later") {
		t.Errorf("the first run: %v", err)
	}
	proxy.Forget()
	if _, err := openTest(t, proxy.Addr).AttachSBOMs(t.Context(), release); err != nil {
		t.Errorf("the second run: %v", err)
	}
	if puts := proxy.Requests("^PUT "); len(puts) > 0 {
		t.Errorf("the second run sent it again: %q", puts)
	}
}
