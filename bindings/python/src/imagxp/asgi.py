"""Pure ASGI middleware, for Starlette, FastAPI, Quart, Django, Litestar: who is refused never reaches the application.

    app = imagxp.asgi.Middleware(app, Publisher({"allowRAG": True}, origin="https://pub.example.com"))

The verdict of whoever is admitted is ``scope["imagxp"]``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, MutableMapping
from typing import Any, Callable
from urllib.parse import quote

from .publisher import Publisher, Request
from .verdict import Verdict
from .words import POLICY_PATH

__all__ = ["Middleware", "request_of"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Of the scope: each publisher's verdict. `scope["imagxp"]` is for the application, and says not whose it is.
_VERDICTS = "imagxp.verdicts"
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# RFC 6455 section 7.4.1: policy violation.
_WEBSOCKET_REFUSED = 1008


class Middleware:
    def __init__(self, app: App, publisher: Publisher) -> None:
        self._app, self._publisher = app, publisher
        self._discovery = publisher.discovery().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["path"] == POLICY_PATH and scope.get("method") in ("GET", "HEAD"):
            # Whoever asks may know the terms.
            await _answer(200, {"content-type": "application/json"}, self._discovery, send)
            return
        verdict = await self._publisher.acheck(request_of(scope, self._publisher))
        if verdict:
            remember(scope, self._publisher, verdict)
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _answer(verdict.status, verdict.headers, verdict.body, send)
        else:
            await send({"type": "websocket.close", "code": _WEBSOCKET_REFUSED, "reason": ""})


def verdicts_of(scope: Scope) -> Mapping[Publisher, Verdict]:
    """What has been decided about this request, and by whom."""
    verdicts: Mapping[Publisher, Verdict] = scope.get(_VERDICTS, {})
    return verdicts


def remember(scope: Scope, publisher: Publisher, verdict: Verdict) -> None:
    scope["imagxp"] = verdict
    # A new mapping: the scope of a mounted application is a shallow copy of this one.
    scope[_VERDICTS] = {**verdicts_of(scope), publisher: verdict}


def request_of(scope: Scope, publisher: Publisher) -> Request:
    """A scope of ASGI as the publisher judges it."""
    headers = scope["headers"]
    host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    # With the wire's own percent-encoding where the server gives it.
    path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    query = scope.get("query_string", b"")
    peer = scope.get("client")
    client = publisher.client_of(peer[0] if peer else None, headers)
    target = path.partition(b"?")[0] + (b"?" + query if query else b"")
    method = scope.get("method", "GET").encode("ascii")
    scheme = _SCHEMES.get(scope.get("scheme", "http"), "http")
    return publisher.request(method, scheme, host, target, headers, client)


async def _answer(status: int, headers: Mapping[str, str], body: bytes, send: Send) -> None:
    rows = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    rows.append((b"content-length", str(len(body)).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": rows})
    await send({"type": "http.response.body", "body": body})
