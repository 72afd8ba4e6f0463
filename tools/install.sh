#!/usr/bin/env bash
# Installs below PREFIX: include/imagxp.h, lib/libimagxp.a, lib/libimagxp.so.1, lib/pkgconfig/imagxp.pc, and bin/imagxp
# unless the second argument is `lib`. DESTDIR is put before every path.
#
#   tools/install.sh PREFIX [lib]
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/abi-setup.sh
prefix=$1
to=${DESTDIR:-}$prefix

build_libraries
install -d "$to/include" "$to/lib/pkgconfig"
install -m 644 include/imagxp.h "$to/include/"
install -m 644 "$out/libimagxp.a" "$to/lib/"
install -m 755 "$out/libimagxp.so.1" "$to/lib/"
ln -sfn libimagxp.so.1 "$to/lib/libimagxp.so"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" ffi/imagxp.pc.in >"$to/lib/pkgconfig/imagxp.pc"
if [ "${2:-}" != lib ]; then
    cargo build --quiet --release --package imagxp-cli
    install -d "$to/bin"
    install -m 755 "$target/release/imagxp" "$to/bin/"
fi
echo "installed below $to"
