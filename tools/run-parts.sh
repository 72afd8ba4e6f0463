#!/usr/bin/env bash
# Runs make targets one after another, each with its time, and ends with a summary that counts.
set -uo pipefail

passed=() failed=()
started=$SECONDS
for part in "$@"; do
    printf '\n==== %s\n' "$part"
    begun=$SECONDS
    if make --no-print-directory "$part"; then
        passed+=("$part")
        printf '==== %s: passed in %d s\n' "$part" $((SECONDS - begun))
    else
        failed+=("$part")
        printf '==== %s: FAILED after %d s\n' "$part" $((SECONDS - begun))
        [ "${KEEP_GOING:-}" = 1 ] || break
    fi
done
printf '\n%d s. passed: %s\n' $((SECONDS - started)) "${passed[*]:-none}"
[ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[*]}"
printf '%d passed, %d failed\n' ${#passed[@]} ${#failed[@]}
[ ${#failed[@]} -eq 0 ]
