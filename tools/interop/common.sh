# Shared by the scripts beside it: where things are, and what to do when a peer cannot be had.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

# A peer that is missing is a failure in CI, elsewhere a loud skip.
missing() { # what
    if [ "${CI:-}" = true ]; then
        echo "interop: $1" >&2
        echo "0 passed, 1 failed"
        exit 1
    fi
    echo "interop: SKIPPED: $1" >&2
    echo "0 passed, 0 failed"
    exit 0
}

# The command line under test, as $IMAGXP.
build() {
    if [ -z "${IMAGXP:-}" ]; then
        (cd "$root" && cargo build --quiet --package imagxp-cli) >&2
        IMAGXP=$target/debug/imagxp
    fi
    export IMAGXP
}
