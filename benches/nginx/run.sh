#!/usr/bin/env bash
# nginx with the module beside HAProxy's jwt_verify, njs, and nginx alone; the rows go to target/bench/rows/nginx.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
. bindings/nginx/setup.sh
work=$(mkdir -p "$target/nginx" && cd "$target/nginx" && pwd)
nginx_setup
nginx_packages haproxy libnginx-mod-http-js || exit 1
export IMAGXP_PREFIX=$work/prefix IMAGXP_LIB=$work/prefix/lib/libimagxp.so.1 IMAGXP=$work/prefix/bin/imagxp NGINX_TOOLS=$work/tools
tools/install.sh "$IMAGXP_PREFIX" >/dev/null
nginx_tools "$work"
bindings/nginx/build.sh "$work/debian" >/dev/null
mkdir -p target/bench/rows
PYTHONDONTWRITEBYTECODE=1 python3 benches/nginx/bench.py "$work/debian/ngx_http_imagxp_module.so" target/bench/rows/nginx.json
