# Sourced by test.sh and the benchmark: what they need on Debian, and what they build.

nginx_packages() {
    tools/apt.sh "$@"
    dpkg-query -W "$@" >/dev/null 2>&1 || { lacking "one of $*"; return 1; }
}

nginx_setup() {
    nginx_packages build-essential nginx nginx-dev dnsmasq-base libfaketime openssl python3-venv libpcre2-dev libssl-dev zlib1g-dev || exit 0
    [ -x "$work/venv/bin/pytest" ] || {
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest h2
    }
}

# The load generator, which signs with the library.
nginx_tools() { # work
    mkdir -p "$1/tools"
    cc -O2 -g -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -I"$IMAGXP_PREFIX/include" -o "$1/tools/requests" \
        bindings/nginx/tests/tools/requests.c "$IMAGXP_PREFIX/lib/libimagxp.a"
    cc -O2 -g -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$1/tools/play" bindings/nginx/tests/tools/play.c
}

# Debian's nginx source, as published by nginx; the tests need no patch of Debian's.
nginx_source() { # work
    [ -e "$1/source/configure" ] && return 0
    mkdir -p "$1/source" "$1/apt/lists/partial" "$1/apt/parts"
    # The machine's own sources, in both of their forms, asked for source packages.
    cat /etc/apt/sources.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >"$1/apt/sources.list"
    for file in /etc/apt/sources.list.d/debian*.sources; do
        [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$1/apt/parts/${file##*/}"
    done
    local options=(-o Dir::Etc::SourceList="$1/apt/sources.list" -o Dir::Etc::SourceParts="$1/apt/parts" -o Dir::State::Lists="$1/apt/lists"
        -o APT::Sandbox::User=root)
    (
        cd "$1/apt"
        apt-get "${options[@]}" update -qq
        apt-get "${options[@]}" source --download-only --tar-only -qq nginx
        tar -xzf nginx_*.orig.tar.gz -C "$1/source" --strip-components=1
    ) >"$1/apt/log" 2>&1
}

# nginx with the module inside, both with AddressSanitizer. NGX_DEBUG_PALLOC gives every allocation a block of its own.
nginx_asan() { # work
    nginx_source "$1" || { lacking "the source package of nginx ($1/apt/log)"; return 1; }
    local flags="-g -O1 -fno-omit-frame-pointer -fsanitize=address"
    rm -rf "$1/asan" "$1/asan-build"
    cp -r "$1/source" "$1/asan-build"
    (
        cd "$1/asan-build"
        ./configure --prefix=/usr/share/nginx --error-log-path=stderr --with-debug --with-pcre --with-http_ssl_module \
            --with-http_v2_module --with-http_realip_module --with-http_auth_request_module \
            --with-cc-opt="$flags -DNGX_DEBUG_PALLOC=1" --with-ld-opt="-fsanitize=address" \
            --add-module="$OLDPWD/bindings/nginx" --add-module="$OLDPWD/bindings/nginx/tests/die"
        make -f objs/Makefile -j"$(nproc)"
    ) >"$1/asan.log" 2>&1 || { tail -20 "$1/asan.log" >&2; return 1; }
    mkdir -p "$1/asan"
    cp "$1/asan-build/objs/nginx" "$1/asan/nginx"
    rm -rf "$1/asan-build"
}
