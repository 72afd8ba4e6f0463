#!/usr/bin/env bash
# Real JOSE libraries against `imagxp`: jose (npm) and PyJWT. The last line is the sum: `N passed, N failed`.
# With CI=true a missing peer is a failure, elsewhere a loud skip.
set -uo pipefail
cd "$(dirname "$0")/interop"
. ./common.sh
build || exit 1
for peer in jose pyjwt; do
    echo "== $peer"
    ./$peer.sh || echo "$peer exits $?"
done | awk '
    { print; fflush() }
    /^[0-9]+ passed, [0-9]+ failed$/ { peers += 1; passed += $1; failed += $3 }
    END {
        # A peer that did not get as far as its last line has failed.
        failed += 2 - peers
        print passed + 0 " passed, " failed " failed"
        exit failed > 0
    }'
