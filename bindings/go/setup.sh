# Sourced, after tools/abi-setup.sh, by the scripts here: a Go that is new enough. Where the one that is installed is older, as
# Debian's is, it gets a newer one from the module proxy, where toolchains are modules.
go_least=1.24
go_toolchain=1.26.8

go_is_new() { [ "$(printf '%s\n' "$go_least" "$(go env GOVERSION | sed 's/^go//')" | sort -V | head -1)" = "$go_least" ]; }

set_up_go() {
    need go golang-go || return 1
    go_is_new && return 0
    local module folder
    module=golang.org/toolchain@v0.0.1-go$go_toolchain.$(go env GOOS)-$(go env GOARCH)
    echo "Go: $(go env GOVERSION) is older than $go_least: getting $module" >&2
    folder=$(cd / && GO111MODULE=on go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [ -n "$folder" ] || { lacking "Go $go_least or newer"; return 1; }
    chmod u+x "$folder"/bin/* "$folder"/pkg/tool/*/* # module zips have no modes
    export GOROOT=$folder PATH=$folder/bin:$PATH
    go_is_new
}
