# Sourced by the scripts of the C library. `need TOOL PACKAGE` installs what is missing (Debian, root). Where it cannot,
# it says so loudly and fails; with CI=true that ends the run, else the caller skips what needs the tool.
need() {
    command -v "$1" >/dev/null && return 0
    tools/apt.sh "$2"
    command -v "$1" >/dev/null || lacking "$1"
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

# Builds the two libraries that are shipped into $out, once for all scripts that run at the same time.
build_libraries() {
    (
        flock 9
        cargo rustc --quiet --profile library --package imagxp-ffi --crate-type staticlib
        for input in "$target/library/libimagxp.a" ffi/symbols.txt tools/prelink.sh; do
            [ "$out/libimagxp.so.1" -nt "$input" ] || { tools/prelink.sh "$target/library/libimagxp.a" "$out" && break; }
        done
    ) 9>"$out/lock"
}
