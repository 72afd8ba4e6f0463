#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own: a new cluster in a temporary directory, on a free port of this machine,
# owned by an unprivileged user, gone afterwards. The command finds it as $IMAGXP_TEST_POSTGRES.
# Without PostgreSQL it says so and runs the command all the same; with CI=true that is a failure.
# Usage: broker/tests/with-postgres.sh COMMAND…
set -euo pipefail

apt=$(dirname "$0")/../../tools/apt.sh
# The newest server that is here; clients alone (psql) are none. Empty where there is none.
find_binaries() {
    local initdb
    initdb=$(find /usr/lib/postgresql/*/bin -maxdepth 1 -name initdb 2>/dev/null | sort -V | tail -1) || true
    [ -n "$initdb" ] || initdb=$(command -v initdb) || return 0
    dirname "$(readlink -f "$initdb")"
}

install_postgres() {
    # First the common part, so that the server's package makes and starts no cluster of its own.
    "$apt" postgresql-common
    [ ! -w /etc/postgresql-common/createcluster.conf ] ||
        sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    "$apt" postgresql
}

binaries=$(find_binaries)
if [ -z "$binaries" ]; then
    install_postgres
    binaries=$(find_binaries)
fi
if [ -z "$binaries" ]; then
    echo "with-postgres: SKIPPED: no PostgreSQL (apt-get install postgresql)" >&2
    [ "${CI:-}" != true ] || exit 1
    exec "$@"
fi

folder=$(mktemp -d)
as_owner() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    as_owner() { (cd "$folder" && runuser -u postgres -- "$@"); }
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
finish() {
    as_owner "$binaries/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap finish EXIT
as_owner "$binaries/initdb" -D "$folder/data" -U imagxp -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
as_owner "$binaries/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c max_connections=200" start >/dev/null || {
    cat "$folder/log" >&2
    exit 1
}
export IMAGXP_TEST_POSTGRES=postgres://imagxp@127.0.0.1:$port
"$@"
