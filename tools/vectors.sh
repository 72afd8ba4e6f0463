#!/usr/bin/env bash
# Runs both case runners, and prints as its last line the sum of their last lines: `N passed, N failed`.
# Arguments go to cargo: `tools/vectors.sh --no-default-features --features float`.
set -uo pipefail
cd "$(dirname "$0")/.."
cargo test --quiet --no-fail-fast --package imagxp --test vectors --test third_party "$@" | tee /dev/fd/3 3>&1 |
    awk '
        /^[0-9]+ passed, [0-9]+ failed$/ { runners += 1; passed += $1; failed += $3 }
        END {
            # A runner that did not get as far as its last line has failed.
            failed += 2 - runners
            sums = passed " passed, " failed " failed"
            print sums
            exit failed > 0
        }'
