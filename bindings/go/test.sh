#!/usr/bin/env bash
# Every test of the Go package: formatting, vet, staticcheck, the shared cases, the race detector, cgo's own checks, fuzzing for
# seconds, Redis, the module's zip as a user installs it, a real Caddy.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/setup.sh build
. tools/abi-setup.sh
. bindings/go/setup.sh
top=$PWD
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

set_up_go || exit 0
need redis-server redis-server || true
bindings/go/build-lib.sh
export GOFLAGS="${GOFLAGS:-} -p=2"

in_module() { # folder, command …
    (cd "$top/bindings/go/$1" && shift && "$@")
}

echo "Go: formatting, vet, staticcheck"
test -z "$(gofmt -l bindings/go benches/go)" || { gofmt -d bindings/go benches/go >&2; exit 1; }
for module in . redisstore dist; do
    in_module "$module" go vet ./...
    in_module "$module" go run "$staticcheck" ./...
done

echo "Go: race detector"
in_module . go test -race ./...

echo "Go: cgo's own checks"
GOEXPERIMENT=cgocheck2 in_module . go test -count=1 .

echo "Go: fuzz targets, a few seconds each"
for target in $(in_module . go test -list '^Fuzz' . | grep '^Fuzz'); do
    in_module . go test -run '^$' -fuzz "^$target\$" -fuzztime 3s . | tail -1
done

echo "Go: Redis"
in_module redisstore go test -race ./...

echo "Go: as a user installs it"
bindings/go/install_test.sh

echo "Go: Caddy"
in_module caddy go vet ./...
in_module caddy go test ./...
