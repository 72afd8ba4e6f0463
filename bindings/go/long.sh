#!/usr/bin/env bash
# Each fuzz target for SECONDS_EACH (600) seconds, and IMAGXP_RACES (1,000,000) requests, each of them sent by 64 goroutines: 64 million
# checks.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
. bindings/go/setup.sh
set_up_go
bindings/go/build-lib.sh
cd bindings/go
for target in $(go test -list '^Fuzz' . | grep '^Fuzz'); do
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${SECONDS_EACH:-600}s" .
done
IMAGXP_RACES=${IMAGXP_RACES:-1000000} go test -run '^TestWinsEqualNonces$' -timeout 2h -v .
