#!/usr/bin/env bash
# The curve beside OpenSSL, AWS-LC, ring and crate p256, and a request beside the bare verification in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}/bench-build
cargo build --release --quiet --locked --manifest-path benches/core/Cargo.toml --target-dir "$target"
"$target/release/imagxp-bench" target/bench/rows/core.json
