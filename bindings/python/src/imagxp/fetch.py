"""Gets the documents that the library asks for, by the rules of docs/threats.md section 8 (SSRF-1 to SSRF-12).

A stranger chooses the host of a manifest's URL, and so chooses whom this server talks to: the name is resolved once, every
address it has must be a public one, and the connection goes to an address that was judged, with the name for TLS and Host.
No redirects, cookies, proxies or compression; each step has its time-out, and all have one together.

The standard library's sockets, and `http.client` to read the answer: the clients above them (httpx, requests, urllib3,
aiohttp) look names up themselves, follow proxies of the environment, or decompress.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Optional, Union

from . import _dns, _ffi, _target
from ._budget import Address, Budget, Crowded, Limits, Pending
from ._keys import Fetched, Wanted
from ._target import BadUrl, Range, Target

__all__ = ["Fetcher", "Limits", "Pending"]

_AGENT = "imagxp-verifier/0.1.0"
# Addresses tried at most.
_ATTEMPTS = 3


class Fetcher:
    """One for all publishers of a process; thread-safe.

    `denied` are addresses refused beside those that are not public (``168.63.129.16``), `allowed` private ones that
    configured URLs (a broker in the same network) may lead to, `cafile` one more authority to trust. With `development`
    plain http to this very machine is good: never on a public site. `resolve` takes a name and seconds.
    """

    def __init__(
        self,
        *,
        development: bool = False,
        denied: Iterable[str] = (),
        allowed: Iterable[str] = (),
        cafile: Optional[str] = None,
        limits: Limits = Limits(),
        resolve: Optional[_dns.Resolve] = None,
    ) -> None:
        self.development, self.limits = development, limits
        self._denied, self._allowed = _ranges(denied), _ranges(allowed)
        self._resolve = resolve or _dns.default()
        self._tls = _trust(cafile)
        self.budget = Budget(limits)

    def get(self, wanted: Wanted) -> Fetched:
        """Fetches, without asking the budget of names. What went wrong is the answer's `reason`.

        Raises `Pending` where this host could not ask just now: that says nothing about the document.
        """
        deadline = time.monotonic() + self.limits.whole
        try:
            target = _target.of(wanted, self.development)
            return self._exchange(target, wanted, self._addresses(target, wanted), deadline)
        except BadUrl as error:
            return _unreachable(str(error))
        except _dns.NoAddress as error:
            return _unreachable(f"the name has no address: {error}")
        except Crowded:
            raise Pending from None
        except (TimeoutError, socket.timeout):
            return _unreachable("it took too long")
        except ssl.SSLError as error:
            return _unreachable(f"no TLS: {error}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _unreachable(f"no HTTP answer: {error!r}")

    def _addresses(self, target: Target, wanted: Wanted) -> list[Address]:
        """One that is not public condemns the name: it would be the one that a second look-up gives."""
        literal = _target.as_address(target.host)
        if target.host == "localhost":
            # RFC 6761 section 6.3: never a matter for DNS.
            found = ["127.0.0.1", "::1"]
        elif literal is not None:
            found = [str(literal)]
        else:
            found = self._resolve(target.host, self.limits.resolve)
        addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
        if not addresses:
            raise _dns.NoAddress("the answer is empty")
        allowed = self._allowed if wanted.configured else []
        for address in addresses:
            if not _target.may_connect(address, target, self._denied, allowed):
                raise BadUrl(f"the name leads to {address}, which is not a public address")
        return addresses

    def _exchange(self, target: Target, wanted: Wanted, addresses: list[Address], deadline: float) -> Fetched:
        tries = addresses[:_ATTEMPTS]
        end = min(time.monotonic() + self.limits.connect, deadline)
        refusal: Exception = TimeoutError()
        for index, address in enumerate(tries):
            share = (end - time.monotonic()) / (len(tries) - index)
            if share <= 0:
                break
            try:
                with self.budget.place(address):
                    with _connect(address, target.port, share) as connection:
                        return self._speak(connection, target, wanted.max_len, deadline)
            except (_NoConnection, Crowded) as error:
                # An address that was not tried may have been the good one.
                refusal = refusal if isinstance(refusal, Crowded) else error
        raise refusal

    def _speak(self, connection: socket.socket, target: Target, max_len: int, deadline: float) -> Fetched:
        connection.settimeout(_left(deadline, self.limits.tls))
        if target.tls:
            connection = self._tls.wrap_socket(connection, server_hostname=target.host)
        with connection:
            wire = _Wire(connection, deadline, self.limits.header_bytes + max_len)
            wire.first_byte = time.monotonic() + self.limits.first_byte
            connection.settimeout(_left(deadline, self.limits.first_byte))
            connection.sendall(_request(target))
            response = http.client.HTTPResponse(wire, method="GET")  # type: ignore[arg-type]
            response.begin()
            return _judge(response, self.limits.header_bytes) or _found(response, max_len)


class _NoConnection(OSError):
    """This address; another may do."""


def _connect(address: Address, port: int, timeout: float) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect((str(address), port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    except OSError as error:
        connection.close()
        raise _NoConnection(f"{address} port {port}: {error}") from None


class _Wire(io.RawIOBase):
    """What `http.client` reads from: until the deadline, and no more bytes than an answer may have."""

    def __init__(self, connection: socket.socket, deadline: float, most: int) -> None:
        self._connection, self._deadline, self._most = connection, deadline, most + io.DEFAULT_BUFFER_SIZE
        self.first_byte = deadline

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._most <= 0:
            return 0
        self._connection.settimeout(_left(min(self._deadline, self.first_byte), self._deadline))
        read = self._connection.recv_into(buffer)
        self.first_byte = self._deadline
        self._most -= read
        return read


def _left(deadline: float, most: float) -> float:
    left = min(deadline - time.monotonic(), most)
    if left <= 0:
        raise TimeoutError
    return left


def _request(target: Target) -> bytes:
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: {_AGENT}\r\n"
        "Accept: application/json\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _judge(response: http.client.HTTPResponse, header_bytes: int) -> Optional[Fetched]:
    """Why the answer is not the document; none if it is."""
    status, headers = response.status, response.headers
    if sum(len(name) + len(value) + 4 for name, value in headers.items()) > header_bytes:
        return _unreachable("the headers of the answer are too long")
    if status == 429 or status >= 500:
        return _unreachable(f"the server answered {status}, not 200")
    if 300 <= status < 400:
        return _not_there(f"the server redirects ({status}): serve the document at that URL itself")
    if status != 200:
        return _not_there(f"the server answered {status}, not 200")
    if any(coding.strip().lower() != "identity" for coding in headers.get_all("content-encoding", [])):
        return _not_there("the body is compressed, though identity was asked for")
    media = headers.get("content-type")
    if media is not None and not is_json(media):
        return _not_there(f"the media type is {media[:100]!r}, not application/json")
    return None


def _found(response: http.client.HTTPResponse, max_len: int) -> Fetched:
    body = response.read(max_len + 1)
    if len(body) <= max_len and response.length:
        return _unreachable("the answer broke off")
    return Fetched(_ffi.FOUND, body, max_age(response.headers.get_all("cache-control", [])))


def is_json(media: str) -> bool:
    """``application/json``, or any type ``+json``; parameters do not matter.

    >>> is_json("Application/JSON; charset=utf-8"), is_json("text/html"), is_json("application/x+json")
    (True, False, True)
    """
    essence = media.partition(";")[0].strip().lower()
    return essence == "application/json" or ("/" in essence and essence.endswith("+json"))


def max_age(values: Iterable[str]) -> int:
    """The first ``max-age`` of Cache-Control; 0 where nothing may be stored (RFC 9111 section 5.2.2); -1 for none.

    >>> max_age(["public, max-age=60"]), max_age(["max-age=600", "no-store"]), max_age([])
    (60, 0, -1)
    """
    age = -1
    for directive in ",".join(values).split(","):
        name, _, value = (part.strip().lower() for part in directive.partition("="))
        if name in ("no-store", "no-cache"):
            return 0
        digits = value.strip('"')
        if name == "max-age" and age < 0 and digits.isascii() and digits.isdigit():
            # More than fits is the most there is (RFC 9111 section 1.2.2).
            age = min(int(digits[:12]), 2**31 - 1)
    return age


def _unreachable(reason: str) -> Fetched:
    return Fetched(_ffi.UNREACHABLE, reason=reason)


def _not_there(reason: str) -> Fetched:
    return Fetched(_ffi.NOT_THERE, reason=reason)


@lru_cache(maxsize=8)
def _trust(cafile: Optional[str]) -> ssl.SSLContext:
    """The system's authorities, and one more. Reading them takes long: once is enough."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if cafile is not None:
        context.load_verify_locations(cafile)
    return context


def _ranges(texts: Iterable[str]) -> list[Union[Range, Any]]:
    return [ipaddress.ip_network(text) for text in texts]
