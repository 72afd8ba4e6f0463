#!/usr/bin/env bash
# Puts libimagxp.a and imagxp.h where the Go module expects them: internal/abi/lib. They are not in the tree.
#
#   bindings/go/build-lib.sh [linux_arm64]     without an argument: for this machine
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
to=bindings/go/internal/abi/lib

build_here() {
    local arch
    case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) echo "build-lib: $(uname -m) has no place in the Go module: build with the tag dynamic" >&2 && exit 1 ;;
    esac
    build_libraries
    install -m 644 "$out/libimagxp.a" "$to/linux_$arch/"
}

# The archive of another machine: Rust's own target, and the binutils of that machine to take it apart.
build_arm64() {
    local triple=aarch64-unknown-linux-gnu
    command -v rustup >/dev/null && rustup target add "$triple" >/dev/null 2>&1 || { lacking "rustup target $triple"; return 1; }
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu || return 1
    tools/apt.sh libc6-dev-arm64-cross
    [ -e /usr/aarch64-linux-gnu/lib/libc.so ] || { lacking libc6-dev-arm64-cross; return 1; }
    cargo rustc --quiet --profile library --package imagxp-ffi --crate-type staticlib --target "$triple"
    mkdir -p "$target/abi-arm64/bin"
    for tool in ld objcopy ar strip; do ln -sf "$(command -v "aarch64-linux-gnu-$tool")" "$target/abi-arm64/bin/$tool"; done
    PATH="$(realpath "$target/abi-arm64/bin"):$PATH" CC=aarch64-linux-gnu-gcc tools/prelink.sh "$target/$triple/library/libimagxp.a" "$target/abi-arm64"
    install -m 644 "$target/abi-arm64/libimagxp.a" "$to/linux_arm64/"
}

install -m 644 include/imagxp.h "$to/include/"
case ${1:-} in
linux_arm64) build_arm64 ;;
*) build_here ;;
esac
