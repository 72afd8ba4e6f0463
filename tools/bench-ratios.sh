#!/usr/bin/env bash
# Runs the benchmarks: benches/PART/run.sh of every part, or of those named; the rows go to target/bench/ratios.json.
# Usage: tools/bench-ratios.sh [PART…]
set -euo pipefail
cd "$(dirname "$0")/.."

parts=("$@")
if [ $# -eq 0 ]; then
    mapfile -t parts < <(cd benches && for run in */run.sh; do dirname "$run"; done)
fi
for part in "${parts[@]}"; do
    [ -e "benches/$part/run.sh" ] || { echo "bench-ratios: there is no benches/$part/run.sh" >&2; exit 2; }
done
exec python3 benches/ratios.py "${parts[@]}"
