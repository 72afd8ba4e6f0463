#!/usr/bin/env bash
# Does anything that a clock or a cache can see depend on a private key? Asked of the library that is shipped:
#   - valgrind, with every secret declared undefined: no branch and no address may depend on one, but for public verdicts
#   - no division instruction where secrets are worked on: its time depends on its operands
#   - a test of times, key against keys
# In each a planted leak must be found, or the test fails.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/abi-setup.sh
need cc gcc || exit 0
need objdump binutils || exit 0
need valgrind valgrind || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
c=(-std=c11 -g -O1 -Wall -Wextra -Wpedantic -Werror -Iinclude)

echo "the library"
build_libraries
# The same object with its symbols, to tell where a leak is: stripped, it must be the one that is shipped, byte for byte.
mapfile -t roots < <(sed 's/^/-u\n/' ffi/symbols.txt | sed '/^$/d')
ld -r --gc-sections "${roots[@]}" -o "$work/named.o" "$target/library/libimagxp.a"
objcopy --keep-global-symbols=ffi/symbols.txt --strip-unneeded --remove-section=.comment "$work/named.o" "$work/stripped.o"
ar p "$out/libimagxp.a" imagxp.o | cmp - "$work/stripped.o" || {
    echo "the shipped object is not made as this script thinks: see tools/prelink.sh" >&2
    exit 1
}

# && is two branches, as the machine has it: memcheck would else ask about the whole only.
memcheck() {
    echo "secrets undefined, under valgrind${2:+, $2}"
    valgrind -q --vex-guest-chase=no --error-limit=no --num-callers=12 --log-file="$work/log" \
        --suppressions=ffi/tests/constant_time_token.supp "${@:3}" "$1" ${2:+"$2"} || {
        cat "$work/log" >&2
        exit 1
    }
}
cc "${c[@]}" -o "$work/constant_time" ffi/tests/constant_time.c "$work/named.o"
memcheck "$work/constant_time" ""
memcheck "$work/constant_time" checked --suppressions=ffi/tests/constant_time.supp

echo "divisions"
# The parts that secrets pass through; `verify`, `wnaf` and `vartime` get public numbers only.
secret='2ec4sign|2ec5nonce|2ec5point|2ec5field|2ec6scalar|2ec10montgomery|2ec7inverse17constant|6Nonces|SecretScalar|3key|5codec(6base64|3hex|3pem|3der)|base64ct|sha2|agent_keys'
objdump -d --no-show-raw-insn "$work/named.o" | awk '/^[0-9a-f]+ <.*>:$/ { f = $2 } { print f, $0 }' >"$work/code"
reached=$(awk '{ print $1 }' "$work/code" | sort -u | grep -cE "$secret")
[ "$reached" -ge 10 ] || { echo "only $reached functions found: are they called otherwise now?" >&2; exit 1; }
if grep -E "$secret" "$work/code" | grep -E $'\t(i?div|[us]div)[a-z]? '; then
    echo "a division may get a secret" >&2
    exit 1
fi
echo "  none in $reached functions"

echo "times"
cc "${c[@]}" -o "$work/timing" ffi/tests/timing.c "$out/libimagxp.a" -lm
"$work/timing"
