#!/usr/bin/env bash
# The module against Debian's nginx, then once more in an nginx of its own with AddressSanitizer. Everything below
# target/nginx; nothing is left running.
#
#   bindings/nginx/test.sh [pytest arguments]     ONLY=debian or ONLY=asan: one of the two; SOAK=1: the long run
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
work=$(mkdir -p "$target/nginx" && cd "$target/nginx" && pwd)
here=bindings/nginx
. $here/setup.sh

nginx_setup
export IMAGXP_PREFIX=$work/prefix IMAGXP_LIB=$work/prefix/lib/libimagxp.so.1 IMAGXP=$work/prefix/bin/imagxp
parts=()
[ "${SOAK:-}" != 1 ] || parts=(lib)
tools/install.sh "$IMAGXP_PREFIX" "${parts[@]}" >/dev/null
nginx_tools "$work"
export PYTHONDONTWRITEBYTECODE=1 NGINX_TOOLS=$work/tools

run() { # what, pytest arguments
    echo "== $1"
    shift
    "$work/venv/bin/pytest" -q -p no:cacheprovider "$here/tests" "$@"
}

if [ "${SOAK:-}" = 1 ]; then
    $here/build.sh "$work/debian"
    NGINX_LOAD="load_module $work/debian/ngx_http_imagxp_module.so;" exec "$work/venv/bin/python" $here/tests/soak.py
fi
if [ "${ONLY:-debian}" = debian ]; then
    CFLAGS="-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers" \
        NGX_EXTRA="--add-dynamic-module=$PWD/$here/tests/die" $here/build.sh "$work/debian"
    NGINX_LOAD="load_module $work/debian/ngx_http_imagxp_module.so; load_module $work/debian/ngx_http_die_module.so;" run "Debian's nginx" "$@"
fi
if [ "${ONLY:-asan}" = asan ] && nginx_asan "$work"; then
    # The library is not instrumented; its own tests are (make sanitize).
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 NGINX_BINARY=$work/asan/nginx NGINX_ASAN=1 \
        run "nginx and module with AddressSanitizer" "$@"
fi
