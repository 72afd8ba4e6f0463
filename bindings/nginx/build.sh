#!/usr/bin/env bash
# Builds ngx_http_imagxp_module.so.
#
#   bindings/nginx/build.sh OUT             against Debian's nginx (package nginx-dev)
#   bindings/nginx/build.sh OUT SOURCE      against the nginx source tree SOURCE; flags of ./configure in NGX_CONF_FLAGS
#
# NGX_EXTRA: more arguments of ./configure.
# The library is taken from IMAGXP_PREFIX, or built. Everything else is made below OUT.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
source=${2:-/usr/share/nginx/src}

[ -e "$source/configure" ] || {
    echo "build.sh: $source is not an nginx source tree (Debian: apt-get install nginx-dev)" >&2
    exit 1
}
if [ -z "${IMAGXP_PREFIX:-}" ]; then
    IMAGXP_PREFIX=$out/prefix
    "$here/../../tools/install.sh" "$IMAGXP_PREFIX" lib >/dev/null
fi
export IMAGXP_PREFIX

if [ -e "$source/conf_flags" ]; then
    # The configure arguments of Debian's nginx, as an array.
    . "$source/conf_flags"
    flags=("${NGX_CONF_FLAGS[@]}")
else
    read -ra flags <<<"${NGX_CONF_FLAGS:---with-compat --with-http_ssl_module --with-http_v2_module}"
fi

rm -rf "$out/src"
cp -r "$source" "$out/src"
cd "$out/src"
{
    ./configure "${flags[@]}" --with-cc-opt="-g -O2 -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2 ${CFLAGS:-}" \
        --with-ld-opt="-Wl,-z,relro -Wl,-z,now -Wl,--exclude-libs,ALL" --add-dynamic-module="$here" ${NGX_EXTRA:-}
    make -f objs/Makefile -j"$(nproc)" modules
} >"$out/build.log" 2>&1 || {
    tail -30 "$out/build.log" >&2
    exit 1
}
install -m 644 objs/*.so "$out/"
echo "built $out/ngx_http_imagxp_module.so"
