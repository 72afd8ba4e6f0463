#!/usr/bin/env bash
# Publisher.check beside PyJWT; the rows go to target/bench/rows/python.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=${CARGO_TARGET_DIR:-target}/bench-python
[ -x "$place/bin/python" ] || python3 -m venv "$place"
pip=("$place/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" --upgrade PyJWT cryptography
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}") "${pip[@]}" --force-reinstall --no-deps ./bindings/python
mkdir -p target/bench/rows
exec "$place/bin/python" -B benches/python/bench.py target/bench/rows/python.json
