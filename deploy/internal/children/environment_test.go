package children

import (
	"slices"
	"testing"
)

// TestMore: a program gets what it needs besides, and everything only if that is asked for.
func TestMore(t *testing.T) {
	t.Parallel()
	all := []string{"PATH=/bin", "REGISTRY_PASSWORD=s3cret", "SSH_AUTH_SOCK=/run/ssh", "GIT_ASKPASS=ask", "NETRC=file", "GITHUB_TOKEN=s3cret"}
	for _, c := range []struct{ more, want []string }{
		{nil, []string{"PATH=/bin"}},
		{Repositories, []string{"PATH=/bin", "SSH_AUTH_SOCK=/run/ssh", "GIT_ASKPASS=ask", "NETRC=file"}},
		{[]string{"*"}, all},
	} {
		if got := Environment(all, c.more...); !slices.Equal(got, c.want) {
			t.Errorf("with %q: %q, want %q", c.more, got, c.want)
		}
	}
}
