#!/usr/bin/env bash
# Real jose (npm) with createRemoteJWKSet against the running broker, through a key rotation. The last line is `N passed, N failed`.
set -euo pipefail
. "$(dirname "$0")/common.sh"

command -v node >/dev/null && command -v npm >/dev/null || missing "no node and npm (18 or newer)"
build
place=$target/interop/broker
mkdir -p "$place"
cp "$root"/tools/interop/{package.json,package-lock.json,peer.mjs,broker.mjs} "$place"
cd "$place"
npm ci --silent --no-audit --no-fund --ignore-scripts >&2 || missing "npm ci could not install jose"
# Node 18 (Debian 12) has WebCrypto, but not under its global name.
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 19 ] || export NODE_OPTIONS=--experimental-global-webcrypto
exec node broker.mjs
