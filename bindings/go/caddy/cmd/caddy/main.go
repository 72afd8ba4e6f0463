// Command caddy is a Caddy with http.handlers.imagxp, and with few other modules: what the tests run. For a server of your own
// use xcaddy (README.md).
package main

import (
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	_ "github.com/imagxp/imagxp/bindings/go/caddy"
)

func main() { caddycmd.Main() }
