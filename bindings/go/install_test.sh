#!/usr/bin/env bash
# What a user does: `go get` of exactly the zips that dist.sh made, the two programs of README.md, curl; then vendoring, the tag
# dynamic, CGO_ENABLED=0, and arm64.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/abi-setup.sh
. bindings/go/setup.sh
set_up_go
need curl curl
need python3 python3
top=$PWD
bindings/go/dist.sh
work=$(mktemp -d)
pids=()
finish() {
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'echo "install_test: line $LINENO" >&2; cat "$work"/{site/log,answer,said} >&2 2>/dev/null' ERR

proxy=$(realpath "$target")/dist/goproxy
export GOPROXY="file://$proxy,$(go env GOPROXY)" GONOSUMDB='github.com/imagxp/*' GOMODCACHE=$work/cache GOFLAGS='-modcacherw -p=2'
module=github.com/imagxp/imagxp/bindings/go

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
site=$(free_port) agent=$(free_port)

# The nth Go program of the README, on ports that are free.
program() {
    awk -v wanted="$1" '/^```go$/ { block++; next } /^```$/ { if (block == wanted && inside) exit; inside = 0; next } block == wanted { inside = 1; print }' bindings/go/README.md |
        sed "s/localhost:8080/localhost:$site/; s/localhost:9000/localhost:$agent/"
}
for place in "1 site" "2 agent"; do
    read -r number name <<<"$place"
    mkdir -p "$work/$name"
    program "$number" >"$work/$name/main.go"
    (cd "$work/$name" && go mod init "example.com/$name" >/dev/null 2>&1 && go get "$module@latest" >/dev/null && go build -o program .)
done
grep -q "$module v" "$work/site/go.mod"
awk '/^```json$/ { inside = 1; next } /^```$/ { inside = 0 } inside' bindings/go/README.md >"$work/site/policy.json"
(cd "$work/site" && exec ./program 2>log) & pids+=($!)
answer() { curl --silent --max-time 5 --output "$work/answer" --write-out '%{http_code}' "$1"; }
for _ in $(seq 100); do answer http://localhost:$site/ >/dev/null && break; sleep 0.1; done
[ "$(answer http://localhost:$site/)" = 401 ]
grep -q '"error":"IDENTITY_REQUIRED"' "$work/answer"
(cd "$work/agent" && ./program) >"$work/said"
grep -qx "Hello, localhost:$agent: VERIFIED_AGENT for RAG_RETRIEVAL" "$work/said"
kill "${pids[@]}" && pids=()
mkdir "$work/agent/wallet"
awk 'FNR == NR { wallet = wallet "\t" $0 "\n"; next } /client := / { printf "%s", wallet; next } { print }' <(program 3) <(program 2) >"$work/agent/wallet/main.go"
(cd "$work/agent" && go vet ./wallet)
echo "  the README's programs, from the module's zip"

(cd "$work/site" && go mod vendor && go build -mod=vendor -o vendored . && test -e vendor/$module/internal/abi/lib/linux_amd64/libimagxp.a)
echo "  vendored"

if (cd "$work/site" && CGO_ENABLED=0 go build -o none . 2>"$work/error"); then
    echo "install_test: it was built without cgo" >&2 && exit 1
fi
grep -q CGO_ENABLED_1 "$work/error"
echo "  CGO_ENABLED=0 says what to do"

need pkg-config pkg-config && {
    "$top/tools/install.sh" "$work/prefix" lib >/dev/null
    (cd "$work/site" && PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig go build -tags dynamic -o dynamic . && readelf -d dynamic | grep -q 'libimagxp.so.1')
    echo "  the tag dynamic"
}

if command -v aarch64-linux-gnu-gcc >/dev/null && [ -e "$top/bindings/go/internal/abi/lib/linux_arm64/libimagxp.a" ]; then
    (cd "$work/site" && GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc go build -ldflags '-linkmode external -extldflags -static' -o arm64 . 2>/dev/null)
    (cd bindings/go && GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc go test -c -ldflags '-linkmode external -extldflags -static' -o "$work/arm64.test" . 2>/dev/null)
    need qemu-aarch64-static qemu-user-static && {
        (cd bindings/go && qemu-aarch64-static "$work/arm64.test" -test.run 'AdmitsOnce|Refusals|Vectors|Keys' | tail -1)
        echo "  linux/arm64, in qemu"
    }
else
    echo "  linux/arm64: SKIPPED, its archive could not be built here" >&2
fi
