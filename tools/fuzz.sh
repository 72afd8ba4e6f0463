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

# One target. Its lines are written at once, so that two targets' lines never mix.
run() {
    local target=$1 log lines
    mkdir -p "corpus/$target" artifacts
    log=$(mktemp)
    if "$bins/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target-" "corpus/$target" >"$log" 2>&1; then
        lines=$(printf '%-12s ok: %s runs' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")")
    else
        lines=$(printf '%-12s FAILED, its input is in fuzz/artifacts/\n' "$target" && tail -n 40 "$log")
        echo "$target" >>"$failures"
    fi
    rm -f "$log"
    printf '%s\n' "$lines"
}
export -f run
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT
export bins seconds failures
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -euo pipefail -c 'run {}'
failed=$(wc -l <"$failures")
[ "$failed" = 0 ] || printf 'FAILED: %s\n' "$(paste -sd ' ' "$failures")"
printf '%d passed, %d failed\n' $((${#targets[@]} - failed)) "$failed"
[ "$failed" = 0 ]
