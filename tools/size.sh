#!/usr/bin/env bash
# Code size of the library, linked for one program with all that it does not reach thrown away: with our curve and its large
# table (the default), with the small one, and with crate p256.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/abi-setup.sh
need readelf binutils || exit 0
host=$(rustc -vV | sed -n 's/^host: //p')
linker=$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld
[ -x "$linker" ] || lacking "rust-lld" || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verify=(policy_parse key_cache_new key_cache_supply replay_cache_new request_verify request_admit)
sign=(key_from_text request_sign)

# Bytes of code, and of constants: what goes to flash.
measure() { # archive, functions
    local roots=()
    for name in "${@:2}"; do roots+=(-u "imagxp_$name"); done
    "$linker" -flavor gnu --gc-sections --unresolved-symbols=ignore-all -e "imagxp_$2" "${roots[@]}" -o "$work/linked" "$1"
    readelf -SW "$work/linked" | sed 's/^ *\[ *[0-9]*\] *//' | awk '
        function number(hex,    i, n) { for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1; return n }
        $2 == "PROGBITS" && $7 ~ /A/ && $1 !~ /eh_frame|ARM\.ex|\.interp|\.comment/ {
            if ($7 ~ /X/) code += number($5); else constants += number($5)
        }
        END { print code + 0, constants + 0 }'
}

row() { printf '%-26s %-22s %9s %10s %9s %7s\n' "$@"; }

row target build code constants total ratio
for triple in "$host" thumbv7em-none-eabihf; do
    if [ "$triple" != "$host" ]; then
        rustup target add "$triple" >/dev/null 2>&1 || lacking "Rust's target $triple" || continue
    fi
    for program in "verify and sign" verify sign; do
        case $program in
        verify) functions=("${verify[@]}") ;;
        sign) functions=("${sign[@]}") ;;
        *) functions=("${verify[@]}" "${sign[@]}") ;;
        esac
        base=
        # p256 first: it is what the others are measured by.
        for build in p256:float "default:ec,table-g-large,float" "small table:ec,float"; do
            features=${build#*:}
            directory=$target/size/$features
            CARGO_TARGET_DIR=$directory cargo rustc --quiet --profile library --package imagxp-ffi --crate-type staticlib \
                --no-default-features --features "$features" --target "$triple"
            read -r code constants < <(measure "$directory/$triple/library/libimagxp.a" "${functions[@]}")
            total=$((code + constants))
            [ -n "$base" ] || base=$total
            row "$triple" "$program: ${build%:*}" "$code" "$constants" "$total" "$(awk "BEGIN { printf \"%.2f\", $total / $base }")"
        done
    done
done
