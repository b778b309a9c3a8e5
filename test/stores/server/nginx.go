package server

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

// Debian says how to get the web servers.
const Debian = `"apt-get install nginx-light libnginx-mod-http-dav-ext apache2-bin" does that on Debian`

// NginxOptions says how nginx runs.
type NginxOptions struct {
	// Dir is an empty folder for everything that it writes.
	Dir string
	// Username and Password are needed to write, and to read below /private.
	Username, Password string
	// WithoutLocks leaves out WebDAV's locks.
	WithoutLocks bool
}

// Nginx starts nginx as deploy/README.md configures it. Its error is a *Missing if nginx or
// its module for locks is not installed.
func Nginx(ctx context.Context, o NginxOptions) (*Process, error) {
	nginx, err := Find("nginx", Debian)
	if err != nil {
		return nil, err
	}
	addr, err := envoytest.FreeAddress()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"root", "temp", "logs"} {
		if err := os.Mkdir(filepath.Join(o.Dir, name), 0o755); err != nil {
			return nil, err
		}
	}
	var load, zone, methods, user string
	if !o.WithoutLocks {
		const module = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"
		if _, err := os.Stat(module); err != nil {
			return nil, &Missing{Program: module, HowTo: Debian}
		}
		load = "load_module " + module + ";"
		zone = "dav_ext_lock_zone zone=slipway:1m timeout=2;"
		methods = "dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK; dav_ext_lock zone=slipway;"
	}
	if os.Getuid() == 0 {
		user = "user root;"
	}
	conf := filepath.Join(o.Dir, "nginx.conf")
	for path, content := range map[string]string{
		filepath.Join(o.Dir, "htpasswd"): fmt.Sprintf("%s:{PLAIN}%s\n", o.Username, o.Password),
		conf: fmt.Sprintf(`%s
%s
daemon off;
pid nginx.pid;
error_log logs/error.log warn;
events {}
http {
	types { application/wasm wasm; application/json json; text/plain sha256; }
	default_type text/plain;
	access_log off;
	client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
	map $uri $cache { default "no-cache"; ~\.(wasm|sha256)$ "public, max-age=31536000, immutable"; }
	%s
	server {
		listen %s;
		root root;
		client_max_body_size 256m;
		add_header Cache-Control $cache;
		location / {
			dav_methods PUT DELETE MKCOL MOVE;
			%s
			create_full_put_path on;
			dav_access user:rw all:r;
			limit_except GET HEAD { auth_basic filters; auth_basic_user_file htpasswd; }
		}
		location /private/ { auth_basic filters; auth_basic_user_file htpasswd; dav_methods PUT DELETE MKCOL MOVE; %s create_full_put_path on; }
	}
}
`, load, user, zone, addr, methods, methods),
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return Start(ctx, addr, exec.CommandContext(context.WithoutCancel(ctx), nginx, "-p", o.Dir, "-c", conf, "-e", "stderr"))
}
