package release

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fatih/color"
)

func TestList(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		list list
		want string
	}{
		"log": {
			list{},
			"check ...\ncheck    done           1.5s  clean\n" +
				"build ...\n    one\n    two\nbuild    FAILED         0.0s\n",
		},
		"terminal": {
			list{width: 80},
			"check ...\r\x1b[2Kcheck    done           1.5s  clean\n" +
				"build ...\n    one\n    two\nbuild    FAILED         0.0s\n",
		},
		"colors": {
			list{width: 80, colored: true},
			"check ...\r\x1b[2Kcheck    \x1b[32mdone     \x1b[0m      1.5s  clean\n" +
				"build ...\n    one\n    two\nbuild    \x1b[31mFAILED   \x1b[0m      0.0s\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			l := test.list
			l.out = &out
			l.begin("check")
			l.end("done", color.FgGreen, 1500*time.Millisecond, "clean")
			l.begin("build")
			_, _ = io.WriteString(&l, "one\ntw")
			_, _ = io.WriteString(&l, "o\n")
			l.end("FAILED", color.FgRed, 0, "")
			if out.String() != test.want {
				t.Errorf("got:\n%q\nwant:\n%q", out.String(), test.want)
			}
		})
	}
}

// A narrow terminal shows shortened digests, and a log shows them in full.
func TestFits(t *testing.T) {
	t.Parallel()
	const table = "FILTER\nheaders  sha256:0123\n"
	for width, want := range map[int]bool{0: true, 20: true, 19: false} {
		if got := (&list{width: width}).fits(table); got != want {
			t.Errorf("%d columns: %v", width, got)
		}
	}
}
