package workflows

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// file is a workflow's file.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
type file struct {
	Name, RunName any
	On            map[string]any
	Permissions   map[string]string
	Env           map[string]any
	Concurrency   any
	Jobs          yaml.MapSlice

	jobs []namedJob // of Jobs, in their order
}

type namedJob struct {
	id  string
	job job
}

type job struct {
	Name            any
	Needs           any
	If              any
	Uses            string
	With            map[string]any
	Secrets         map[string]any
	Permissions     map[string]string
	RunsOn          any `yaml:"runs-on"`
	TimeoutMinutes  any `yaml:"timeout-minutes"`
	ContinueOnError any `yaml:"continue-on-error"`
	Strategy        struct {
		FailFast    any `yaml:"fail-fast"`
		MaxParallel any `yaml:"max-parallel"`
		Matrix      any
	}
	Concurrency any
	Environment any
	Env         map[string]any
	Outputs     map[string]string
	Defaults    struct {
		Run struct {
			Shell            string
			WorkingDirectory string `yaml:"working-directory"`
		}
	}
	Steps []step
}

type step struct {
	ID, Name         string
	If               any
	Uses, Run, Shell string
	WorkingDirectory string `yaml:"working-directory"`
	With, Env        map[string]any
	ContinueOnError  any `yaml:"continue-on-error"`
	TimeoutMinutes   any `yaml:"timeout-minutes"`
}

// readFile refuses what this runner does not know.
func readFile(text []byte) (*file, error) {
	var f file
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.DisallowUnknownField()); err != nil {
		return nil, err
	}
	for _, item := range f.Jobs {
		id := fmt.Sprint(item.Key)
		data, err := yaml.Marshal(item.Value)
		if err != nil {
			return nil, err
		}
		var j job
		if err := yaml.UnmarshalWithOptions(data, &j, yaml.DisallowUnknownField()); err != nil {
			return nil, fmt.Errorf("job %s: %w", id, err)
		}
		if (j.Uses == "") == (len(j.Steps) == 0) {
			return nil, fmt.Errorf("job %s needs either uses or steps", id)
		}
		f.jobs = append(f.jobs, namedJob{id, j})
	}
	return &f, nil
}

// triggered says whether a push of a tag starts the workflow. The last pattern that fits
// decides.
func (f *file) triggered(tag string) bool {
	push, _ := f.On["push"].(map[string]any)
	starts := false
	for _, pattern := range list(push["tags"]) {
		pattern, without := strings.CutPrefix(asText(pattern), "!")
		if matches, err := path.Match(pattern, tag); err == nil && matches {
			starts = !without
		}
	}
	return starts
}

// list is what may be one value or several.
func list(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{value}
}

// combinations are those of a matrix. Without one, there is a single empty one.
func combinations(matrix any) ([]map[string]any, error) {
	if matrix == nil {
		return []map[string]any{{}}, nil
	}
	axes, ok := matrix.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the matrix is %T", matrix)
	}
	all := []map[string]any{{}}
	names := make([]string, 0, len(axes))
	for name := range axes {
		names = append(names, name)
	}
	slices.Sort(names)
	crossed := false
	for _, name := range names {
		if name == "include" {
			continue
		}
		if name == "exclude" {
			return nil, fmt.Errorf("this runner does not know exclude")
		}
		values, ok := axes[name].([]any)
		if !ok || len(values) == 0 {
			return nil, fmt.Errorf("the matrix has no values for %s", name)
		}
		crossed = true
		var next []map[string]any
		for _, combination := range all {
			for _, value := range values {
				with := map[string]any{name: value}
				for key := range combination {
					with[key] = combination[key]
				}
				next = append(next, with)
			}
		}
		all = next
	}
	if include, ok := axes["include"]; ok {
		if crossed {
			return nil, fmt.Errorf("this runner does not know include beside other axes")
		}
		all = nil
		for _, each := range list(include) {
			combination, ok := each.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("include has a %T", each)
			}
			all = append(all, combination)
		}
	}
	return all, nil
}
