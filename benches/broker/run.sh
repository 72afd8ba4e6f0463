#!/usr/bin/env bash
# Server CPU for each visa: Express + jose without a ledger, and this broker with all that it does (signature, identity,
# ledger in SQLite with synchronous=FULL), 16 connections each, in turns. Beside the row: PostgreSQL, rates, p99.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath "${CARGO_TARGET_DIR:-target}")
case "${1:-}" in
inside) ;;
*)
    cargo build --release --quiet --locked -p imagxp-broker --bin imagxp-broker
    cargo build --release --quiet --locked -p imagxp-broker --example load
    exec broker/tests/with-postgres.sh "$0" inside
    ;;
esac
place=$target/bench/broker
mkdir -p "$place"
cp benches/broker/{package.json,package-lock.json,server.mjs} "$place"
(cd "$place" && npm ci --silent --no-audit --no-fund --ignore-scripts)
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 19 ] || export NODE_OPTIONS=--experimental-global-webcrypto
exec python3 benches/broker/sales.py "$target/release" "$place" target/bench/rows/broker.json
