#!/usr/bin/env bash
# Publisher.Check beside golang-jwt; the rows go to target/bench/rows/go.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
. bindings/go/setup.sh
set_up_go
bindings/go/build-lib.sh
mkdir -p target/bench/rows
(cd benches/go && GOFLAGS="${GOFLAGS:-} -p=2" go build -o ../../target/bench/go-bench .)
target/bench/go-bench
