#!/usr/bin/env bash
# Visas and key sets between `imagxp` and PyJWT, both ways. The last line is `N passed, N failed`.
set -euo pipefail
. "$(dirname "$0")/common.sh"

command -v python3 >/dev/null || missing "no python3"
build
place=$target/interop/pyjwt
[ -x "$place/bin/python" ] || python3 -m venv "$place" >&2 || missing "python3 -m venv failed (python3-venv?)"
"$place/bin/pip" install --quiet --disable-pip-version-check --requirement "$root/tools/interop/requirements.txt" >&2 ||
    missing "pip could not install PyJWT"
exec "$place/bin/python" -B "$root/tools/interop/pyjwt_peer.py"
