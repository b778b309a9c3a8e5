package stores

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Uploads run in processes of their own, as they do under Mage: each has its
// environment, can be killed, and shows everything that it prints.

// request is what an upload process reads.
type request struct {
	Options options
	Upload  storage.UploadOptions
}

// options are the fields of storage.Options that can be written down.
type options struct {
	URL, PublicURL, Username, Password, CloudCommand string
}

// result is what an upload process answers.
type result struct {
	Objects []storage.Object
	Error   string
}

const helperVariable = "SLIPWAY_TEST_UPLOAD"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) == "" {
		// The tests mostly wait, for servers, locks and processes, so more can run side by
		// side than there are processors. The flag -parallel still goes before this.
		if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.NumCPU())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	if err := uploadHelper(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func uploadHelper() error {
	var r request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var answer result
	s, err := storage.Open(storage.Options{
		URL: r.Options.URL, PublicURL: r.Options.PublicURL,
		Username: r.Options.Username, Password: r.Options.Password,
		CloudCommand: r.Options.CloudCommand,
		Out:          os.Stderr,
	})
	if err == nil {
		answer.Objects, err = storage.Upload(ctx, s, r.Upload)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// process is a running upload.
type process struct {
	cmd            *exec.Cmd
	answer, output bytes.Buffer
}

// begin starts an upload in a process group of its own.
func begin(t *testing.T, o storage.Options, environment []string, upload storage.UploadOptions) *process {
	t.Helper()
	data, err := json.Marshal(request{options{o.URL, o.PublicURL, o.Username, o.Password, o.CloudCommand}, upload})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	p.cmd.Env = append(append(os.Environ(), helperVariable+"=1"), environment...)
	p.cmd.Stdin = bytes.NewReader(data)
	p.cmd.Stdout, p.cmd.Stderr = &p.answer, &p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// kill ends the upload and everything that it started with SIGKILL.
func (p *process) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// wait returns what the upload answered, and fails the test if a secret is in
// anything that it printed.
func (p *process) wait(t *testing.T) ([]storage.Object, error) {
	t.Helper()
	err := p.cmd.Wait()
	output := p.output.String()
	var r result
	if jsonErr := json.Unmarshal(p.answer.Bytes(), &r); jsonErr != nil {
		return nil, fmt.Errorf("%w: %w\n%s", err, jsonErr, output)
	}
	for _, secret := range []string{password, "wrong-password-of-an-intruder"} {
		if strings.Contains(output+r.Error, secret) {
			t.Errorf("a secret was printed:\n%s\n%s", output, r.Error)
		}
	}
	if r.Error != "" {
		t.Logf("the upload printed:\n%s", output)
		return nil, errors.New(r.Error)
	}
	return r.Objects, nil
}

// upload runs an upload to its end.
func (s store) upload(t *testing.T, upload storage.UploadOptions) ([]storage.Object, error) {
	t.Helper()
	return begin(t, s.options, s.environment, upload).wait(t)
}

func (s store) mustUpload(t *testing.T, upload storage.UploadOptions) []storage.Object {
	t.Helper()
	objects, err := s.upload(t, upload)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// module makes a module of a given size. Its bytes depend on the seed.
func module(t *testing.T, name string, size int, seed uint64) build.Module {
	t.Helper()
	data := make([]byte, size)
	generator := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(len(name))})
	_, _ = generator.Read(data) // never fails
	copy(data, "\x00asm\x01\x00\x00\x00")
	path := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return build.Module{Path: path, Record: build.Record{Name: name, WasmSHA256: hex.EncodeToString(sum[:]), Size: int64(size)}}
}

func release(text string, modules ...build.Module) storage.UploadOptions {
	return storage.UploadOptions{Version: version.MustParse(text), Modules: modules}
}

// public is the address that readers use, without a slash at its end.
func (s store) public() string {
	if s.options.PublicURL != "" {
		return s.options.PublicURL
	}
	return s.options.URL
}

// get fetches an object without credentials: status, header and bytes.
func (s store) get(t *testing.T, key string) (int, http.Header, []byte) {
	t.Helper()
	status, header, body, err := fetch(t.Context(), s.public()+"/"+key)
	if err != nil {
		t.Fatal(err)
	}
	return status, header, body
}

func fetch(ctx context.Context, url string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	resp, err := plain.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

// plain asks for no encoding, as Envoy does, and shows one if the server sends it.
var plain = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 8}}
