#!/usr/bin/env bash
# Every test of the Go package.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
need go golang-go || exit 0
bindings/go/build-lib.sh
cd bindings/go
export GOFLAGS="${GOFLAGS:-} -p=2"

echo "go: formatting, vet"
test -z "$(gofmt -l .)" || { gofmt -d . >&2; exit 1; }
go vet ./...
go test -race ./...
