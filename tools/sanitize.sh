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
programs=(agent publisher story evidence provenance feedback broker)
programs+=(guard_agent guard_publisher guard_broker guard_records guard_damage)
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
    for name in "${programs[@]}"; do
        begun=$SECONDS
        cc "${c[@]}" -o "$work/program" $tests/$name.c "$out/libimagxp.a"
        IMAGXP_ROUNDS=${IMAGXP_ROUNDS:-300} valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=all \
            --errors-for-leak-kinds=all "$work/program"
        passes "$name"
    done
fi

# Debian packs the run-time of clang's sanitizers apart.
compilers=(gcc)
clang_sanitizes() {
    echo 'int main(void) { return 0; }' | clang -x c -fsanitize=address,undefined -o "$work/program" - 2>/dev/null
}
if need clang clang; then
    clang_sanitizes || tools/apt.sh libclang-rt-dev
    if clang_sanitizes; then compilers+=(clang); else lacking "the run-time of clang's sanitizers (libclang-rt-dev)" || true; fi
fi
for compiler in "${compilers[@]}"; do
    echo "$compiler, AddressSanitizer and UndefinedBehaviorSanitizer"
    for name in "${programs[@]}" hosts/nginx; do
        begun=$SECONDS
        $compiler "${c[@]}" -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
            -o "$work/program" $tests/$name.c "$out/libimagxp.a" -lpthread
        IMAGXP_ROUNDS=${IMAGXP_ROUNDS:-5000} ASAN_OPTIONS=detect_stack_use_after_return=1 "$work/program"
        passes "$name"
    done
done
