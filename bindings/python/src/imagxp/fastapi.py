"""FastAPI (``pip install imagxp[fastapi]``): a dependency for the routes that want it.

    admitted = imagxp.fastapi.protect(app, Publisher({"allowRAG": True}, origin="https://pub.example.com"))

    @app.get("/a")
    async def a(verdict: Verdict = Depends(admitted)): ...

For all of an application, `imagxp.asgi.Middleware` is the way: it is asked before anything else runs.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Callable

from fastapi import FastAPI, HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from .asgi import remember, request_of, verdicts_of
from .publisher import Publisher
from .verdict import Verdict
from .words import POLICY_PATH

__all__ = ["Refused", "protect"]


class Refused(HTTPException):
    """Raised by the dependency; `protect` has told the application what to answer."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.status, headers=dict(verdict.headers))
        self.verdict = verdict


def protect(app: FastAPI, publisher: Publisher) -> Callable[[HTTPConnection], Awaitable[Verdict]]:
    """The dependency. A request is checked once by each publisher, however many routes and routers depend on it.

    The application serves this publisher's discovery document, unless it has one already: with several publishers the first
    is the one whose terms are told, or that of `imagxp.asgi.Middleware`.

    What another publisher admitted counts for nothing here: a site that is open to all may have routes that are paid for.
    """

    async def admitted(connection: HTTPConnection) -> Verdict:
        scope = connection.scope
        verdict = verdicts_of(scope).get(publisher)
        if verdict is None:
            verdict = await publisher.acheck(request_of(scope, publisher))
            remember(scope, publisher, verdict)
        if not verdict:
            raise Refused(verdict)
        return verdict

    async def answer(_: Any, refused: Any) -> Response:
        verdict: Verdict = refused.verdict
        return Response(verdict.body, verdict.status, dict(verdict.headers))

    discovery = publisher.discovery()

    @app.api_route(POLICY_PATH, methods=["GET", "HEAD"], include_in_schema=False)
    async def terms() -> Response:
        return Response(discovery, media_type="application/json")

    app.add_exception_handler(Refused, answer)
    return admitted
