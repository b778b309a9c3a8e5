package stores

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/test/stores/server"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

// store is a running store.
type store struct {
	options storage.Options
	// environment has the variables that the clouds' SDKs read.
	environment []string
	// private is the same store at an address that refuses readers; empty if the store
	// cannot refuse them.
	private storage.Options
	// intruder holds options with credentials that may not write; empty if the store
	// lets everybody write.
	intruder            storage.Options
	intruderEnvironment []string
	// upstream is the server's address, for a proxy in front of it; empty for a folder.
	upstream string
	// through returns the same store behind a proxy at that address. Readers do not use
	// the proxy.
	through func(addr string) store
	// ownHost says that the server answers to its own address only.
	ownHost bool
	// slowLocks says that the lock of a killed upload lasts for as long as the upload
	// asked for. The other stores are configured to end it earlier.
	slowLocks bool
	// trusting says that the store cannot keep two writers apart; they find out
	// afterwards.
	trusting bool
}

// stores are all kinds of stores. Each is started anew for a test.
var stores = []struct {
	name  string
	start func(*testing.T) store
}{
	{"folder", startFolder},
	{"s3", startS3},
	{"s3-by-put", startS3ByPut},
	{"gcs", startGCS},
	{"azblob", startAzurite},
	{"nginx", func(t *testing.T) store { return startNginx(t, true) }},
	{"nginx-without-locks", func(t *testing.T) store { return startNginx(t, false) }},
	{"apache", startApache},
}

// eachStore runs a test with every store.
func eachStore(t *testing.T, test func(*testing.T, store)) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s.start(t))
		})
	}
}

// The credentials of all stores here, which a test searches the output for.
const (
	username = "slipway"
	password = "correct-horse-battery-staple"
)

func startFolder(t *testing.T) store {
	dir := t.TempDir()
	server, err := httpstore.Serve(httpstore.ServeOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	public := strings.TrimSuffix(server.URL(""), "/")
	return store{options: storage.Options{URL: "file://" + filepath.ToSlash(dir), PublicURL: public}}
}

// startNginx starts nginx as deploy/README.md configures it, with or without WebDAV's locks.
func startNginx(t *testing.T, locks bool) store {
	nginx, err := server.Nginx(t.Context(), server.NginxOptions{Dir: t.TempDir(), Username: username, Password: password, WithoutLocks: !locks})
	s := webServer(running(t, nginx, err))
	s.trusting = !locks
	return s
}

// startApache starts Apache with mod_dav.
func startApache(t *testing.T) store {
	apache := program(t, "apache2", server.Debian)
	dir, addr := t.TempDir(), envoytest.MustFreeAddress(t)
	for _, name := range []string{"root", "root/private", "locks"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 { // its workers then run as another user
		for folder := dir; folder != os.TempDir() && folder != "/"; folder = filepath.Dir(folder) {
			if err := os.Chmod(folder, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"root", "root/private", "locks"} {
			if err := os.Chmod(filepath.Join(dir, name), 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum := "{SHA}" + base64SHA1(password)
	writeFile(t, dir, "htpasswd", "%s:%s\n", username, sum)
	writeFile(t, dir, "mime.types", "application/wasm wasm\napplication/json json\n")
	var modules strings.Builder
	for _, name := range []string{"mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "mime", "headers", "dav", "dav_fs"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", name, name)
	}
	conf := writeFile(t, dir, "httpd.conf", `ServerRoot %[1]s
PidFile %[1]s/pid
Mutex file:%[1]s
ServerName localhost
Listen %[2]s
ErrorLog /dev/stderr
%[3]s
User www-data
Group www-data
TypesConfig %[1]s/mime.types
DavLockDB %[1]s/locks/db
DocumentRoot %[1]s/root
<Directory %[1]s/root>
	Dav On
	AuthType Basic
	AuthName filters
	AuthUserFile %[1]s/htpasswd
	<LimitExcept GET HEAD>
		Require valid-user
	</LimitExcept>
	<Limit GET HEAD>
		Require all granted
	</Limit>
	Header set Cache-Control no-cache
	<FilesMatch "\.(wasm|sha256)$">
		Header set Cache-Control "public, max-age=31536000, immutable"
	</FilesMatch>
</Directory>
<Location /private>
	AuthType Basic
	AuthName filters
	AuthUserFile %[1]s/htpasswd
	<Limit GET HEAD>
		Require valid-user
	</Limit>
</Location>
`, dir, addr, modules.String())
	start(t, addr, exec.CommandContext(context.WithoutCancel(t.Context()), apache, "-f", conf, "-DFOREGROUND"))
	s := webServer(addr)
	s.slowLocks = true
	return s
}

// webServer is a server that takes PUT with a password. It lets everybody read, except
// below /private.
func webServer(addr string) store {
	options := func(addr, path, password string) storage.Options {
		return storage.Options{URL: "http://" + addr + path, Username: username, Password: password}
	}
	return store{
		options:  options(addr, "/filters", password),
		private:  options(addr, "/private", password),
		intruder: options(addr, "/filters", "wrong-password-of-an-intruder"),
		upstream: addr,
		through: func(proxy string) store {
			o := options(proxy, "/filters", password)
			o.PublicURL = "http://" + addr + "/filters"
			return store{options: o}
		},
	}
}

// startS3ByPut is the S3 server for plain HTTP, without credentials: a server that
// honours conditions and has no locks.
func startS3ByPut(t *testing.T) store {
	addr := runS3(t, "s3:*")
	at := func(proxy string) store {
		return store{options: storage.Options{URL: "http://" + proxy + "/filters", PublicURL: "http://" + addr + "/filters"}}
	}
	s := at(addr)
	s.upstream, s.through = addr, at
	return s
}

func startS3(t *testing.T) store {
	addr := runS3(t, "s3:GetObject")
	options := func(addr, bucket string) storage.Options {
		return storage.Options{
			URL:          "s3://" + bucket + "/team/a?region=us-east-1&use_path_style=true&endpoint=http://" + addr,
			PublicURL:    "http://" + addr + "/" + bucket + "/team/a",
			CloudCommand: cloud(t),
		}
	}
	environment := func(secret string) []string {
		return []string{"AWS_ACCESS_KEY_ID=" + username, "AWS_SECRET_ACCESS_KEY=" + secret}
	}
	return store{
		options:             options(addr, "filters"),
		environment:         environment(password),
		private:             options(addr, "private"),
		intruder:            options(addr, "filters"),
		intruderEnvironment: environment("wrong-password-of-an-intruder"),
		upstream:            addr,
		through: func(proxy string) store {
			o := options(proxy, "filters")
			o.PublicURL = "http://" + addr + "/filters/team/a"
			return store{options: o, environment: environment(password)}
		},
	}
}

// runS3 starts an S3 server with a private bucket and a public one, and returns its
// address. everybody is what the public bucket allows everybody.
func runS3(t *testing.T, everybody string) string {
	s3, err := server.S3(t.Context(), server.S3Options{Module: ".", Dir: t.TempDir(), Username: username, Password: password, Everybody: everybody})
	return running(t, s3, err)
}

func startGCS(t *testing.T) store {
	addr := envoytest.MustFreeAddress(t)
	host, port, _ := strings.Cut(addr, ":")
	start(t, addr, exec.CommandContext(context.WithoutCancel(t.Context()), goTool(t, ".", "fake-gcs-server"),
		"-backend", "memory", "-scheme", "http", "-host", host, "-port", port, "-public-host", addr, "-external-url", "http://"+addr, "-log-level", "error"))
	post(t, "http://"+addr+"/storage/v1/b?project=test", `{"name": "filters"}`)
	at := func(emulator string) store {
		return store{
			options: storage.Options{
				URL:          "gs://filters/team/a",
				PublicURL:    "http://" + addr + "/filters/team/a",
				CloudCommand: cloud(t),
			},
			environment: []string{"STORAGE_EMULATOR_HOST=" + emulator},
		}
	}
	s := at(addr)
	s.upstream, s.through, s.ownHost = addr, at, true
	return s
}

// startAzurite starts Microsoft's emulator of Azure Blob Storage.
func startAzurite(t *testing.T) store {
	azurite := program(t, "azurite-blob", `"npm install --global azurite@`+azuriteVersion+`" does that`)
	dir, addr := t.TempDir(), envoytest.MustFreeAddress(t)
	host, port, _ := strings.Cut(addr, ":")
	key := base64.StdEncoding.EncodeToString([]byte(password))
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), azurite,
		"--blobHost", host, "--blobPort", port, "--location", dir, "--silent", "--skipApiVersionCheck", "--disableTelemetry")
	cmd.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+username+":"+key)
	start(t, addr, cmd)

	client, err := azblob.NewClientFromConnectionString(fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=http://%s/%s;", username, key, addr, username), nil)
	if err != nil {
		t.Fatal(err)
	}
	access := container.PublicAccessTypeBlob
	if _, err := client.CreateContainer(t.Context(), "filters", &azblob.CreateContainerOptions{Access: &access}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateContainer(t.Context(), "private", nil); err != nil {
		t.Fatal(err)
	}
	options := func(addr, container string) storage.Options {
		return storage.Options{
			URL:          "azblob://" + container + "/team/a?protocol=http&domain=" + addr + "&storage_account=" + username,
			PublicURL:    "http://" + addr + "/" + username + "/" + container + "/team/a",
			CloudCommand: cloud(t),
		}
	}
	environment := func(key string) []string {
		return []string{"AZURE_STORAGE_ACCOUNT=" + username, "AZURE_STORAGE_KEY=" + key}
	}
	return store{
		options:             options(addr, "filters"),
		environment:         environment(key),
		intruder:            options(addr, "filters"),
		intruderEnvironment: environment(base64.StdEncoding.EncodeToString([]byte("wrong-password-of-an-intruder"))),
		upstream:            addr,
		through: func(proxy string) store {
			o := options(proxy, "filters")
			o.PublicURL = options(addr, "filters").PublicURL
			return store{options: o, environment: environment(key)}
		},
	}
}

// azuriteVersion is the pinned version: https://www.npmjs.com/package/azurite
const azuriteVersion = "3.37.0"

// cloud builds the command that links the clouds' SDKs.
func cloud(t *testing.T) string {
	t.Helper()
	return goTool(t, "../../deploy/storage/cloud", "cloud")
}

// base64SHA1 returns a password in the form of Apache's password file.
func base64SHA1(text string) string {
	sum := sha1.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func post(t *testing.T, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s: %s", url, resp.Status, answer)
	}
}
