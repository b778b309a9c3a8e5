package immutable

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	denied := errors.New("403")
	for name, c := range map[string]struct {
		answers  []string // of Current, in turn; "" is absent
		err      error    // of Current
		create   error
		written  bool
		wantErr  error
		wantText string
	}{
		"absent":                       {answers: []string{"", "ours"}, written: true},
		"same":                         {answers: []string{"ours"}},
		"other":                        {answers: []string{"theirs"}, wantText: "r.example/headers:1.0.0 exists with manifest digest theirs (ours is ours); a published version never changes: choose a new version"},
		"other arrives meanwhile":      {answers: []string{"", "theirs"}, wantText: "published by somebody else at the same moment, with manifest digest theirs (ours is ours)"},
		"forbidden is not absent":      {err: denied, wantErr: denied},
		"create fails":                 {answers: []string{""}, create: denied, wantErr: denied},
		"gone when it is read back":    {answers: []string{"", ""}, wantErr: finding.ErrAbsent},
		"two writers of the same ours": {answers: []string{"", "ours"}, written: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			created := false
			slot := Slot{
				Name: "r.example/headers:1.0.0", Kind: "manifest digest", Ours: "ours",
				Current: func(context.Context) (string, error) {
					if c.err != nil {
						return "", c.err
					}
					answer := c.answers[0]
					c.answers = c.answers[1:]
					if answer == "" {
						return "", finding.ErrAbsent
					}
					return answer, nil
				},
				Create: func(context.Context) error { created = true; return c.create },
			}
			written, err := slot.Write(t.Context())
			if written != c.written || (c.wantErr != nil && !errors.Is(err, c.wantErr)) {
				t.Fatalf("written %t, error %v", written, err)
			}
			conflict := new(Conflict)
			if c.wantText != "" && (!errors.As(err, &conflict) || !strings.Contains(err.Error(), c.wantText)) {
				t.Fatalf("error %v, want %q", err, c.wantText)
			}
			if c.wantErr == nil && c.wantText == "" && err != nil {
				t.Fatal(err)
			}
			if name == "other" && created {
				t.Error("written over other content")
			}
		})
	}
}

// TestWriteTwoWritersAtOnce lets two writers find the name absent and write one
// after the other, in a store that overwrites. The slower one takes almost five
// times as long as the other.
func TestWriteTwoWritersAtOnce(t *testing.T) {
	t.Parallel()
	for _, slower := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 490 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			published := ""
			writer := func(content string, takes time.Duration) Slot {
				return Slot{
					Ours: content, Overwrites: true,
					Current: func(context.Context) (string, error) {
						mu.Lock()
						defer mu.Unlock()
						if published == "" {
							return "", finding.ErrAbsent
						}
						return published, nil
					},
					Create: func(context.Context) error {
						<-time.After(takes)
						mu.Lock()
						defer mu.Unlock()
						published = content
						return nil
					},
				}
			}
			var errs [2]error
			var group sync.WaitGroup
			group.Go(func() { _, errs[0] = writer("first", 100*time.Millisecond).Write(t.Context()) })
			group.Go(func() { _, errs[1] = writer("second", slower).Write(t.Context()) })
			group.Wait()
			lost := new(Conflict)
			if published == "first" {
				errs[0], errs[1] = errs[1], errs[0]
			}
			if errs[1] != nil || !errors.As(errs[0], &lost) || !lost.Lost {
				t.Errorf("%v: %q is published; its writer got %v, the other %v", slower, published, errs[1], errs[0])
			}
		})
	}
}
