"""`httpx.Auth` (``pip install imagxp[httpx]``): every request, retry and redirect is signed anew.

    client = httpx.Client(auth=imagxp.httpx.Auth(Agent.from_env(), "RAG_RETRIEVAL"))

Let `Auth` follow redirects (``follow_redirects=True``), not the client: httpx carries headers over to the next site. Where
the client follows all the same, the last site is asked again with a signature of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, Union

import httpx

from .agent import Agent
from .visits import Errand, Reply, Visits, reads_body
from .words import HEADER_CREDENTIAL, HEADER_KEY, HEADER_PAYLOAD, HEADER_PUBLIC_KEY, HEADER_SIGNATURE, Purpose, user_agent_of

__all__ = ["Auth"]

_OURS = (HEADER_PAYLOAD, HEADER_SIGNATURE, HEADER_PUBLIC_KEY, HEADER_KEY, HEADER_CREDENTIAL)
# In the extensions of a request: it is an errand, whose answer is read.
_ERRAND = "imagxp_errand"


class Auth(httpx.Auth):
    """Signs as `agent`; the other arguments are those of `imagxp.visits.Visits`. For `httpx.Client` and `httpx.AsyncClient`."""

    def __init__(
        self,
        agent: Agent,
        purpose: Union[Purpose, str],
        *,
        follow_redirects: bool = False,
        max_redirects: int = 20,
        **visits: Any,
    ) -> None:
        self._visits = Visits(agent, purpose, **visits)
        self._max_redirects = max_redirects if follow_redirects else 0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        flow = self.auth_flow(request)
        try:
            request = next(flow)
            while True:
                response = yield request
                if _is_read(response):
                    response.read()
                request = flow.send(response)
        except StopIteration:
            pass
        finally:
            flow.close()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        flow = self.auth_flow(request)
        try:
            request = next(flow)
            while True:
                response = yield request
                if _is_read(response):
                    await response.aread()
                request = flow.send(response)
        except StopIteration:
            pass
        finally:
            flow.close()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield from self._visit(request)
        for _ in range(self._max_redirects):
            following = response.next_request
            if following is None:
                return
            response = yield from self._visit(following)
        if response.history and response.request.url != request.url:
            # The client has followed redirects itself.
            yield from self._visit(response.request)

    def _visit(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, httpx.Response]:
        steps = self._visits.visit(str(request.url))
        step, reply = next(steps), None
        while True:
            sent = _errand(step) if isinstance(step, Errand) else _signed(request, step)
            reply = yield sent
            if sent is request:
                response = reply
            try:
                body = reply.content if _is_read(reply) else b""
                step = steps.send(Reply(reply.status_code, reply.headers, body))
            except StopIteration:
                return response


def _signed(request: httpx.Request, headers: dict[str, str]) -> httpx.Request:
    for name in _OURS:
        request.headers.pop(name, None)
    request.headers.update(headers)
    if headers:
        request.headers["User-Agent"] = user_agent_of(request.headers.get("User-Agent", ""))
    return request


def _errand(errand: Errand) -> httpx.Request:
    return httpx.Request(
        errand.method,
        errand.url,
        headers={"User-Agent": user_agent_of(), **errand.headers},
        content=errand.body or None,
        extensions={_ERRAND: True, "timeout": httpx.Timeout(10.0).as_dict()},
    )


def _is_read(response: httpx.Response) -> bool:
    return reads_body(response.status_code) or bool(response.request.extensions.get(_ERRAND))
