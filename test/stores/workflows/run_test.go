package workflows

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// run is a run of a workflow, with all its attempts.
type run struct {
	world           *world
	repository, sha string
	event, ref      string
	name            string // of the workflow's file
	lines           string // its text, in place of the one in the commit
	secrets, vars   map[string]any

	artifacts string           // the folder with a folder for each
	ended     map[string]ended // the jobs of this run, such as filters/build/build
	attempt   int
	before    map[string]func() // what happens before a job begins
	log       bytes.Buffer
	summary   bytes.Buffer // what steps wrote for people
}

// ended says how a job ended: success, failure or skipped.
type ended struct {
	result  string
	outputs map[string]any
	took    time.Duration
}

// again runs the failed jobs again, and those that need them; or all.
func (r *run) again(ctx context.Context, all bool) error {
	maps.DeleteFunc(r.ended, func(_ string, e ended) bool { return all || e.result != "success" })
	return r.play(ctx)
}

// play runs the jobs that have not run yet.
func (r *run) play(ctx context.Context) error {
	r.attempt++
	w, err := r.own()
	if err != nil {
		return err
	}
	c := call{file: w, repository: r.repository, ref: r.sha, secrets: r.secrets, inputs: map[string]any{}}
	if r.event == "workflow_dispatch" && r.world.dispatched != nil {
		c.inputs = r.world.dispatched
	}
	for _, j := range w.jobs {
		if err := r.check(c, j, rights(w, j.job)); err != nil {
			return fmt.Errorf("the workflow is not valid: %w", err)
		}
	}
	_, err = r.playCall(ctx, c)
	return err
}

// rights are the permissions of a job that is not called by another workflow.
func rights(f *file, j job) map[string]string {
	if j.Permissions != nil {
		return j.Permissions
	}
	if f.Permissions != nil {
		return f.Permissions
	}
	return map[string]string{"contents": "read", "packages": "read"}
}

var levels = map[string]int{"": 0, "none": 0, "read": 1, "write": 2}

// check refuses, before anything starts, a called workflow whose jobs want more than the
// caller may.
func (r *run) check(c call, j namedJob, may map[string]string) error {
	for right, level := range rights(c.file, j.job) {
		if levels[level] > levels[may[right]] {
			return fmt.Errorf("the job %s is requesting '%s: %s', but is only allowed '%s: %s'", j.id, right, level, right, may[right])
		}
	}
	if j.job.Uses == "" {
		return nil
	}
	called, err := r.called(c, j.job.Uses)
	if err != nil {
		return err
	}
	may = rights(c.file, j.job)
	for _, inner := range called.file.jobs {
		if err := r.check(called, inner, may); err != nil {
			return err
		}
	}
	return nil
}

// own reads the workflow that runs.
func (r *run) own() (*file, error) {
	if r.lines != "" {
		return readFile([]byte(r.lines))
	}
	return r.read(r.repository, r.sha, r.name)
}

// read reads a workflow's file as it is at a commit or tag.
func (r *run) read(repository, ref, name string) (*file, error) {
	origin, ok := r.world.repositories[repository]
	if !ok {
		return nil, fmt.Errorf("workflow was not found: there is no %s", repository)
	}
	text, err := exec.Command("git", "-C", origin, "show", ref+":"+path.Join(".github/workflows", name)).Output()
	if err != nil {
		return nil, fmt.Errorf("workflow was not found: %s in %s at %s", name, repository, ref)
	}
	f, err := readFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", name, repository, err)
	}
	return f, nil
}

// call is a workflow with what its caller gives to it.
type call struct {
	prefix          string // of its jobs' names
	file            *file
	repository, ref string // where the file is
	inputs, secrets map[string]any
}

// called reads the workflow that a job uses.
func (r *run) called(c call, uses string) (call, error) {
	inner := call{repository: c.repository, ref: c.ref}
	const folder = "/.github/workflows/"
	repository, name, ok := strings.Cut(uses, folder)
	if !ok {
		return inner, fmt.Errorf("%s is no workflow", uses)
	}
	if repository != "." {
		inner.repository = repository
		if name, inner.ref, ok = strings.Cut(name, "@"); !ok {
			return inner, fmt.Errorf("%s has no ref", uses)
		}
	}
	var err error
	inner.file, err = r.read(inner.repository, inner.ref, name)
	return inner, err
}

// scope has what each expression of a workflow can name.
func (r *run) scope(c call) scope {
	return scope{names: map[string]any{
		"github": map[string]any{
			"repository": r.repository, "repository_owner": path.Dir(r.repository), "actor": "octocat", "triggering_actor": "octocat",
			"ref": r.ref, "ref_name": r.refName(), "ref_type": r.refType(), "sha": r.sha, "workspace": r.world.workspace(),
			"event_name": r.event, "event": r.payload(), "server_url": "https://github.com", "api_url": "https://api.github.com",
			"run_id": "7", "run_number": "1", "run_attempt": fmt.Sprint(r.attempt), "workflow": r.name,
			"workflow_ref": r.repository + "/.github/workflows/" + r.name + "@" + r.ref,
		},
		"inputs": c.inputs, "secrets": c.secrets, "vars": r.vars,
		"runner": map[string]any{"os": "Linux", "arch": "X64", "temp": r.world.temp()},
	}}
}

func (r *run) refName() string {
	return strings.TrimPrefix(strings.TrimPrefix(r.ref, "refs/tags/"), "refs/heads/")
}

func (r *run) refType() string {
	if strings.HasPrefix(r.ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

func (r *run) payload() map[string]any {
	return map[string]any{
		"ref":        r.ref,
		"repository": map[string]any{"full_name": r.repository, "private": r.world.private, "visibility": map[bool]string{true: "private", false: "public"}[r.world.private]},
	}
}

// playCall runs the jobs of a workflow, and returns its outputs. Of the jobs that may run,
// it takes the one that comes last in the file: who forgets a needs shall see it.
func (r *run) playCall(ctx context.Context, c call) (map[string]any, error) {
	s := r.scope(c)
	if c.file.Concurrency != nil {
		if _, err := s.expandAll(c.file.Concurrency); err != nil {
			return nil, err
		}
	}
	done := map[string]ended{}
	for len(done) < len(c.file.jobs) {
		next := -1
		for i, j := range slices.Backward(c.file.jobs) {
			_, is := done[j.id]
			ready := !slices.ContainsFunc(list(j.job.Needs), func(need any) bool { _, is := done[asText(need)]; return !is })
			if !is && ready {
				next = i
				break
			}
		}
		if next < 0 {
			return nil, errors.New("jobs need each other, or one that is not there")
		}
		j := c.file.jobs[next]
		needs, this := map[string]any{}, s
		for _, need := range list(j.job.Needs) {
			e := done[asText(need)]
			needs[asText(need)] = map[string]any{"result": e.result, "outputs": e.outputs}
			this.failed = this.failed || e.result == "failure"
			this.skipped = this.skipped || e.result == "skipped"
		}
		e, err := r.playJob(ctx, c, j, this.with(map[string]any{"needs": needs}))
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", j.id, err)
		}
		done[j.id] = e
	}
	jobs := map[string]any{}
	var failed error
	for id, e := range done {
		jobs[id] = map[string]any{"result": e.result, "outputs": e.outputs}
		if e.result == "failure" {
			failed = errFailed
		}
	}
	outputs := map[string]any{}
	on, _ := c.file.On["workflow_call"].(map[string]any)
	declared, _ := on["outputs"].(map[string]any)
	for name, output := range declared {
		output, _ := output.(map[string]any)
		value, err := s.with(map[string]any{"jobs": jobs}).text(asText(output["value"]))
		if err != nil {
			return nil, err
		}
		outputs[name] = value
	}
	return outputs, failed
}

// errFailed says that a job failed, which its log explains.
var errFailed = errors.New("a job failed")

func (r *run) playJob(ctx context.Context, c call, j namedJob, s scope) (ended, error) {
	start := time.Now()
	if holds, err := s.condition(j.job.If); err != nil || !holds {
		if _, ran := r.ended[c.prefix+j.id]; !ran && j.job.Uses == "" {
			r.ended[c.prefix+j.id] = ended{result: "skipped"}
		}
		return ended{result: "skipped"}, err
	}
	s.failed, s.skipped = false, false
	matrix, err := s.expandAll(j.job.Strategy.Matrix)
	if err != nil {
		return ended{}, err
	}
	all, err := combinations(matrix)
	if err != nil {
		return ended{}, err
	}
	total := ended{result: "success", outputs: map[string]any{}}
	for i, combination := range all {
		key := c.prefix + j.id
		if matrix != nil {
			key += fmt.Sprintf("(%d)", i)
		}
		of := s.with(map[string]any{"matrix": combination, "strategy": map[string]any{"job-index": float64(i), "job-total": float64(len(all))}})
		if j.job.Uses != "" {
			inner, err := r.called(c, j.job.Uses)
			if err != nil {
				return ended{}, err
			}
			inner.prefix = key + "/"
			if err := inner.take(j.job, of); err != nil {
				return ended{}, err
			}
			outputs, err := r.playCall(ctx, inner)
			maps.Copy(total.outputs, outputs)
			if err != nil {
				if !errors.Is(err, errFailed) {
					return ended{}, err
				}
				total.result = "failure"
			}
			continue
		}
		e, ran := r.ended[key]
		if !ran {
			if before := r.before[key]; before != nil {
				before()
			}
			began := time.Now()
			outputs, err := r.steps(ctx, c, j, key, of)
			e = ended{result: "success", outputs: outputs, took: time.Since(began)}
			if err != nil {
				fmt.Fprintf(&r.log, "Error: %v\n", err)
				e.result = "failure"
			}
			fmt.Fprintf(&r.log, "== %s: %s after %.0fs\n\n", key, e.result, e.took.Seconds())
			r.ended[key] = e
		}
		maps.Copy(total.outputs, e.outputs)
		if e.result == "failure" {
			total.result = "failure"
			if j.job.Strategy.FailFast != false {
				break
			}
		}
	}
	total.took = time.Since(start)
	return total, nil
}

// take gives the caller's inputs and secrets to a workflow.
func (c *call) take(caller job, s scope) error {
	on, ok := c.file.On["workflow_call"].(map[string]any)
	if !ok {
		return errors.New("the workflow is not reusable: it is missing a `on.workflow_call` trigger")
	}
	c.inputs, c.secrets = map[string]any{}, map[string]any{}
	for _, kind := range []struct {
		what  string
		given map[string]any
		into  map[string]any
	}{{"inputs", caller.With, c.inputs}, {"secrets", caller.Secrets, c.secrets}} {
		declared, _ := on[kind.what].(map[string]any)
		for name := range kind.given {
			if _, ok := declared[name]; !ok {
				return fmt.Errorf("invalid %s, %s is not defined in the referenced workflow", kind.what, name)
			}
		}
		for name, about := range declared {
			about, _ := about.(map[string]any)
			value, given := kind.given[name]
			if !given && about["required"] == true {
				return fmt.Errorf("%s %s is required, but not provided", kind.what, name)
			}
			if !given {
				value = about["default"]
			}
			value, err := s.expandAll(value)
			if err != nil {
				return err
			}
			switch kindOf := asText(about["type"]); kindOf {
			case "boolean":
				value = truth(value) && value != "false"
			case "number":
				value = number(value)
			case "string", "":
				value = asText(value)
			default:
				return fmt.Errorf("%s %s has type %s", kind.what, name, kindOf)
			}
			kind.into[name] = value
		}
	}
	return nil
}

// running is a job on its machine.
type running struct {
	*run
	workspace   string
	permissions map[string]string
	key, token  string
	job         job
	scope       scope
	environment map[string]string // what GITHUB_ENV added
	paths       []string          // what GITHUB_PATH added
	results     map[string]any    // of the steps with an id
}

func (r *running) may(right, level string) bool { return levels[r.permissions[right]] >= levels[level] }

// steps runs a job's steps on a fresh machine, with a token that ends with the job.
func (r *run) steps(ctx context.Context, c call, j namedJob, key string, s scope) (map[string]any, error) {
	labels, err := s.expandAll(j.job.RunsOn)
	if err != nil {
		return nil, err
	}
	if len(list(labels)) == 0 {
		return nil, errors.New("runs-on names no machine")
	}
	for _, label := range list(labels) {
		if !slices.Contains(r.world.labels, asText(label)) {
			return nil, fmt.Errorf("no machine has the label %q", asText(label))
		}
	}
	if timeout, err := s.expandAll(j.job.TimeoutMinutes); err != nil || j.job.TimeoutMinutes != nil && !(number(timeout) > 0) {
		return nil, fmt.Errorf("timeout-minutes %v: %w", timeout, err)
	}
	for _, dir := range []string{r.world.workspace(), r.world.temp()} {
		if err := errors.Join(removeAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
			return nil, err
		}
	}
	job := &running{
		run: r, workspace: r.world.workspace(), permissions: rights(c.file, j.job), key: key, job: j.job,
		environment: map[string]string{}, results: map[string]any{},
	}
	var end func()
	job.token, end = r.world.grant(r.repository, job.permissions)
	defer end()
	github := maps.Clone(s.names["github"].(map[string]any))
	github["token"], github["job"] = job.token, j.id
	secrets := maps.Clone(c.secrets)
	secrets["GITHUB_TOKEN"] = job.token
	job.scope = s.with(map[string]any{"github": github, "secrets": secrets, "steps": job.results, "env": map[string]any{}})
	common := map[string]any{}
	for _, env := range []map[string]any{c.file.Env, j.job.Env} {
		expanded, err := job.scope.expandAll(env)
		if err != nil {
			return nil, err
		}
		maps.Copy(common, expanded.(map[string]any))
	}
	var failed error
	for i, step := range j.job.Steps {
		job.scope.failed = failed != nil
		job.scope.names["env"] = common
		if err := job.step(ctx, i, step, common); err != nil && failed == nil {
			failed = err
		}
	}
	outputs := map[string]any{}
	for name, text := range j.job.Outputs {
		if outputs[name], err = job.scope.text(text); err != nil {
			return nil, err
		}
	}
	return outputs, failed
}

func (r *running) step(ctx context.Context, i int, step step, common map[string]any) error {
	name, err := r.scope.text(step.Name)
	if err != nil {
		return err
	}
	if holds, err := r.scope.condition(step.If); err != nil || !holds {
		return err
	}
	fmt.Fprintf(&r.log, "-- %s: %s%s\n", r.key, name, map[bool]string{true: step.Uses}[name == ""])
	outputs := map[string]any{}
	if step.Uses != "" {
		with := map[string]string{}
		for input, value := range step.With {
			expanded, err := r.scope.expandAll(value)
			if err != nil {
				return err
			}
			with[input] = asText(expanded)
		}
		err = r.use(ctx, step.Uses, with)
	} else {
		err = r.command(ctx, i, step, common, outputs)
	}
	result := "success"
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		result = "failure"
	}
	conclusion := result
	if step.ContinueOnError == true && err != nil {
		fmt.Fprintf(&r.log, "Error: %v\n", err)
		conclusion, err = "success", nil
	}
	if step.ID != "" {
		r.results[step.ID] = map[string]any{"outputs": outputs, "outcome": result, "conclusion": conclusion}
	}
	return err
}

// command runs a step's commands in bash, as GitHub does.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
func (r *running) command(ctx context.Context, i int, step step, common, outputs map[string]any) error {
	script, err := r.scope.text(step.Run)
	if err != nil {
		return err
	}
	file := filepath.Join(r.world.temp(), fmt.Sprintf("step-%d.sh", i))
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		return err
	}
	args := []string{"-e", file}
	switch shell := step.Shell + r.job.Defaults.Run.Shell; shell {
	case "":
	case "bash":
		args = []string{"--noprofile", "--norc", "-eo", "pipefail", file}
	default:
		return fmt.Errorf("this runner does not know the shell %s", shell)
	}
	folder := step.WorkingDirectory
	if folder == "" {
		folder = r.job.Defaults.Run.WorkingDirectory
	}
	if folder, err = r.scope.text(folder); err != nil {
		return err
	}
	written := map[string]string{} // the files that a step writes to
	env := slices.Clone(r.world.machine)
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH"} {
		written[name] = filepath.Join(r.world.temp(), fmt.Sprintf("%s-%d", name, i))
		var content []byte
		if name == "GITHUB_EVENT_PATH" {
			if content, err = json.Marshal(r.payload()); err != nil {
				return err
			}
		}
		if err := os.WriteFile(written[name], content, 0o644); err != nil {
			return err
		}
		env = append(env, name+"="+written[name])
	}
	github := r.scope.names["github"].(map[string]any)
	for name, value := range github {
		if name != "token" && name != "event" { // a step knows no token unless it is given one
			env = append(env, "GITHUB_"+strings.ToUpper(name)+"="+asText(value))
		}
	}
	env = append(env, "RUNNER_TEMP="+r.world.temp(), "RUNNER_OS=Linux", "RUNNER_ENVIRONMENT=github-hosted")
	if r.may("id-token", "write") {
		env = append(env, r.world.identity...)
	}
	for name, value := range common {
		env = append(env, name+"="+asText(value))
	}
	for name, value := range r.environment {
		env = append(env, name+"="+value)
	}
	of, err := r.scope.expandAll(step.Env)
	if err != nil {
		return err
	}
	for name, value := range of.(map[string]any) {
		env = append(env, name+"="+asText(value))
	}
	if len(r.paths) > 0 {
		env = append(env, "PATH="+strings.Join(r.paths, ":")+":"+r.world.path)
	}
	cmd := exec.CommandContext(ctx, "bash", args...)
	cmd.Dir = filepath.Join(r.workspace, folder)
	cmd.Env = env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	err = r.world.start(cmd)
	fmt.Fprintf(&r.log, "%s\n%s", strings.TrimSpace(script), out.Bytes())
	if leaked := r.leaked(out.String()); leaked != "" {
		return fmt.Errorf("the log has the secret %s", leaked)
	}
	if err != nil {
		return err
	}
	return r.takeWritten(written, outputs)
}

// leaked names a secret that a log holds.
func (r *running) leaked(log string) string {
	if strings.Contains(log, r.token) {
		return "GITHUB_TOKEN"
	}
	for name, value := range r.secrets {
		for line := range strings.Lines(asText(value)) {
			if line = strings.TrimSpace(line); len(line) > 5 && !strings.HasPrefix(line, "-----") && strings.Contains(log, line) {
				return name
			}
		}
	}
	return ""
}

// takeWritten reads the files that a step wrote for the runner.
func (r *running) takeWritten(files map[string]string, outputs map[string]any) error {
	for name, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		switch name {
		case "GITHUB_STEP_SUMMARY":
			r.summary.Write(content)
			if leaked := r.leaked(string(content)); leaked != "" {
				return fmt.Errorf("the summary has the secret %s", leaked)
			}
		case "GITHUB_PATH":
			r.paths = append(strings.Fields(string(content)), r.paths...)
		case "GITHUB_ENV", "GITHUB_OUTPUT":
			pairs, err := readPairs(string(content))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			for key, value := range pairs {
				if name == "GITHUB_ENV" {
					r.environment[key] = value
				} else {
					outputs[key] = value
				}
			}
		}
	}
	return nil
}

// readPairs reads lines NAME=VALUE, and NAME<<END with the lines up to END.
func readPairs(text string) (map[string]string, error) {
	pairs := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		name, value, ok := strings.Cut(lines[i], "=")
		if long, end, is := strings.Cut(lines[i], "<<"); is && (!ok || len(long) < len(name)) {
			last := slices.Index(lines[i+1:], end)
			if last < 0 {
				return nil, fmt.Errorf("matching delimiter not found %q", end)
			}
			pairs[long] = strings.Join(lines[i+1:i+1+last], "\n")
			i += 1 + last
			continue
		}
		if !ok {
			if lines[i] == "" {
				continue
			}
			return nil, fmt.Errorf("invalid format %q", lines[i])
		}
		pairs[name] = value
	}
	return pairs, nil
}
