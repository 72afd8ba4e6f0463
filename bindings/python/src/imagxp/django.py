"""Django (``pip install imagxp[django]``): a middleware, for WSGI and for ASGI. In the settings:

    MIDDLEWARE = ["imagxp.django.Middleware", ...]
    IMAGXP_PUBLISHER = Publisher({"allowRAG": True}, origin="https://pub.example.com", store=FileStore("/dev/shm/imagxp"))

The verdict of whoever is admitted is ``request.imagxp``.
"""

from __future__ import annotations

from typing import Any, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from . import asgi, wsgi
from .publisher import Publisher, Request
from .verdict import Verdict
from .words import POLICY_PATH

__all__ = ["Middleware"]


class Middleware:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._publisher: Publisher = settings.IMAGXP_PUBLISHER
        self._discovery = self._publisher.discovery().encode()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._acall(request)
        if _asks_terms(request):
            return self._terms()
        verdict = self._publisher.check(self._read(request))
        if not verdict:
            return _refusal(verdict)
        request.imagxp = verdict  # type: ignore[attr-defined]
        return self._get_response(request)

    async def _acall(self, request: HttpRequest) -> Any:
        if _asks_terms(request):
            return self._terms()
        verdict = await self._publisher.acheck(self._read(request))
        if not verdict:
            return _refusal(verdict)
        request.imagxp = verdict  # type: ignore[attr-defined]
        return await self._get_response(request)

    def _terms(self) -> HttpResponse:
        return HttpResponse(self._discovery, content_type="application/json")

    def _read(self, request: HttpRequest) -> Request:
        scope = getattr(request, "scope", None)
        if scope is not None:
            return asgi.request_of(scope, self._publisher)
        environ: dict[str, Any] = request.environ  # type: ignore[attr-defined]
        if environ.get("wsgi.multiprocess"):
            self._publisher.require_shared_store("this server has several worker processes")
        return wsgi.request_of(environ, self._publisher)


def _asks_terms(request: HttpRequest) -> bool:
    """Whoever asks may know the terms."""
    return request.path == POLICY_PATH and request.method in ("GET", "HEAD")


def _refusal(verdict: Verdict) -> HttpResponse:
    return HttpResponse(verdict.body, status=verdict.status, headers=dict(verdict.headers))
