package workflows

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// api is the part of GitHub's API that gh asks for releases, with what GitHub refuses.
//
// Reference: https://docs.github.com/en/rest/releases/releases
type api struct {
	world *world

	mutex    sync.Mutex
	releases []*release
	latest   int // the id of the one that GitHub shows first
	last     int
	unknown  []string // requests that this API does not know
}

type release struct {
	ID         int      `json:"id"`
	URL        string   `json:"url"`
	HTMLURL    string   `json:"html_url"`
	UploadURL  string   `json:"upload_url"`
	Tag        string   `json:"tag_name"`
	Target     string   `json:"target_commitish"`
	Name       string   `json:"name"`
	Body       string   `json:"body"`
	Draft      bool     `json:"draft"`
	Prerelease bool     `json:"prerelease"`
	Created    string   `json:"created_at"`
	Published  *string  `json:"published_at"`
	Assets     []*asset `json:"assets"`
	Author     struct {
		Login string `json:"login"`
	} `json:"author"`
}

type asset struct {
	ID    int    `json:"id"`
	URL   string `json:"url"`
	Name  string `json:"name"`
	Size  int    `json:"size"`
	State string `json:"state"`
}

var apiPath = regexp.MustCompile(`^/repos/([^/]+/[^/]+)/(.*)$`)

const now = "2026-01-01T00:00:00Z"

func (a *api) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	token := strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "token "), "Bearer ")
	g, ok := a.world.granted(token)
	if !ok {
		answer(rw, http.StatusUnauthorized, message("Bad credentials"))
		return
	}
	if r.URL.Path == "/graphql" {
		a.graphql(rw, r, g)
		return
	}
	match := apiPath.FindStringSubmatch(r.URL.Path)
	writes := levels[g.permissions["contents"]] == 2
	switch {
	case match == nil || !strings.EqualFold(match[1], g.repository) || levels[g.permissions["contents"]] == 0:
		answer(rw, http.StatusNotFound, message("Not Found"))
		return
	case r.Method != http.MethodGet && !writes:
		answer(rw, http.StatusForbidden, message("Resource not accessible by integration"))
		return
	}
	where := strings.Split(match[2], "/")
	switch key := r.Method + " " + where[0]; {
	case key == "GET releases" && len(where) == 1:
		seen := []*release{}
		if page := r.URL.Query().Get("page"); page == "" || page == "1" {
			for _, each := range a.releases {
				if !each.Draft || writes {
					seen = append(seen, each)
				}
			}
		}
		answer(rw, http.StatusOK, seen)
	case key == "GET releases" && len(where) > 2 && where[1] == "tags":
		a.one(rw, func(x *release) bool { return !x.Draft && x.Tag == strings.Join(where[2:], "/") })
	case key == "GET releases" && len(where) == 2 && where[1] == "latest":
		a.one(rw, func(x *release) bool { return x.ID == a.latest })
	case key == "GET releases" && len(where) == 2:
		a.one(rw, func(x *release) bool { return strconv.Itoa(x.ID) == where[1] && (!x.Draft || writes) })
	case key == "POST releases" && len(where) == 1:
		a.save(rw, r, nil)
	case key == "PATCH releases" && len(where) == 2:
		if i := slices.IndexFunc(a.releases, func(x *release) bool { return strconv.Itoa(x.ID) == where[1] }); i >= 0 {
			a.save(rw, r, a.releases[i])
			return
		}
		answer(rw, http.StatusNotFound, message("Not Found"))
	case key == "POST releases" && len(where) == 3 && where[2] == "assets":
		a.upload(rw, r, where[1])
	case key == "DELETE releases" && len(where) == 3 && where[1] == "assets":
		for _, each := range a.releases {
			each.Assets = slices.DeleteFunc(each.Assets, func(x *asset) bool { return strconv.Itoa(x.ID) == where[2] })
		}
		rw.WriteHeader(http.StatusNoContent)
	case key == "POST git" && len(where) == 2 && where[1] == "refs":
		a.ref(rw, r, g)
	case key == "GET git" && len(where) > 2:
		a.getRef(rw, g, strings.TrimPrefix(strings.Join(where[1:], "/"), "ref/"))
	default:
		a.unknown = append(a.unknown, r.Method+" "+r.URL.Path)
		answer(rw, http.StatusNotFound, message("Not Found"))
	}
}

func message(text string) any { return map[string]string{"message": text} }

func invalid(resource, code, field string) any {
	return map[string]any{"message": "Validation Failed", "errors": []any{map[string]string{"resource": resource, "code": code, "field": field}}}
}

func answer(rw http.ResponseWriter, status int, body any) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(body)
}

func (a *api) one(rw http.ResponseWriter, is func(*release) bool) {
	if i := slices.IndexFunc(a.releases, is); i >= 0 {
		answer(rw, http.StatusOK, a.releases[i])
		return
	}
	answer(rw, http.StatusNotFound, message("Not Found"))
}

// save makes or changes a release. A published one has its tag alone. Whoever publishes
// without make_latest makes it the one that GitHub shows first.
func (a *api) save(rw http.ResponseWriter, r *http.Request, old *release) {
	next := &release{Target: "main", Assets: []*asset{}, Created: now}
	if old != nil {
		*next = *old
	} else {
		a.last++
		next.ID = a.last
	}
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(data, next)
	}
	var asked struct {
		Latest string `json:"make_latest"`
	}
	if err == nil {
		err = json.Unmarshal(data, &asked)
	}
	if err != nil || next.Tag == "" {
		answer(rw, http.StatusUnprocessableEntity, invalid("Release", "missing_field", "tag_name"))
		return
	}
	if slices.ContainsFunc(a.releases, func(x *release) bool { return x.ID != next.ID && x.Tag == next.Tag && !x.Draft }) {
		answer(rw, http.StatusUnprocessableEntity, invalid("Release", "already_exists", "tag_name"))
		return
	}
	if asked.Latest == "true" && (next.Draft || next.Prerelease) {
		answer(rw, http.StatusUnprocessableEntity, invalid("Release", "invalid", "make_latest"))
		return
	}
	if repository := apiPath.FindStringSubmatch(r.URL.Path)[1]; next.URL == "" {
		next.URL = fmt.Sprintf("https://api.github.com/repos/%s/releases/%d", repository, next.ID)
		next.HTMLURL = fmt.Sprintf("https://github.com/%s/releases/tag/%s", repository, next.Tag)
		next.UploadURL = fmt.Sprintf("https://uploads.github.com/repos/%s/releases/%d/assets{?name,label}", repository, next.ID)
	}
	if !next.Draft && next.Published == nil {
		published := now
		next.Published = &published
		if asked.Latest == "" {
			asked.Latest = "true"
		}
	}
	if asked.Latest == "true" && !next.Draft && !next.Prerelease {
		a.latest = next.ID
	}
	status := http.StatusOK
	if old == nil {
		a.releases, status = append(a.releases, next), http.StatusCreated
	} else {
		*old = *next
	}
	answer(rw, status, next)
}

func (a *api) upload(rw http.ResponseWriter, r *http.Request, id string) {
	content, err := io.ReadAll(r.Body)
	i := slices.IndexFunc(a.releases, func(x *release) bool { return strconv.Itoa(x.ID) == id })
	name := r.URL.Query().Get("name")
	switch {
	case err != nil || i < 0 || r.Host != "uploads.github.com":
		answer(rw, http.StatusNotFound, message("Not Found"))
	case slices.ContainsFunc(a.releases[i].Assets, func(x *asset) bool { return x.Name == name }):
		answer(rw, http.StatusUnprocessableEntity, invalid("ReleaseAsset", "already_exists", "name"))
	default:
		a.last++
		url := fmt.Sprintf("https://api.github.com/repos/%s/releases/assets/%d", apiPath.FindStringSubmatch(r.URL.Path)[1], a.last)
		added := &asset{a.last, url, name, len(content), "uploaded"}
		a.releases[i].Assets = append(a.releases[i].Assets, added)
		answer(rw, http.StatusCreated, added)
	}
}

// ref makes a git tag.
func (a *api) ref(rw http.ResponseWriter, r *http.Request, g grant) {
	var asked struct{ Ref, SHA string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		answer(rw, http.StatusUnprocessableEntity, message("Invalid request"))
		return
	}
	git := func(args ...string) error {
		return exec.Command("git", append([]string{"-C", a.world.repositories[g.repository]}, args...)...).Run()
	}
	switch {
	case git("rev-parse", "--verify", "--quiet", asked.Ref) == nil:
		answer(rw, http.StatusUnprocessableEntity, message("Reference already exists"))
	case git("update-ref", asked.Ref, asked.SHA) != nil:
		answer(rw, http.StatusUnprocessableEntity, message("Object does not exist"))
	default:
		answer(rw, http.StatusCreated, map[string]any{"ref": asked.Ref, "object": map[string]string{"type": "commit", "sha": asked.SHA}})
	}
}

func (a *api) getRef(rw http.ResponseWriter, g grant, ref string) {
	sha, err := exec.Command("git", "-C", a.world.repositories[g.repository], "rev-parse", "--verify", "--quiet", "refs/"+ref).Output()
	if err != nil {
		answer(rw, http.StatusNotFound, message("Not Found"))
		return
	}
	answer(rw, http.StatusOK, map[string]any{"ref": "refs/" + ref, "object": map[string]string{"type": "commit", "sha": strings.TrimSpace(string(sha))}})
}

// graphql answers the two questions that gh asks: whether a tag exists, and which release
// it has.
func (a *api) graphql(rw http.ResponseWriter, r *http.Request, g grant) {
	var asked struct {
		Query     string
		Variables map[string]any
	}
	_ = json.NewDecoder(r.Body).Decode(&asked)
	found := map[string]any{} // gh takes no field that it did not ask for
	tag := strings.TrimPrefix(asText(asked.Variables["tagName"]), "refs/tags/")
	switch {
	case strings.Contains(asked.Query, "ref("):
		found["ref"] = nil
		if exec.Command("git", "-C", a.world.repositories[g.repository], "rev-parse", "--verify", "--quiet", "refs/tags/"+tag).Run() == nil {
			found["ref"] = map[string]string{"id": "tag"}
		}
	case strings.Contains(asked.Query, "release("):
		found["release"] = nil
		for _, each := range a.releases {
			if each.Tag == tag && (!each.Draft || levels[g.permissions["contents"]] == 2) {
				found["release"] = map[string]any{"databaseId": each.ID, "isDraft": each.Draft}
			}
		}
	default:
		a.unknown = append(a.unknown, asked.Query)
	}
	answer(rw, http.StatusOK, map[string]any{"data": map[string]any{"repository": found}})
}

// release returns the release of a tag, which has to be the only one.
func (a *api) release(tag string) *release {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	var found []*release
	for _, each := range a.releases {
		if each.Tag == tag {
			found = append(found, each)
		}
	}
	if len(found) != 1 {
		a.world.t.Fatalf("there are %d releases of %s; GitHub was asked %v", len(found), tag, a.unknown)
	}
	return found[0]
}
