#!/usr/bin/env bash
# Runs make targets, JOBS (2) at a time; JOBS=1 shows each as it goes, else each is shown whole when it ends. After a failure
# none is begun (KEEP_GOING=1: all are). Ends with what was skipped, each part's time and a line that counts.
set -uo pipefail

jobs=${JOBS:-2}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
declare -A part_of begun
passed=() failed=()

start() { # part
    begun[$1]=$SECONDS
    printf '==== %s: started\n' "$1"
    if [ "$jobs" = 1 ]; then
        make --no-print-directory "$1" &
    else
        make --no-print-directory "$1" >"$logs/$1" 2>&1 &
    fi
    part_of[$!]=$1
}

finish_one() {
    local pid status part
    wait -n -p pid "${!part_of[@]}"
    status=$?
    part=${part_of[$pid]}
    unset "part_of[$pid]"
    [ ! -e "$logs/$part" ] || { printf '\n==== %s\n' "$part" && cat "$logs/$part"; }
    if [ $status = 0 ]; then
        passed+=("$part")
        printf '==== %s: passed in %d s\n' "$part" $((SECONDS - begun[$part]))
    else
        failed+=("$part")
        printf '==== %s: FAILED after %d s\n' "$part" $((SECONDS - begun[$part]))
    fi
}

for part in "$@"; do
    [ ${#failed[@]} -eq 0 ] || [ "${KEEP_GOING:-}" = 1 ] || break
    start "$part"
    [ ${#part_of[@]} -lt "$jobs" ] || finish_one
done
while [ ${#part_of[@]} -gt 0 ]; do finish_one; done

skipped=$(grep -rh SKIPPED "$logs" | sort -u)
[ -z "$skipped" ] || printf '\nskipped on this machine:\n%s\n' "$skipped"
printf '\n%d s. passed: %s\n' "$SECONDS" "${passed[*]:-none}"
[ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[*]}"
printf '%d passed, %d failed\n' ${#passed[@]} ${#failed[@]}
[ ${#failed[@]} -eq 0 ]
