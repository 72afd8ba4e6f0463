import contextlib
import socket
import ssl
import subprocess
import threading
import time

import pytest

from imagxp import Fetcher, Limits, _ffi
from imagxp._budget import Budget, Crowded, Pending
from imagxp._dns import System
from imagxp._keys import Wanted

PUBLIC = "8.8.8.8"


def manifest(host, port=None, scheme="https", configured=False, max_len=8192):
    authority = f"{host}:{port}" if port else host
    return Wanted(_ffi.NEED_MANIFEST, f"{scheme}://{authority}/.well-known/imagxp-agent.json", authority, configured, max_len)


def reason(fetched, kind=_ffi.UNREACHABLE):
    assert fetched.kind == kind, fetched
    return fetched.reason


PRIVATE = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "::1", "fd00::1", "0.0.0.0", "100.64.0.1"]


@pytest.mark.parametrize("address", [*PRIVATE, "::ffff:10.0.0.1", "64:ff9b::a00:1"])
def test_one_private_address_condemns_the_name(address):
    fetcher = Fetcher(resolve=lambda name, timeout: [PUBLIC, address])
    assert address.split("%")[0] in reason(fetcher.get(manifest("bot.example.com"))).replace("::ffff:a00:1", address)


def test_ranges_of_the_operator():
    nat64 = f"64:ff9b::{PUBLIC}"
    for address, denied in ((PUBLIC, "8.8.8.0/24"), (nat64, "8.8.8.0/24"), (nat64, "64:ff9b::/96")):
        denying = Fetcher(denied=[denied], resolve=lambda name, timeout, address=address: [address])
        assert "not a public address" in reason(denying.get(manifest("bot.example.com")))
    allowing = Fetcher(allowed=["127.0.0.0/8"], resolve=lambda name, timeout: ["127.0.0.1"])
    strangers = manifest("bot.example.com")
    assert "not a public address" in reason(allowing.get(strangers)), "only for the operator's own URLs"


@pytest.mark.parametrize(
    ("url", "configured"),
    [
        ("https://bot.example.com:8443/a", False), ("https://127.0.0.1/a", False), ("https://[::1]/a", False),
        ("https://localhost/a", False), ("https://bot.local/a", False), ("http://bot.example.com/a", False),
        ("http://bot.example.com/a", True), ("http://localhost:3000/a", True), ("https://10.0.0.1/a", True),
        ("https://user@bot.example.com/a", True), ("ftp://bot.example.com/a", True), ("bot.example.com", True),
        ("https://bot.example.com/a b", True), ("https://bot.example.com/\r\nX: y", True),
    ],
)  # fmt: skip
def test_urls_that_are_not_fetched(url, configured):
    def resolve(name, timeout):
        raise AssertionError("it must not come so far")

    assert reason(Fetcher(resolve=resolve).get(Wanted(1, url, "h", configured, 10)))


@pytest.fixture
def broken():
    """A server that does what it is told with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    behaviours = []

    def run():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    behaviours[0](connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield listener.getsockname()[1], behaviours
    listener.close()


def answering(data):
    def behave(connection):
        connection.recv(4096)
        connection.sendall(data)

    return behave


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (b"HTTP/1.1 301 Moved\r\nLocation: http://10.0.0.1/\r\n\r\n", _ffi.NOT_THERE, "redirects"),
        (b"HTTP/1.1 404 No\r\n\r\n", _ffi.NOT_THERE, "404"),
        (b"HTTP/1.1 503 No\r\n\r\n", _ffi.UNREACHABLE, "503"),
        (b"HTTP/1.1 429 No\r\n\r\n", _ffi.UNREACHABLE, "429"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{}", _ffi.NOT_THERE, "media type"),
        (OK + b"Content-Encoding: gzip\r\n\r\n{}", _ffi.NOT_THERE, "compressed"),
        (OK + b"Content-Length: 50\r\n\r\n{}", _ffi.UNREACHABLE, "broke off"),
        (OK + b"X: " + b"y" * 20_000 + b"\r\n\r\n{}", _ffi.UNREACHABLE, "too long"),
        (OK + b"X: y\r\n" * 9_000 + b"\r\n{}", _ffi.UNREACHABLE, "no HTTP answer"),
        (b"SSH-2.0-OpenSSH\r\n", _ffi.UNREACHABLE, "no HTTP answer"),
        (b"", _ffi.UNREACHABLE, "no HTTP answer"),
    ],
)
def test_what_is_not_the_document(broken, answer, kind, why):
    port, behaviours = broken
    behaviours.append(answering(answer))
    assert why in reason(Fetcher(development=True).get(manifest("localhost", port, "http")), kind)


def test_the_document(broken):
    port, behaviours = broken
    behaviours.append(answering(OK + b"Cache-Control: max-age=90\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
    fetched = Fetcher(development=True).get(manifest("localhost", port, "http"))
    assert (fetched.kind, fetched.body, fetched.max_age_s) == (_ffi.FOUND, b"{}", 90)


def test_no_more_is_read_than_must_be(broken):
    port, behaviours = broken
    sent = []

    def flood(connection):
        connection.recv(4096)
        connection.sendall(OK + b"\r\n")
        while True:
            sent.append(connection.send(b"x" * 65_536))

    behaviours.append(flood)
    fetched = Fetcher(development=True).get(manifest("localhost", port, "http", max_len=100))
    assert fetched.kind == _ffi.FOUND and len(fetched.body) == 101


def test_slow_servers_are_left(broken):
    port, behaviours = broken

    def drip(connection):
        connection.recv(4096)
        for byte in OK + b"\r\n" + b" " * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    limits = Limits(whole=0.4, first_byte=0.3)
    for behaviour in (drip, lambda connection: time.sleep(2)):
        behaviours[:] = [behaviour]
        begun = time.monotonic()
        assert "too long" in reason(Fetcher(development=True, limits=limits).get(manifest("localhost", port, "http")))
        assert time.monotonic() - begun < 1.5


def test_slow_names_are_left():
    resolver = System()
    block = threading.Event()

    def getaddrinfo(*_, **__):
        block.wait(10)
        return []

    original, socket.getaddrinfo = socket.getaddrinfo, getaddrinfo
    try:
        begun = time.monotonic()
        for _ in range(64):
            with pytest.raises(TimeoutError):
                resolver.resolve("slow.example.com", 0.001)
        with pytest.raises(Crowded, match="too many look-ups"):
            resolver.resolve("slow.example.com", 0.001)
        assert time.monotonic() - begun < 5
    finally:
        block.set()
        socket.getaddrinfo = original


def test_tls_with_the_name(tmp_path):
    """The connection goes to the address that was judged, the certificate is that of the name."""
    names = "subjectAltName=DNS:bot.example.com"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x", "-addext", names]
    subprocess.run([*command, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    asked = []
    context.sni_callback = lambda connection, name, context: asked.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                    asked.append(connection.recv(4096))
                    connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    threading.Thread(target=run, daemon=True).start()
    port = listener.getsockname()[1]
    arguments = {"allowed": ["127.0.0.1"], "resolve": lambda name, timeout: ["127.0.0.1"]}
    trusting = Fetcher(cafile=str(tmp_path / "cert.pem"), **arguments)
    fetched = trusting.get(manifest("bot.example.com", port, configured=True))
    assert fetched.body == b"{}" and asked[0] == "bot.example.com"
    assert f"Host: bot.example.com:{port}".encode() in asked[1] and b"Accept-Encoding: identity" in asked[1]
    assert "no TLS" in reason(Fetcher(**arguments).get(manifest("bot.example.com", port, configured=True)))
    assert "no TLS" in reason(trusting.get(manifest("evil.example.com", port, configured=True)))
    listener.close()


def test_one_client_cannot_use_up_the_budget_of_all():
    budget = Budget(Limits(names_per_s=4, per_client_per_s=2))

    def passed(client):
        count = 0
        for _ in range(10):
            with contextlib.suppress(Pending):
                budget.begin(client, known=False)
                count += 1
        return count

    assert (passed("8.8.4.1"), passed("8.8.4.2"), passed(None)) == (2, 2, 0)
    budget.begin(None, known=True)


def test_budgets_come_back():
    budget = Budget(Limits(fetches=1, per_network=2))
    budget.begin(None, known=True)
    with pytest.raises(Pending):
        budget.begin(None, known=True)
    budget.end()
    budget.begin(None, known=True)
    import ipaddress

    address = ipaddress.ip_address
    with budget.place(address("203.0.113.1")), budget.place(address("::ffff:203.0.113.2")):
        with pytest.raises(Crowded), budget.place(address("203.0.113.3")):
            pass
        with budget.place(address("203.0.114.3")):
            pass
    with budget.place(address("203.0.113.3")):
        pass
