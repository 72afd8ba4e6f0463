#!/usr/bin/env bash
# Licences, sources and bans of every dependency, by cargo-deny. The advisory database lives on a host of its own:
# IMAGXP_ADVISORIES=1 asks for it, too.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-deny >/dev/null; then
    echo "deny: building cargo-deny (once, quickly)"
    cargo install --quiet --debug --locked cargo-deny
fi
checks=(bans licenses sources)
[ -z "${IMAGXP_ADVISORIES:-}" ] || checks+=(advisories)
cargo deny --log-level warn check "${checks[@]}"
