#!/bin/sh
# Proves at link time from which entry points no panic can be reached. The library is built with a panic handler that
# calls a function which exists nowhere; each entry point of ffi/symbols.txt is then linked alone, with all
# that it does not reach thrown away. Those that link make up a list, which may only grow: ffi/panic-free.txt of the
# library as it ships, ffi/panic-free-no-float.txt without feature `float` (the standard library's reader of decimal
# fractions has bounds checks that the compiler cannot drop).
#
#   tools/panic-free.sh           fails if an entry point of a list does not link, or another one does
#   tools/panic-free.sh --write   adds to the lists those that do
#   tools/panic-free.sh --why     shows what the linker says of the others
set -eu
cd "$(dirname "$0")/.."
root=${CARGO_TARGET_DIR:-target}/panic-free
mode=${1-}

links() { # directory, entry point
    ld --gc-sections -e "$2" -u "$2" -o /dev/null "$1/library/libimagxp.a" "$root/mem.o" >"$root/log" 2>&1
}

prove() { # list, features
    dir=$root/$2
    CARGO_TARGET_DIR=$dir cargo rustc --quiet --profile library --package imagxp-ffi --crate-type staticlib \
        --no-default-features --features "panic-proof,$2"
    : >"$root/free"
    for symbol in $(cat ffi/symbols.txt); do
        if links "$dir" "$symbol"; then
            echo "$symbol" >>"$root/free"
        elif ! grep -q imagxp_a_panic_can_be_reached "$root/log"; then
            cat "$root/log" >&2
            exit 1
        elif [ "$mode" = --why ]; then
            sed "s/^/$symbol: /" "$root/log"
        fi
    done
    [ "$mode" != --write ] || cp "$root/free" "$1"
    diff "$1" "$root/free" >"$root/diff" || {
        sed -n "s/^< \(.*\)/\1 can reach a panic now/p; s/^> \(.*\)/\1 cannot any more: tools\/panic-free.sh --write/p" "$root/diff" >&2
        exit 1
    }
    echo "$2: $(grep -c . "$1") of $(grep -c . ffi/symbols.txt) entry points cannot reach a panic"
}

mkdir -p "$root"
# The functions that compilers call on their own.
for name in memcpy memmove memset memcmp bcmp; do echo "void $name(void) {}"; done |
    "${CC:-cc}" -w -ffreestanding -fno-builtin -c -x c -o "$root/mem.o" -
prove ffi/panic-free.txt ec,table-g-large,float
prove ffi/panic-free-no-float.txt ec,table-g-large
