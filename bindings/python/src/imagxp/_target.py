"""Where a document is: its URL, judged and taken apart; and which addresses a fetch may connect to (SSRF-1 to SSRF-4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple, Union
from urllib.parse import urlsplit

from . import _ffi
from ._budget import Address, canonical
from ._ffi import lib_gil, text
from ._keys import Wanted

Range = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class BadUrl(Exception):
    """Not a URL that may be fetched: what is wrong with it."""


class Target(NamedTuple):
    """A server, and what to ask of it. `authority` is the ``Host`` header."""

    tls: bool
    host: str
    port: int
    authority: str
    path: str

    @property
    def is_loopback(self) -> bool:
        return self.host in _LOOPBACK


def parse(url: str) -> Target:
    """Takes any http or https URL apart. Raises `BadUrl`."""
    if not url.isascii() or any(byte <= " " or byte == "\x7f" for byte in url):
        raise BadUrl("not a URL: percent-encode what is not printable ASCII")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise BadUrl(f"not a URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise BadUrl("not an absolute https URL")
    if not host or "@" in parts.netloc:
        raise BadUrl("not an https URL with a host, and without a user")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(tls, host, port if port is not None else (443 if tls else 80), parts.netloc, path)


def of(wanted: Wanted, development: bool) -> Target:
    """The target of a wanted document, if it may be fetched at all. Raises `BadUrl`."""
    target = parse(wanted.url)
    if development and target.is_loopback:
        return target
    if not target.tls:
        raise BadUrl("plain http is for localhost in development mode")
    if as_address(target.host) is not None:
        raise BadUrl("an address stands where a name belongs")
    # The library has judged the name already; the port follows from it.
    if not wanted.configured and lib_gil.host_check_agent_id(text(target.authority), _ffi.MODE_PRODUCTION) != _ffi.OK:
        raise BadUrl("not a public domain name without a port")
    return target


def as_address(host: str) -> Union[Address, None]:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def may_connect(address: Address, target: Target, denied: Sequence[Range], allowed: Sequence[Range]) -> bool:
    """`allowed` are the private addresses that the operator's own URLs may lead to."""
    if target.is_loopback:
        return address.is_loopback
    forms = (address, canonical(address))
    if any(form in network for form in forms for network in denied):
        return False
    if lib_gil.host_may_connect(address.packed, len(address.packed)) == _ffi.OK:
        return True
    return any(form in network for form in forms for network in allowed)
