#!/usr/bin/env bash
# Runs every fuzz target for SECONDS each, two at a time. Works on stable Rust: the coverage that libFuzzer wants is an
# LLVM pass that stable can ask for. A crash leaves its input in fuzz/artifacts/ and fails the run.
# Usage: tools/fuzz.sh SECONDS [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

seconds=${1:?how many seconds each target runs}
shift
if [ $# -eq 0 ]; then
    mapfile -t targets < <(cd fuzz_targets && ls -- *.rs | sed 's/\.rs$//')
else
    targets=("$@")
fi
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code"
cargo build --release --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"
bins=target/$(rustc -vV | sed -n 's/^host: //p')/release

run() {
    local target=$1 log
    mkdir -p "corpus/$target" artifacts
    log=$(mktemp)
    if "$bins/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target-" "corpus/$target" >"$log" 2>&1; then
        printf '%-12s ok: %s runs\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        printf '%-12s FAILED\n' "$target"
        tail -n 40 "$log"
        return 1
    fi
}
export -f run
export bins seconds
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -euo pipefail -c 'run {}'
printf '%d passed, 0 failed\n' "${#targets[@]}"
