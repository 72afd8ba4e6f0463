#!/usr/bin/env bash
# The C library, used as its users use it: programs in C, C++, Go, Python and Rust; the shared cases; and builds for chips.
# The same programs under valgrind and AddressSanitizer: tools/sanitize.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/abi-setup.sh
tests=ffi/tests
strict=(-Wall -Wextra -Wpedantic -Werror -Wconversion -Wshadow)
c=("${strict[@]}" -Wstrict-prototypes -Wmissing-prototypes -Wcast-align)

passes() { echo "  $*"; }

echo "structs that have grown"
cargo test --quiet -p imagxp-ffi
build_libraries

echo "the header, in every C and C++"
for compiler in gcc clang; do
    need $compiler $compiler || continue
    for standard in c89 c99 c11; do
        $compiler -std=$standard -ffreestanding "${c[@]}" -Iinclude -c -o "$out/header.o" $tests/header.c
    done
    passes "$compiler"
done
for compiler in g++ clang++; do
    need $compiler "${compiler/clang++/clang}" || continue
    for standard in c++11 c++17; do
        $compiler -std=$standard -ffreestanding "${strict[@]}" -Iinclude -c -o "$out/header.o" $tests/header.cc
    done
    passes "$compiler"
done

echo "the README's example"
sed -n '/^```c$/,/^```$/{//!p}' README.md >"$out/readme.inc"
[ -s "$out/readme.inc" ] || { echo "README.md has no example in C" >&2; exit 1; }
cc -std=c11 "${c[@]}" -Iinclude -I"$out" -c -o "$out/readme.o" $tests/readme.c
passes "readme"

echo "programs"
guards=(guard_agent guard_publisher guard_broker guard_records guard_damage)
for name in agent publisher story evidence provenance feedback broker "${guards[@]}" stack hosts/nginx; do
    cc -std=c11 -g -O1 "${c[@]}" -Iinclude -o "$out/program" $tests/$name.c "$out/libimagxp.a" -lpthread
    "$out/program"
    passes "$name"
done
echo "beside another Rust library, and loaded at once"
rustc --edition 2024 -O --crate-type staticlib --crate-name neighbour -o "$out/libneighbour.a" $tests/hosts/neighbour.rs
for order in "imagxp neighbour" "neighbour imagxp"; do
    archives=()
    for name in $order; do archives+=("$out/lib$name.a"); done
    cc -std=c11 -Wl,--fatal-warnings -Iinclude -o "$out/program" $tests/hosts/beside.c "${archives[@]}" -lpthread -ldl -lm
    "$out/program"
done
cc -std=c11 "${c[@]}" -o "$out/program" $tests/hosts/load.c -ldl
"$out/program" "$(realpath "$out/libimagxp.so.1")"
passes "beside, load"

if need pkg-config pkg-config; then
    echo "installed, and found by pkg-config"
    prefix=$(realpath "$out")/prefix
    tools/install.sh "$prefix" lib >/dev/null
    read -ra flags < <(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs imagxp)
    cc -std=c11 -o "$out/program" $tests/agent.c "${flags[@]}"
    LD_LIBRARY_PATH=$prefix/lib "$out/program"
    passes "libimagxp.so"
    cc -std=c11 -static -o "$out/program" $tests/agent.c "${flags[@]}"
    "$out/program"
    passes "libimagxp.a"
fi

if need python3 python3; then
    echo "Python, by ctypes"
    library=$(realpath "$out/libimagxp.so.1")
    IMAGXP_LIB=$library python3 $tests/hosts/fork.py
    passes "hosts/fork"
    printf '  vectors: '
    IMAGXP_LIB=$library python3 $tests/vectors.py
fi
if need go golang-go; then
    echo "Go, by cgo"
    (
        cflags=-I$(realpath include)
        ldflags=$(realpath "$out/libimagxp.a")
        cd $tests/hosts/cgo
        CGO_ENABLED=1 CGO_CFLAGS=$cflags CGO_LDFLAGS=$ldflags CGO_LDFLAGS_ALLOW='.*' go run .
    )
    passes "hosts/cgo"
fi

echo "chips"
CARGO_TARGET_DIR=$target/superloop cargo test --quiet --manifest-path $tests/hosts/superloop/Cargo.toml >/dev/null
passes "hosts/superloop"
for chip in thumbv7em-none-eabihf thumbv6m-none-eabi riscv32imac-unknown-none-elf aarch64-unknown-none; do
    rustup target add $chip >/dev/null 2>&1 || { lacking "Rust's target $chip" || continue; }
    cargo rustc --quiet --profile library --package imagxp-ffi --crate-type staticlib --no-default-features --features ec --target $chip
    passes "$chip"
done
# Its loop on the smallest of them: no atomics, no division.
chip=thumbv6m-none-eabi
if rustup target list --installed | grep -qx $chip; then
    CARGO_TARGET_DIR=$target/superloop cargo build --quiet --release --manifest-path $tests/hosts/superloop/Cargo.toml --target $chip
    passes "hosts/superloop, $chip"
fi
