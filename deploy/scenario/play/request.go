package play

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// message is a request with all variables replaced.
type message struct {
	scenario.Request
	url, authority string
	header         http.Header
	body           []byte
}

// response is what the client saw.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (p *player) message(r *scenario.Request) (*message, error) {
	m := &message{Request: *r, authority: p.place.Authority(), header: http.Header{}}
	path, err := p.expand(r.Path)
	if err != nil {
		return nil, err
	}
	m.url = strings.TrimSuffix(p.place.URL(), "/") + cmp.Or(path, "/")
	if r.Authority != "" {
		if m.authority, err = p.expand(r.Authority); err != nil {
			return nil, err
		}
	}
	for name, values := range r.Headers {
		for _, value := range values {
			text, err := p.expand(value)
			if err != nil {
				return nil, err
			}
			m.header.Add(name, text)
		}
	}
	if m.body, err = server.Body(r.Body, filepath.Dir(p.scenario.File)); err != nil {
		return nil, err
	}
	if r.Body.Text != nil {
		text, err := p.expand(*r.Body.Text)
		if err != nil {
			return nil, err
		}
		m.body = []byte(text)
	}
	m.Method = cmp.Or(m.Method, http.MethodGet)
	return m, nil
}

// responseTimeout is how long a response may take. A proxy that never answers must not stop
// everything.
const responseTimeout = time.Minute

// send sends the message as often as it says, and returns the responses in the order in which
// they came. A message that is aborted has none.
func (m *message) send(ctx context.Context) ([]*response, error) {
	transport := &http.Transport{
		DisableKeepAlives:  true, // so that the proxy's workers take turns
		DisableCompression: true, // which would add a header
		Protocols:          new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(m.Protocol != scenario.HTTP2)
	transport.Protocols.SetUnencryptedHTTP2(m.Protocol == scenario.HTTP2)
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	responses := make([]*response, max(m.Times, 1))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(int(max(m.Parallel, 1)))
	for i := range responses {
		group.Go(func() error {
			var err error
			responses[i], err = m.sendOnce(ctx, client)
			return err
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(responses, func(r *response) bool { return r == nil }), err
}

func (m *message) sendOnce(ctx context.Context, client *http.Client) (*response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, responseTimeout, fmt.Errorf("no response within %v", responseTimeout))
	defer cancel()
	aborted, abort := context.WithCancel(ctx)
	defer abort()
	if m.AbortAfter != 0 {
		timer := time.AfterFunc(time.Duration(m.AbortAfter), abort)
		defer timer.Stop()
	}
	req, err := http.NewRequestWithContext(aborted, m.Method, m.url, bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	req.Host = m.authority
	req.Header = m.header.Clone()
	res, err := client.Do(req)
	var body []byte
	if err == nil {
		defer res.Body.Close() //nolint:errcheck // read to its end below
		body, err = io.ReadAll(res.Body)
	}
	switch {
	case m.AbortAfter != 0:
		return nil, nil //nolint:nilnil // nobody looks at a response that may or may not have come
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	return &response{status: res.StatusCode, header: res.Header, body: body}, nil
}

// shownBody is how much of a body is shown.
const shownBody = 2 << 10

// line shows the message in one line.
func (m *message) line() string {
	text := m.Method + " " + m.url
	if m.Times > 1 {
		text += fmt.Sprintf(", %d times", m.Times)
	}
	if m.Parallel > 1 {
		text += fmt.Sprintf(", %d side by side", m.Parallel)
	}
	if m.AbortAfter != 0 {
		text += fmt.Sprintf(", aborted after %v", time.Duration(m.AbortAfter))
	}
	return text
}

// curl returns the command that sends the message once.
func (m *message) curl() string {
	args := []string{"curl", "-i"}
	if m.Protocol == scenario.HTTP2 {
		args = append(args, "--http2-prior-knowledge")
	}
	if m.AbortAfter != 0 {
		args = append(args, "--max-time", fmt.Sprintf("%.3f", time.Duration(m.AbortAfter).Seconds()))
	}
	if m.Method != http.MethodGet || len(m.body) > 0 {
		args = append(args, "-X", m.Method)
	}
	if m.authority != "" {
		args = append(args, "-H", quote("host: "+m.authority))
	}
	for _, name := range slices.Sorted(maps.Keys(m.header)) {
		for _, value := range m.header[name] {
			header := strings.ToLower(name) + ": " + value
			if value == "" {
				header = strings.ToLower(name) + ";" // which is how curl sends an empty one
			}
			args = append(args, "-H", quote(header))
		}
	}
	before := ""
	switch {
	case m.Body.File != "":
		args = append(args, "--data-binary", quote("@"+m.Body.File))
	case m.Body.Size > 0:
		before = fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x | ", m.Body.Size)
		args = append(args, "--data-binary", "@-")
	case len(m.body) > 0:
		args = append(args, "--data-binary", quote(string(m.body)))
	}
	return before + strings.Join(append(args, quote(m.url)), " ")
}

// quote quotes a text for a shell.
func quote(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
