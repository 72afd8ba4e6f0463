#!/usr/bin/env bash
# Builds and runs the benchmarks; the rows go to target/bench/ratios.json.
# Usage: tools/bench-ratios.sh [core]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-core}" in
core) ;;
*) echo "bench-ratios: unknown part $1 (ONLY=core)" >&2 && exit 2 ;;
esac
cargo build --release --quiet --manifest-path benches/Cargo.toml --target-dir target/bench-build
target/bench-build/release/imagxp-bench target/bench/ratios.json
