package release_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/release"
)

// TestJobs releases as the workflow does: in several jobs, on machines that have only a
// checkout and the files kept from the first job. The record is the same as that of a
// single command.
func TestJobs(t *testing.T) {
	t.Parallel()
	kept, stops := readJobs(t)
	if want := []string{"e2e", "upload", "verify", ""}; !slices.Equal(stops, want) {
		t.Fatalf("the workflow stops after %q, and this test knows %q", stops, want)
	}
	p := newProject(t)
	p.git(t, "tag", "v1.4.0")
	first := p.clone(t)
	job{Dir: first.dir, Version: "v1.4.0", Until: stops[0]}.must(t)

	there := newPlaces(t)
	var last project
	for _, until := range stops[1:] {
		last = p.clone(t)
		keep(t, first.dir, last.dir, kept)
		j := there.job(last, "v1.4.0")
		j.Until = until
		out := j.must(t)
		for _, step := range []string{release.StepBuild, release.StepRebuild, release.StepTest, release.StepE2E} {
			if !regexp.MustCompile(`(?m)^` + step + ` +confirmed`).MatchString(out) {
				t.Errorf("until %q: %s is done again:\n%s", until, step, out)
			}
		}
		if latest := there.tags(t, "headers")["latest"]; (latest != "") != (until == "") {
			t.Errorf("until %q: latest is %q", until, latest)
		}
	}

	alone := p.clone(t)
	once := newPlaces(t)
	once.job(alone, "v1.4.0").must(t)
	got, want := last.record(t), alone.record(t)
	for i := range got.Filters {
		// The two storages have different addresses.
		got.Filters[i].URL = strings.Replace(got.Filters[i].URL, there.public, once.public, 1)
		for j := range got.Filters[i].Manifests {
			m := &got.Filters[i].Manifests[j]
			m.Repository = strings.Replace(m.Repository, there.registry, once.registry, 1)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record of one command (-), and of the jobs (+):\n%s", diff)
	}
}

// readJobs returns the patterns of the files that the build job keeps, and the steps at
// which the jobs that run "release" stop, in order.
func readJobs(t *testing.T) (kept, stops []string) {
	t.Helper()
	type workflow struct {
		Jobs yaml.MapSlice
	}
	until := regexp.MustCompile(`release "\$TAG"(?: -until=(\w+))?(?: -shard="\$SHARD")?$`)
	for _, file := range []string{"build.yml", "filters.yml"} {
		data, err := os.ReadFile(filepath.Join("../../.github/workflows", file))
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal(data, &w); err != nil {
			t.Fatal(err)
		}
		for _, item := range w.Jobs {
			content, err := yaml.Marshal(item.Value)
			if err != nil {
				t.Fatal(err)
			}
			var job struct {
				Steps []struct {
					Uses, Run string
					With      struct{ Path string }
				}
			}
			if err := yaml.Unmarshal(content, &job); err != nil {
				t.Fatal(err)
			}
			for _, step := range job.Steps {
				if match := until.FindStringSubmatch(step.Run); match != nil {
					stops = append(stops, match[1])
				}
				if strings.HasPrefix(step.Uses, "actions/upload-artifact@") {
					kept = strings.Fields(regexp.MustCompile(`source/\$\{\{ inputs\.folder \}\}/`).ReplaceAllString(step.With.Path, ""))
				}
			}
		}
	}
	return kept, stops
}

// keep copies the files that match patterns from one folder to another.
func keep(t *testing.T, from, to string, patterns []string) {
	t.Helper()
	if len(patterns) == 0 {
		t.Fatal("the workflow keeps nothing of the build")
	}
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no file is kept by %s: %v", pattern, err)
		}
		for _, file := range files {
			relative, err := filepath.Rel(from, file)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			project{to}.write(t, map[string]string{relative: string(content)})
		}
	}
}
