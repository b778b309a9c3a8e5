package importer

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestScenario: a filter as new writes it is played in Envoy and in a mesh, released, signed and
// verified, and what was tampered with is named. When a filter does not do what its scenario says,
// nothing of that passes, and the difference is shown. TestAuthor does the same with e2e.
func TestScenario(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	if err := os.RemoveAll(filepath.Join(dir, "filter", "greeting")); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "go", "tool", "mage", "new", "hello")
	commit(t, dir)
	keys, err := filepath.Abs("../../deploy/targets/testdata") // a key pair for tests only
	if err != nil {
		t.Fatal(err)
	}
	mage := func(target ...string) (string, error) {
		cmd := command(t, dir, "go", append([]string{"tool", "mage"}, target...)...)
		cmd.Env = append(cmd.Env, "SIGN_KEY="+filepath.Join(keys, "cosign.key"), "VERIFY_KEY="+filepath.Join(keys, "cosign.pub"),
			"COSIGN_PASSWORD=test", "VERIFY_TESTED=true")
		printed, err := cmd.CombinedOutput()
		return string(printed), err
	}
	check := func(passes bool, want []string, target ...string) {
		t.Helper()
		printed, err := mage(target...)
		if strings.Contains(printed, "open the agent's folder: ") {
			t.Skipf("the mesh needs a folder for Istio's agent:\n%s", printed) // which says how to get it
		}
		for _, want := range want {
			if (err == nil) != passes || !strings.Contains(printed, want) {
				t.Errorf("%v: %v, want %q in\n%s", target, err, want, printed)
			}
		}
	}
	check(true, []string{"with exactly these bytes: 2 scenarios in Envoy "}, "release", "0.1.0")
	check(true, []string{"2 scenarios in Envoy ", "signed with "}, "verify", "0.1.0")

	record := filepath.Join(dir, "dist", "release.json")
	restore := change(t, record, `"outcome": "passed"`, `"outcome": "left out"`)
	check(false, []string{`the record is wrong: of 127.0.0.1:`, `scenario "as-shipped" in Envoy `}, "verify", "0.1.0")
	restore()
	signed, payload := testResult(t, filepath.Join(dir, "dist", "registry"))
	statement, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	better := bytes.Replace(statement, []byte("puts-header in Envoy"), []byte("more-header in Envoy"), 1)
	restore = change(t, signed, payload, base64.StdEncoding.EncodeToString(better))
	check(false, []string{"/hello:0.1.0: verification failed: the test result is wrong: "}, "verify", "0.1.0")
	restore()

	scenario := filepath.Join(dir, "filter", "hello", "scenarios", "puts-header.yaml")
	change(t, scenario, "x-hello: hello world", "x-hello: another")
	commit(t, dir)
	difference := []string{`step "the client sees the header"`, `- "another"`, `+ "hello world"`}
	check(false, difference, "release", "0.2.0")
	if runtime.GOOS != "linux" {
		return // there is no mesh
	}
	check(false, difference, "mesh")
	change(t, scenario, "x-hello: another", "x-hello: hello world")
	check(true, []string{"1.0.0 is live, by digest", " 0 failed"}, "mesh")
}

// change changes a file. restore undoes it.
func change(t *testing.T, file, old, now string) (restore func()) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), old, now, 1)
	if changed == string(text) {
		t.Fatalf("no %s in %s:\n%s", old, file, text)
	}
	write(t, file, changed)
	return func() { write(t, file, string(text)) }
}

// testResult finds the signed test result in the folder of a registry, and the part of it that
// holds the statement.
func testResult(t *testing.T, registry string) (file, payload string) {
	t.Helper()
	err := filepath.WalkDir(registry, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(text), `"payload":"`)
		found, _, _ := strings.Cut(rest, `"`)
		if statement, err := base64.StdEncoding.DecodeString(found); err == nil && bytes.Contains(statement, []byte("/test-result/")) {
			file, payload = path, found
		}
		return nil
	})
	if err != nil || file == "" {
		t.Fatalf("no signed test result in %s: %v", registry, err)
	}
	return file, payload
}
