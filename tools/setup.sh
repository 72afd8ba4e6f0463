#!/usr/bin/env bash
# Installs what the Makefile's targets need on Debian. As root it installs; else it says what is missing.
# Usage: tools/setup.sh [build]   `build`: only what compiling takes.
set -euo pipefail

packages=()
need() { # command, package
    command -v "$1" >/dev/null || packages+=("$2")
}
need gcc build-essential
need make build-essential
if [ "${1:-}" != build ]; then
need g++ build-essential
need clang clang
need pkg-config pkg-config
need valgrind valgrind
need cmake cmake
need objcopy binutils
need python3 python3
need node nodejs
need npm npm
need column bsdextrautils
python3 -c "import ensurepip" 2>/dev/null || packages+=(python3-venv)
[ -e /usr/include/openssl/evp.h ] || packages+=(libssl-dev)
fi

if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        "$(dirname "$0")/apt.sh" "${packages[@]}"
    else
        echo "setup: missing: ${packages[*]} (run as root on Debian, or install them)" >&2
        [ "${CI:-}" != true ] || exit 1
    fi
fi
if ! command -v cargo >/dev/null; then
    echo "setup: cargo is missing: install Rust 1.94 or newer from https://rustup.rs" >&2
    exit 1
fi
