#!/usr/bin/env bash
# The C library's programs under valgrind (invalid and uninitialised reads, leaks) and compiled with AddressSanitizer and
# UndefinedBehaviorSanitizer; and a search for what secrets leave behind.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/abi-setup.sh
need cc gcc || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests=ffi/tests
c=(-std=c11 -g -O1 -Wall -Wextra -Werror -Iinclude)

passes() { echo "  $* ($((SECONDS - begun)) s)"; }

echo "the library"
build_libraries

echo "what secrets leave behind"
begun=$SECONDS
cc "${c[@]}" -o "$work/program" $tests/wipe.c "$out/libimagxp.a"
"$work/program"
passes wipe

if need valgrind valgrind; then
    echo "valgrind"
    for name in agent publisher story evidence provenance feedback broker guard guard_records guard_broker; do
        begun=$SECONDS
        cc "${c[@]}" -o "$work/program" $tests/$name.c "$out/libimagxp.a"
        IMAGXP_ROUNDS=${IMAGXP_ROUNDS:-300} valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=all \
            --errors-for-leak-kinds=all "$work/program"
        passes "$name"
    done
fi

for compiler in gcc clang; do
    need $compiler $compiler || continue
    echo "$compiler, AddressSanitizer and UndefinedBehaviorSanitizer"
    for name in agent publisher story evidence provenance feedback broker guard guard_records guard_broker hosts/nginx; do
        begun=$SECONDS
        $compiler "${c[@]}" -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
            -o "$work/program" $tests/$name.c "$out/libimagxp.a" -lpthread 2>"$work/log" || {
            if [ $compiler = clang ] && grep -q 'cannot find.*clang_rt\|libclang_rt.*No such' "$work/log"; then
                lacking "the run-time of clang's sanitizers (libclang-rt-dev)" || break
            fi
            cat "$work/log" >&2
            exit 1
        }
        IMAGXP_ROUNDS=${IMAGXP_ROUNDS:-5000} ASAN_OPTIONS=detect_stack_use_after_return=1 "$work/program"
        passes "$name"
    done
done
