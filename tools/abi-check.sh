#!/usr/bin/env bash
# What was promised to those who have linked already: the header is what the sources say, the libraries define the
# functions of ffi/symbols.txt and nothing else, they need nothing but four functions of the C library and have no
# state, and every struct has the layout of ffi/tests/layout.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/abi-setup.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo run --quiet --package imagxp-header -- --check
grep -oE '\bimagxp_[a-z0-9_]+\(' include/imagxp.h | tr -d '(' | sort -u |
    grep -vxE 'imagxp_(str_of|text|init)' >"$work/declared"
# Functions that the preamble only speaks of are declared, too.
diff ffi/symbols.txt "$work/declared"

# Each function is fuzzed: called by a target that compiles these sources with coverage. Not these, each for its reason.
not_fuzzed="imagxp_abi_version" # takes nothing
grep -ohE '::imagxp_[a-z0-9_]+\(' fuzz/fuzz_targets/c_abi*.rs fuzz/c_library.rs | tr -d ':(' | sort -u >"$work/fuzzed"
diff <(printf '%s\n' $not_fuzzed | sort - "$work/fuzzed") ffi/symbols.txt || {
    echo "> is not fuzzed: call it in fuzz/fuzz_targets/c_abi*.rs, or say in tools/abi-check.sh why not" >&2
    exit 1
}

build_libraries
same() { # what, expected, actual
    diff <(echo "$2") <(echo "$3") || { echo "$1 has changed" >&2; exit 1; }
}
symbols=$(cat ffi/symbols.txt)
same "what libimagxp.so.1 exports" "$symbols" "$(nm -D --defined-only "$out/libimagxp.so.1" | awk '$2 == "T" { print $3 }' | sed 's/@.*//' | sort)"
same "what libimagxp.a defines" "$symbols" "$(nm -g --defined-only "$out/libimagxp.a" | awk 'NF == 3 { print $3 }' | sort)"
mem="bcmp memcmp memcpy memmove memset"
undefined=$(nm -g --undefined-only "$out/libimagxp.a" | awk 'NF == 2 { print $2 }' | sort)
for symbol in $undefined; do
    [[ " $mem " == *" $symbol "* ]] || { echo "libimagxp.a needs $symbol" >&2; exit 1; }
done
same "the name of libimagxp.so.1" libimagxp.so.1 "$(objdump -p "$out/libimagxp.so.1" | awk '$1 == "SONAME" { print $2 }')"
# No state: the one writable byte remembers which instructions the processor has (crate cpufeatures).
state=$(nm --defined-only "$target/library/libimagxp.a" 2>/dev/null | awk '$2 ~ /^[bBdD]$/ { print $3 }' | grep -v -e DW.ref -e cpufeatures -e STORAGE || true)
same "the library's state" "" "$state"

tools/abi-layout.sh >"$work/layout.inc"
cc -Iinclude -I"$work" -o "$work/layout" ffi/tests/layout.c
diff ffi/tests/layout.txt <("$work/layout") || { echo "a layout has changed: see ffi/tests/layout.txt" >&2; exit 1; }
echo "$(grep -c . ffi/symbols.txt) functions, $(grep -c '^[a-z_]* [0-9]*$' ffi/tests/layout.txt) structs: as promised"
