"""A request as the host received it, and its packed form (`imagxp_packed` in include/imagxp.h)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from . import _ffi

Text = Union[str, bytes]
Headers = Union[Mapping[str, str], Iterable[tuple[Text, Text]]]

# The names for which imagxp_header_matters says 1; a test compares them with the library.
MATTERS = frozenset(
    [f"x-imagxp-{name}" for name in ("payload", "signature", "public-key", "key", "credential", "payment", "proof")]
    + [f"x-imagxp-{name}" for name in ("agent-id", "timestamp", "alg", "feedback")]
    + ["user-agent", "accept-language", "sec-fetch-dest", "upgrade-insecure-requests"]
    + ["cf-ray", "cf-visitor", "x-vercel-id", "cloudfront-viewer-address"]
)
_MATTERS_BYTES = frozenset(name.encode() for name in MATTERS)

VOUCHED = {
    "cloudflare": _ffi.VOUCHED_CLOUDFLARE,
    "vercel": _ffi.VOUCHED_VERCEL,
    "cloudfront": _ffi.VOUCHED_CLOUDFRONT,
}


class Request:
    """Raw, as on the wire: `target` is path and query before any rewriting, `headers` has each line on its own (pairs;
    a mapping where each name comes once), text as latin-1 or bytes. `authority` is the public host that this site answers
    for, from configuration. `client` is the address of the peer, for the budget of fetches.
    """

    __slots__ = ("authority", "client", "headers", "method", "scheme", "target", "vouched")

    def __init__(
        self,
        method: Text,
        scheme: Text,
        authority: Text,
        target: Text,
        headers: Headers,
        *,
        client: Optional[str] = None,
        vouched: int = 0,
    ) -> None:
        self.method, self.scheme, self.authority, self.target = method, scheme, authority, target
        self.headers: Iterable[tuple[Text, Text]] = headers.items() if isinstance(headers, Mapping) else headers
        self.client, self.vouched = client, vouched

    @classmethod
    def of_url(cls, url: str, headers: Headers, *, method: str = "GET", client: Optional[str] = None) -> Request:
        """For tests and tools: the request that a client would make for this URL.

        >>> Request.of_url("https://pub.example.com/a?b=c", {}).target
        '/a?b=c'
        """
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        return cls(method, scheme, authority, f"{slash or '/'}{path}", headers, client=client)


def pack(request: Request) -> tuple[bytes, int]:
    """The fields with a NUL between two, and how many. A NUL inside a field makes another number: the library refuses."""
    fields: list[Any] = [request.method, request.scheme, request.authority, request.target]
    as_text = isinstance(fields[0], str)
    matters: frozenset[Any] = MATTERS if as_text else _MATTERS_BYTES
    try:
        for name, value in request.headers:
            if name in matters or name.lower() in matters:
                fields += (name, value)
        return ("\0".join(fields).encode("latin-1") if as_text else b"\0".join(fields)), len(fields)
    except (TypeError, UnicodeEncodeError):
        # Text and bytes beside each other, or text that is not of the wire.
        return _pack_any(request)


def _pack_any(request: Request) -> tuple[bytes, int]:
    fields = [raw(text) for text in (request.method, request.scheme, request.authority, request.target)]
    for name, value in request.headers:
        if raw(name).lower() in _MATTERS_BYTES:
            fields += (raw(name), raw(value))
    return b"\0".join(fields), len(fields)


def raw(text: Text) -> bytes:
    """The bytes of the wire: frameworks that give text have read it as latin-1."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
