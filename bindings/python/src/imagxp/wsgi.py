"""WSGI middleware, for Flask, Django, Pyramid, Bottle: who is refused never reaches the application.

    app.wsgi_app = imagxp.wsgi.Middleware(app.wsgi_app, Publisher({"allowRAG": True}, origin="https://pub.example.com"))

The verdict of whoever is admitted is ``environ["imagxp"]``. WSGI servers join headers that come twice with a comma: such a
request is refused, by another code than elsewhere.
"""

from __future__ import annotations

import http
from collections.abc import Iterable, Mapping
from typing import Any, Callable
from urllib.parse import quote

from .publisher import Publisher, Request
from .request import MATTERS
from .words import POLICY_PATH

__all__ = ["Middleware", "request_of"]

# PEP 3333; wsgiref.types has them from Python 3.11 on.
StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_NAMES = [(f"HTTP_{name.upper().replace('-', '_')}", name) for name in sorted(MATTERS)]
# Where servers put the request target as it came: gunicorn, waitress and werkzeug; uWSGI and mod_wsgi.
_RAW_TARGETS = ("RAW_URI", "REQUEST_URI")


class Middleware:
    def __init__(self, app: App, publisher: Publisher) -> None:
        self._app, self._publisher = app, publisher
        self._discovery = publisher.discovery().encode()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("wsgi.multiprocess"):
            self._publisher.require_shared_store("this server has several worker processes")
        if environ.get("PATH_INFO") == POLICY_PATH and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            # Whoever asks may know the terms.
            return _answer(200, {"content-type": "application/json"}, self._discovery, start_response)
        verdict = self._publisher.check(request_of(environ, self._publisher))
        if verdict:
            environ["imagxp"] = verdict
            return self._app(environ, start_response)
        return _answer(verdict.status, verdict.headers, verdict.body, start_response)


def _answer(status: int, headers: Mapping[str, str], body: bytes, start_response: StartResponse) -> Iterable[bytes]:
    rows = [*headers.items(), ("content-length", str(len(body)))]
    start_response(f"{status} {http.HTTPStatus(status).phrase}", rows)
    return [body]


def request_of(environ: dict[str, Any], publisher: Publisher) -> Request:
    """An environ of WSGI as the publisher judges it."""
    headers = [(name, environ[key]) for key, name in _NAMES if key in environ]
    return publisher.request(
        environ["REQUEST_METHOD"],
        environ["wsgi.url_scheme"],
        environ.get("HTTP_HOST", ""),
        _target(environ),
        headers,
        publisher.client_of(environ.get("REMOTE_ADDR"), _all_headers(environ)),
    )


def _all_headers(environ: dict[str, Any]) -> Iterable[tuple[str, str]]:
    return ((key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_"))


def _target(environ: dict[str, Any]) -> str:
    raw = next((environ[name] for name in _RAW_TARGETS if environ.get(name, "").startswith("/")), None)
    if raw is not None:
        return str(raw)
    # The wire's own percent-encoding is lost: what is left is its usual form.
    path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"), safe="/;:@&=+$,!~*'()")
    query = environ.get("QUERY_STRING", "")
    return f"{path or '/'}?{query}" if query else path or "/"
