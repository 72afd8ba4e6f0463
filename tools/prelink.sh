#!/bin/sh
# Makes the libraries that are shipped from the one that cargo builds: in both, nothing is global but the functions of
# ffi/symbols.txt, so that they live beside any other Rust library in one program.
#
#   tools/prelink.sh CARGO_TARGET_DIR/library/libimagxp.a OUT
set -eu
in=$1
out=$2
symbols=$(dirname "$0")/../ffi/symbols.txt
mkdir -p "$out"

# One object, without what no entry point reaches.
roots=$(sed 's/^/-u /' "$symbols" | tr '\n' ' ')
# shellcheck disable=SC2086 # one word each
ld -r --gc-sections $roots -o "$out/imagxp.o" "$in"
objcopy --keep-global-symbols="$symbols" --strip-unneeded --remove-section=.comment "$out/imagxp.o"
rm -f "$out/libimagxp.a"
ar rcsD "$out/libimagxp.a" "$out/imagxp.o"

{
    echo 'IMAGXP_1 { global:'
    sed 's/$/;/' "$symbols"
    echo 'local: *; };'
} >"$out/exports.map"
"${CC:-cc}" -shared -nostdlib -Wl,-soname,libimagxp.so.1 -Wl,--version-script="$out/exports.map" \
    -Wl,-z,relro,-z,now,-z,noexecstack,-z,text,-z,defs -Wl,--gc-sections -Wl,--build-id=sha1 \
    -o "$out/libimagxp.so.1" "$out/imagxp.o" -lc
strip --strip-unneeded "$out/libimagxp.so.1"
rm "$out/imagxp.o" "$out/exports.map"
