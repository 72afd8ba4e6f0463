"""A client middleware of aiohttp (``pip install imagxp[aiohttp]``, 3.12 or newer): every request, retry and redirect is
signed anew.

    session = aiohttp.ClientSession(middlewares=[imagxp.aiohttp.Middleware(Agent.from_env(), "RAG_RETRIEVAL")])
"""

from __future__ import annotations

import asyncio
from typing import Any, Union

import aiohttp

from .agent import Agent
from .visits import ERRAND_MAX, ERRAND_S, PEEK_MAX, UNHEARD, UNSENT, Errand, Reply, Visits, reads_body
from .words import OURS, Purpose, user_agent_of

__all__ = ["Middleware"]


class Middleware:
    """Signs as `agent`; the other arguments are those of `imagxp.visits.Visits`."""

    def __init__(self, agent: Agent, purpose: Union[Purpose, str], **visits: Any) -> None:
        self._visits = Visits(agent, purpose, **visits)

    async def __call__(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        steps = self._visits.visit(str(request.url))
        step, response = next(steps), None
        while True:
            if isinstance(step, Errand):
                reply = await _errand(request.session, step)
            else:
                if response is not None:
                    response.release()
                _sign(request, step)
                response = await handler(request)
                # What has no length, or a greater one, is left to whoever wants it: it may have no end.
                short = response.content_length is not None and response.content_length <= PEEK_MAX
                body = await response.read() if short and reads_body(response.status) else b""
                reply = Reply(response.status, response.headers, body)
            try:
                step = steps.send(reply)
            except StopIteration:
                assert response is not None, "the last step is a visit"
                return response


def _sign(request: aiohttp.ClientRequest, headers: dict[str, str]) -> None:
    for name in OURS:
        request.headers.popall(name, None)
    request.headers.update(headers)
    if headers:
        request.headers["User-Agent"] = user_agent_of(request.headers.get("User-Agent", ""))


async def _errand(session: aiohttp.ClientSession, errand: Errand) -> Reply:
    headers = {"User-Agent": user_agent_of(), **errand.headers}
    try:
        # The session's connections, and nothing else of it: its headers, cookies and passwords are not for a broker.
        async with aiohttp.ClientSession(
            connector=session.connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ERRAND_S),
        ) as own:
            async with own.request(
                errand.method, errand.url, headers=headers, data=errand.body or None, allow_redirects=False
            ) as response:
                body = b""
                while len(body) < ERRAND_MAX and (more := await response.content.read(ERRAND_MAX - len(body))):
                    body += more
                return Reply(response.status, response.headers, body)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
        return UNSENT
    except (aiohttp.ClientError, asyncio.TimeoutError):
        return UNHEARD
