package workflows

import (
	"strings"
	"testing"
)

// TestRunner: the runner does what GitHub does, and refuses what it does not know.
func TestRunner(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	write(t, dir+"/go.mod", "module example.com\n")
	w.commit(stranger, dir, "v1.0.0")
	const (
		head     = "on: {push: {tags: [\"v*\"]}}\npermissions: {}\njobs:\n"
		job      = "    runs-on: ubuntu-24.04\n    permissions: {contents: read}\n    steps:\n"
		upload   = "    - {uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a, with: {name: a, path: \"dist/*.txt\\ndist/b/c\"}}\n"
		download = "    - {uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c, with: {name: a, path: got}}\n"
	)
	for name, c := range map[string]struct{ jobs, want string }{
		"outputs and the environment": {"  a:\n    outputs: {x: \"${{ steps.s.outputs.x }}\"}\n" + job +
			"    - {id: s, run: 'echo \"x=1\" >>\"$GITHUB_OUTPUT\"; printf \"y<<E\\n2\\n3\\nE\\n\" >>\"$GITHUB_ENV\"; echo \"$RUNNER_TEMP\" >>\"$GITHUB_PATH\"'}\n" +
			"    - {run: 'test \"$y\" = \"$(printf \"2\\n3\")\"; case \"$PATH\" in \"$RUNNER_TEMP\":*) ;; *) exit 1;; esac'}\n" +
			"  b:\n    needs: a\n    env: {X: \"${{ needs.a.outputs.x }}\", Y: \"${{ github.ref_name == 'V1.0.0' && 'yes' || 'no' }}\"}\n" + job + "    - run: test \"$X$Y\" = 1yes\n", ""},
		"three shards": {"  a:\n    outputs: {m: \"${{ steps.s.outputs.m }}\"}\n" + job + "    - {id: s, run: 'echo \"m=[1,2,3]\" >>\"$GITHUB_OUTPUT\"'}\n" +
			"  b:\n    needs: a\n    strategy: {matrix: {shard: \"${{ fromJSON(needs.a.outputs.m) }}\"}}\n" + job +
			"    - {run: 'touch shard-${{ matrix.shard }}'}\n    - {uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a, with: {name: \"s-${{ matrix.shard }}\", path: \"shard-*\"}}\n" +
			"  c:\n    needs: b\n" + job + "    - {uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c, with: {pattern: \"s-*\", merge-multiple: true, path: got}}\n    - run: test \"$(ls got | tr -d '\\n')\" = shard-1shard-2shard-3\n", ""},
		"artifacts": {"  a:\n" + job + "    - run: mkdir -p dist/b && touch dist/1.txt dist/2.wasm dist/b/c\n" + upload +
			"  b:\n    needs: a\n" + job + download + "    - run: test -e got/1.txt && test -e got/b/c && test ! -e got/2.wasm\n", ""},
		"one artifact twice":    {"  a:\n" + job + "    - run: mkdir dist && touch dist/1.txt\n" + upload + upload, "(409) Conflict"},
		"no artifact":           {"  a:\n" + job + download, "artifact not found for name: a"},
		"a job without needs":   {"  a:\n" + job + "    - run: mkdir dist && touch dist/1.txt\n" + upload + "  b:\n" + job + download, "artifact not found for name: a"},
		"no token":              {"  a:\n" + job + "    - run: test -z \"$GITHUB_TOKEN$GH_TOKEN\" && test -z \"$ACTIONS_ID_TOKEN_REQUEST_URL\"\n", ""},
		"an identity":           {"  a:\n" + strings.Replace(job, "contents: read", "id-token: write", 1) + "    - run: test -n \"$ACTIONS_ID_TOKEN_REQUEST_URL\"\n", ""},
		"no right to write":     {"  a:\n" + job + "    - {run: gh release create v1.0.0 --notes x, env: {GH_TOKEN: \"${{ github.token }}\", GH_REPO: acme/filters}}\n", "Resource not accessible by integration"},
		"no right to read":      {"  a:\n" + strings.Replace(job, "contents: read", "", 1) + "    - {uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1, with: {persist-credentials: false}}\n", "may not read contents"},
		"a secret in the log":   {"  a:\n" + job + "    - {run: echo \"$T\", env: {T: \"${{ secrets.TOKEN }}\"}}\n", "the log has the secret TOKEN"},
		"the token in the log":  {"  a:\n" + job + "    - {run: echo \"$T\", env: {T: \"${{ github.token }}\"}}\n", "the log has the secret GITHUB_TOKEN"},
		"an unknown action":     {"  a:\n" + job + "    - uses: actions/cache@3d3c42e5aac5ba805825da76410c181273ba90b1\n", "does not know the action"},
		"an unknown input":      {"  a:\n" + job + "    - {uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e, with: {stable: true}}\n", "does not know the input"},
		"an action by tag":      {"  a:\n" + job + "    - uses: actions/checkout@v7\n", "not pinned"},
		"an unknown label":      {"  a:\n" + strings.Replace(job, "ubuntu-24.04", "windows", 1) + "    - run: \"true\"\n", "no machine has the label"},
		"after a failure":       {"  a:\n" + job + "    - run: exit 3\n    - {if: failure(), run: echo cleaned}\n    - run: echo not-reached\n", "cleaned"},
		"an allowed failure":    {"  a:\n" + job + "    - {id: s, run: exit 3, continue-on-error: true}\n    - {if: steps.s.outcome == 'failure' && steps.s.conclusion == 'success', run: echo ok}\n", ""},
		"an unknown context":    {"  a:\n" + job + "    - run: echo ${{ nothing.x }}\n", "there is no nothing here"},
		"needs that go round":   {"  a:\n    needs: b\n" + job + "    - run: \"true\"\n  b:\n    needs: a\n" + job + "    - run: \"true\"\n", "need each other"},
		"an unknown key":        {"  a:\n    permission: {}\n" + job + "    - run: \"true\"\n", "unknown field"},
		"two releases of a tag": {"  a:\n" + strings.Replace(job, "contents: read", "contents: write", 1) + "    - {run: gh release create v1.0.0 --notes x && gh release create v1.0.0 --notes x, env: {GH_TOKEN: \"${{ github.token }}\", GH_REPO: acme/filters}}\n", "tag_name already exists"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			r, err := w.pushed(t.Context(), stranger, "v1.0.0", func(r *run) {
				r.lines = head + c.jobs
				r.secrets = map[string]any{"TOKEN": "t0ken-s3cret"}
			})
			all := r.log.String()
			if err != nil {
				all += err.Error()
			}
			if (err == nil) != (c.want == "") || !strings.Contains(all, c.want) || strings.Contains(all, "\nnot-reached") {
				t.Errorf("%v, want %q\n%s\n%s", err, c.want, c.jobs, all)
			}
		})
	}
}

// TestExpressions: values are as on GitHub.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
func TestExpressions(t *testing.T) {
	t.Parallel()
	s := scope{names: map[string]any{"a": map[string]any{"text": "Text", "empty": "", "no": false, "n": float64(2), "list": []any{"x", "y"}}}}
	for source, want := range map[string]string{
		"plain": "plain", "${{ a.text }}!": "Text!", "${{ a.missing.x }}": "", "${{ A.TEXT == 'text' }}": "true", "${{ a.n == '2' }}": "true",
		"${{ a.empty || 'default' }}": "default", "${{ a.no && 'x' || 'y' }}": "y", "${{ !a.empty }}": "true", "${{ a.list[1] }}": "y",
		"${{ contains(a.list, 'X') }}": "true", "${{ contains(a.text, 'EX') }}": "true", "${{ startsWith(a.text, 'te') && endsWith(a.text, 'XT') }}": "true",
		"${{ format('{0}-{{{1}}}', a.n, a.text) }}": "2-{Text}", "${{ join(a.list, '+') }}": "x+y", "${{ fromJSON('[1, {\"k\": \"v\"}]')[1].k }}": "v",
		"${{ a.empty == a.no }}": "true", "${{ 'a' == 1 }}": "false", "${{ 'it''s }}' }}": "it's }}", "${{ a.n }}/${{ a.text }}": "2/Text",
	} {
		if got, err := s.text(source); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", source, got, err, want)
		}
	}
	for _, source := range []string{"${{ b.x }}", "${{ unknown() }}", "${{ a. }}", "${{ 'open }}"} {
		if got, err := s.text(source); err == nil {
			t.Errorf("%s is %q", source, got)
		}
	}
	for _, c := range []struct {
		text            any
		failed, skipped bool
		want            bool
	}{
		{nil, false, false, true}, {nil, true, false, false}, {"a.text == 'text'", true, false, false}, {"always()", true, true, true}, {"failure()", true, false, true},
		{"failure()", false, false, false}, {"always() && a.no", true, false, false}, {"!cancelled()", true, false, true}, {nil, false, true, false}, {"${{ a.no }}", false, false, false},
	} {
		s.failed, s.skipped = c.failed, c.skipped
		if got, err := s.condition(c.text); err != nil || got != c.want {
			t.Errorf("%v after failed %v, skipped %v: %v, %v", c.text, c.failed, c.skipped, got, err)
		}
	}
}

// TestTriggers: which tags start a workflow.
func TestTriggers(t *testing.T) {
	t.Parallel()
	f, err := readFile([]byte("on: {push: {tags: [\"v*\", \"*/v*\", \"!filter/v*\"]}}\njobs: {}\n"))
	must(t, err)
	for tag, want := range map[string]bool{"v1.0.0": true, "hello/v1.0.0": true, "filter/v1.0.0": false, "x": false, "a/b/v1.0.0": false} {
		if got := f.triggered(tag); got != want {
			t.Errorf("%s starts the workflow: %v", tag, got)
		}
	}
}
