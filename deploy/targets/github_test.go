package targets

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rel "github.com/slipway-wasm/slipway/deploy/release"
)

// recorder is a program in the place of gh, because a test cannot ask GitHub. It
// records its arguments, and answers with the release's state in the file state, the latest
// release in the file latest and the commit of a tag in the file ref. It imitates nothing else of gh.
const recorder = `#!/bin/sh
echo "$@" >> "$GH_DIR/asked"
state=$(cat "$GH_DIR/state")
if [ "$*" = "release view --json=tagName" ]; then
	[ -s "$GH_DIR/latest" ] || { echo "release not found" >&2; exit 1; }
	echo "{\"tagName\":\"$(cat "$GH_DIR/latest")\"}"
	exit
fi
if [ "$1" = api ]; then
	case "$*" in *POST*) exit;; esac
	case $(cat "$GH_DIR/ref" 2>&-) in
	"") echo "gh: Not Found (HTTP 404)" >&2; exit 1;;
	down) echo "gh: Bad Gateway (HTTP 502)" >&2; exit 1;;
	*) cat "$GH_DIR/ref";;
	esac
	exit
fi
case "$1 $2 $state" in
*" none") if [ "$2" = view ]; then echo "release not found" >&2; exit 1; fi;;
"release view down") echo "HTTP 502" >&2; exit 1;;
"release view draft") echo '{"isDraft":true}';;
"release view published") echo '{"isDraft":false}';;
esac
`

// withRecorder puts the recorder on PATH. asked returns its arguments since the last
// call.
func withRecorder(t *testing.T, state string) (asked func() string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"gh": recorder, "state": state} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GH_DIR", dir)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() string {
		data, err := os.ReadFile(filepath.Join(dir, "asked"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(data))
	}
}

// writeRecord writes a record, and its modules.
func writeRecord(t *testing.T, change func(*rel.Record)) {
	t.Helper()
	record := rel.Record{RecordVersion: rel.RecordVersion, Version: "1.4.0", Tag: "v1.4.0"}
	for _, name := range []string{"authtoken", "headers"} {
		sum := sha256.Sum256([]byte(name))
		write(t, filepath.Join(dist, name+".wasm"), name)
		record.Filters = append(record.Filters, rel.FilterRecord{Name: name, WasmSHA256: hex.EncodeToString(sum[:])})
	}
	change(&record)
	data, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dist, rel.RecordFile), string(data))
}

func TestGitHubDraft(t *testing.T) {
	t.Chdir(t.TempDir())
	const files = " dist/release.json dist/authtoken.wasm dist/headers.wasm"
	for name, c := range map[string]struct {
		state, tag string
		want       string // arguments of gh after "view"
	}{
		"new":         {"none", "v1.4.0", "release create v1.4.0 --draft --verify-tag --title=v1.4.0 --notes-file=dist/release.md" + files},
		"pre-release": {"none", "v1.4.0-rc.1", "release create v1.4.0-rc.1 --draft --verify-tag --title=v1.4.0-rc.1 --notes-file=dist/release.md --prerelease" + files},
		"one filter":  {"none", "headers/v1.4.0", "release create headers/v1.4.0 --draft --verify-tag --title=headers/v1.4.0 --notes-file=dist/release.md" + files},
		"draft":       {"draft", "v1.4.0", "release edit v1.4.0 --draft --title=v1.4.0 --notes-file=dist/release.md\nrelease upload v1.4.0 --clobber" + files},
		"published":   {"published", "v1.4.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := withRecorder(t, c.state)
			writeRecord(t, func(r *rel.Record) { r.Tag = c.tag })
			run(t, func(o Output) error { return draftOnGitHub(t.Context(), c.tag, o) })
			want := strings.TrimSpace("release view " + c.tag + " --json=isDraft\n" + c.want)
			if got := asked(); got != want {
				t.Errorf("gh was asked\n%s\nwant\n%s", got, want)
			}
		})
	}
	// A signed record has its signature beside it.
	asked := withRecorder(t, "none")
	writeRecord(t, func(*rel.Record) {})
	write(t, filepath.Join(dist, rel.BundleFile), "{}")
	run(t, func(o Output) error { return draftOnGitHub(t.Context(), "v1.4.0", o) })
	if want := " dist/release.json dist/release.json.sigstore.json dist/authtoken.wasm"; !strings.Contains(asked(), want) {
		t.Errorf("gh was asked\n%s\nwant%s", asked(), want)
	}
}

// GitHub's "Latest" is the newest release of all filters. The call that publishes decides it.
func TestGitHubPublish(t *testing.T) {
	for name, c := range map[string]struct {
		state, latest, tag string
		want               string // arguments of gh after the first "view"
	}{
		"first":                {"draft", "", "v1.4.0", "release view --json=tagName\nrelease edit v1.4.0 --draft=false --latest=true"},
		"newer":                {"draft", "v1.3.9", "v1.4.0", "release view --json=tagName\nrelease edit v1.4.0 --draft=false --latest=true"},
		"back-port":            {"draft", "v1.10.0", "v1.4.1", "release view --json=tagName\nrelease edit v1.4.1 --draft=false --latest=false"},
		"after one filter's":   {"draft", "headers/v2.0.0", "v1.4.0", "release view --json=tagName\nrelease edit v1.4.0 --draft=false --latest=true"},
		"after something else": {"draft", "nightly", "v1.4.0", "release view --json=tagName\nrelease edit v1.4.0 --draft=false --latest=true"},
		"one filter":           {"draft", "", "headers/v1.4.0", "release edit headers/v1.4.0 --draft=false --latest=false"},
		"pre-release":          {"draft", "", "v1.4.0-rc.1", "release edit v1.4.0-rc.1 --draft=false --latest=false"},
		"published":            {"published", "", "v1.4.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := withRecorder(t, c.state)
			if err := os.WriteFile(filepath.Join(os.Getenv("GH_DIR"), "latest"), []byte(c.latest), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, func(o Output) error { return publishOnGitHub(t.Context(), c.tag, o) })
			want := strings.TrimSpace("release view " + c.tag + " --json=isDraft\n" + c.want)
			if got := asked(); got != want {
				t.Errorf("gh was asked\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestGitHubRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	out := Output{Out: &strings.Builder{}, Err: &strings.Builder{}}
	writeRecord(t, func(*rel.Record) {})
	for name, c := range map[string]struct {
		state string
		do    func() error
		want  string
	}{
		"no tag":         {"none", func() error { return draftOnGitHub(t.Context(), "1.4.0", out) }, "a release's tag is v1.4.0"},
		"other tag":      {"none", func() error { return draftOnGitHub(t.Context(), "v1.5.0", out) }, "go tool mage release v1.5.0"},
		"no draft":       {"none", func() error { return publishOnGitHub(t.Context(), "v1.4.0", out) }, "go tool mage github:draft v1.4.0"},
		"GitHub is down": {"down", func() error { return draftOnGitHub(t.Context(), "v1.4.0", out) }, "HTTP 502"},
	} {
		withRecorder(t, c.state)
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	writeRecord(t, func(r *rel.Record) { r.Rehearsal = true })
	withRecorder(t, "none")
	if err := draftOnGitHub(t.Context(), "v1.4.0", out); err == nil || !strings.Contains(err.Error(), "go tool mage release v1.4.0") {
		t.Errorf("a rehearsal: %v", err)
	}

	// The uploaded modules have to be those in the record.
	for _, damage := range []func(path string) error{
		func(path string) error { return os.WriteFile(path, []byte("other"), 0o600) },
		os.Remove,
	} {
		writeRecord(t, func(*rel.Record) {})
		withRecorder(t, "draft")
		file := filepath.Join(dist, "headers.wasm")
		if err := damage(file); err != nil {
			t.Fatal(err)
		}
		if err := draftOnGitHub(t.Context(), "v1.4.0", out); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("another module: %v, want %s", err, file)
		}
		if asked, err := os.ReadFile(filepath.Join(os.Getenv("GH_DIR"), "asked")); err == nil {
			t.Errorf("gh was asked\n%s", asked)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if err := publishOnGitHub(t.Context(), "v1.4.0", out); err == nil || !strings.Contains(err.Error(), "https://cli.github.com") {
		t.Errorf("without gh: %v", err)
	}
}
