# Sourced by the scripts of the C library. `need TOOL PACKAGE` installs what is missing (Debian, root). Where it cannot,
# it says so loudly and fails; with CI=true that ends the run, else the caller skips what needs the tool.
need() {
    command -v "$1" >/dev/null && return 0
    install_package "$2"
    command -v "$1" >/dev/null || lacking "$1"
}

# As root on Debian; elsewhere nothing happens.
install_package() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        local apt=(apt-get install -y -qq --no-install-recommends "$1")
        export DEBIAN_FRONTEND=noninteractive
        "${apt[@]}" >/dev/null 2>&1 || { apt-get update -qq && "${apt[@]}" >/dev/null; } || true
    fi
}

# Something that a test needs is not there.
lacking() {
    echo "SKIPPED: $1 is missing" >&2
    [ "${CI:-}" != true ] || exit 1
    return 1
}

# The directory of cargo's output, and in it that of these scripts.
target=${CARGO_TARGET_DIR:-target}
out=$target/abi
mkdir -p "$out"

# Builds the two libraries that are shipped into $out.
build_libraries() {
    cargo rustc --quiet --release --package imagxp-ffi --crate-type staticlib
    tools/prelink.sh "$target/release/libimagxp.a" "$out"
}
