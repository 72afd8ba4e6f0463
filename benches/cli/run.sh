#!/usr/bin/env bash
# `imagxp sign` beside `openssl dgst -sign`: whole processes.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet --locked --package imagxp-cli
python3 benches/cli/processes.py "${CARGO_TARGET_DIR:-target}/release/imagxp" target/bench/rows/cli.json
