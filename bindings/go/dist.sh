#!/usr/bin/env bash
# Packs the Go modules, with the library in them, as a module proxy below target/dist/goproxy. Whatever serves these files
# over https is a GOPROXY; `GOPROXY=file://…` needs nothing at all.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
. bindings/go/setup.sh
set_up_go
version=v$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
proxy=$(realpath "$target")/dist/goproxy
stage=$(realpath "$target")/dist/go
rm -rf "$proxy" "$stage"
mkdir -p "$proxy" "$stage"

bindings/go/build-lib.sh
bindings/go/build-lib.sh linux_arm64 || echo "dist: WITHOUT linux/arm64" >&2

# What git knows, and the library.
git ls-files -z bindings/go | xargs -0 cp --parents -t "$stage"
cp -r bindings/go/internal/abi/lib "$stage/bindings/go/internal/abi/"
for module in . redisstore caddy; do
    folder=$stage/bindings/go/$module
    [ -e "$folder/go.mod" ] || continue
    cp LICENSE-APACHE LICENSE-MIT "$folder/"
    (cd bindings/go/dist && go run . "$folder" "$version" "$proxy")
done
