#!/usr/bin/env bash
# Runs both case runners, and prints as its last line the sum of their last lines: `N passed, N failed`.
# Arguments go to cargo: `tools/vectors.sh --no-default-features --features float`.
set -uo pipefail
cd "$(dirname "$0")/.."
cargo test --quiet --no-fail-fast --package imagxp --test vectors --test third_party "$@" | awk '
    { print; fflush() }
    /^[0-9]+ passed, [0-9]+ failed$/ { runners += 1; passed += $1; failed += $3 }
    END {
        # A runner that did not get as far as its last line has failed.
        failed += 2 - runners
        print passed + 0 " passed, " failed " failed"
        exit failed > 0
    }'
