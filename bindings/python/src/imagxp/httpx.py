"""`httpx.Auth` (``pip install imagxp[httpx]``): every request, retry and redirect is signed anew.

    client = httpx.Client(auth=imagxp.httpx.Auth(Agent.from_env(), "RAG_RETRIEVAL"))

Let `Auth` follow redirects (``follow_redirects=True``), not the client: where the client follows them itself it sends the
next site nothing of ours, and where that one refuses, the last site is asked again with a signature of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Optional, Union

import httpx

from .agent import Agent
from .visits import ERRAND_MAX, ERRAND_S, PEEK_MAX, UNHEARD, UNSENT, Errand, Reply, Visits, reads_body
from .words import OURS, Purpose, user_agent_of

__all__ = ["Auth"]

# A request is answered with its response; an errand, and a response that is to be peeked at, with a `Reply`.
Flow = Generator[Union[httpx.Request, httpx.Response, Errand], Any, Any]


class Auth(httpx.Auth):
    """Signs as `agent`; the other arguments are those of `imagxp.visits.Visits`. For `httpx.Client` and `httpx.AsyncClient`.

    `errands` are arguments of the client that buys visas and asks for discovery documents, such as ``{"proxy": …}``.
    """

    def __init__(
        self,
        agent: Agent,
        purpose: Union[Purpose, str],
        *,
        follow_redirects: bool = False,
        max_redirects: int = 20,
        errands: Optional[Mapping[str, Any]] = None,
        **visits: Any,
    ) -> None:
        self._visits = Visits(agent, purpose, **visits)
        self._max_redirects = max_redirects if follow_redirects else 0
        self._errands = {"timeout": ERRAND_S, **(errands or {}), "follow_redirects": False}

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        flow, answer = self._flow(request), None
        with suppress(StopIteration):
            while True:
                step = flow.send(answer)
                answer = (yield step) if isinstance(step, httpx.Request) else self._do(step)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        flow, answer = self._flow(request), None
        with suppress(StopIteration):
            while True:
                step = flow.send(answer)
                answer = (yield step) if isinstance(step, httpx.Request) else await self._ado(step)

    def _flow(self, request: httpx.Request) -> Flow:
        response = yield from self._visit(request)
        for _ in range(self._max_redirects):
            if response.next_request is None:
                return
            response = yield from self._visit(response.next_request)
        if response.history and reads_body(response.status_code):
            # The client has followed redirects itself, and unsigned. What was not refused is done, and not sent twice.
            yield from self._visit(response.request)

    def _visit(self, request: httpx.Request) -> Flow:
        steps = self._visits.visit(str(request.url))
        step, response = next(steps), None
        while True:
            if isinstance(step, Errand):
                reply = yield step
            else:
                response = yield _signed(request, step)
                if reads_body(response.status_code):
                    reply = yield response
                else:
                    reply = Reply(response.status_code, response.headers)
            try:
                step = steps.send(reply)
            except StopIteration:
                return response

    def _do(self, step: Union[Errand, httpx.Response]) -> Reply:
        if isinstance(step, httpx.Response):
            return _peek(step, PEEK_MAX)
        try:
            with httpx.Client(**self._errands) as client, client.stream(**_arguments(step)) as response:
                return _peek(response, ERRAND_MAX)
        except httpx.HTTPError as error:
            return _unanswered(error)

    async def _ado(self, step: Union[Errand, httpx.Response]) -> Reply:
        if isinstance(step, httpx.Response):
            return await _apeek(step, PEEK_MAX)
        try:
            async with httpx.AsyncClient(**self._errands) as client, client.stream(**_arguments(step)) as response:
                return await _apeek(response, ERRAND_MAX)
        except httpx.HTTPError as error:
            return _unanswered(error)


def _peek(response: httpx.Response, most: int) -> Reply:
    """Reads a body that is no longer than this, and leaves a longer one to whoever wants it."""
    if not response.is_closed:
        body = _Peeked(response, iter(response.stream))  # type: ignore[arg-type]
        if all(body.keep(piece) <= most for piece in body.rest):
            response.read()
    return _reply(response)


async def _apeek(response: httpx.Response, most: int) -> Reply:
    if not response.is_closed:
        body = _Peeked(response, response.stream.__aiter__())  # type: ignore[union-attr]
        async for piece in body.rest:
            if body.keep(piece) > most:
                return _reply(response)
        await response.aread()
    return _reply(response)


class _Peeked(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response's body, of which the head has been read."""

    def __init__(self, response: httpx.Response, rest: Any) -> None:
        self.rest = rest
        self._head: list[bytes] = []
        self._stream: Any = response.stream
        response.stream = self

    def keep(self, piece: bytes) -> int:
        """The length of what has been read."""
        self._head.append(piece)
        return sum(map(len, self._head))

    def __iter__(self) -> Iterator[bytes]:
        yield from self._head
        yield from self.rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._head:
            yield piece
        async for piece in self.rest:
            yield piece

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content if response.is_closed else b"")


def _unanswered(error: httpx.HTTPError) -> Reply:
    return UNSENT if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)) else UNHEARD


def _arguments(errand: Errand) -> dict[str, Any]:
    headers = {"User-Agent": user_agent_of(), **errand.headers}
    return {"method": errand.method, "url": errand.url, "headers": headers, "content": errand.body}


class _Headers(httpx.Headers):
    """A request's headers, and those that are good for its URL alone.

    A client that follows a redirect copies headers to whatever site it leads to, all but Authorization: a visa and a
    signature must not travel. So they are no part of what httpx copies (``Headers(request.headers)``), only of what a
    transport sends (`raw`).
    """

    def __init__(self, headers: httpx.Headers, ours: Mapping[str, str]) -> None:
        super().__init__(headers)
        self._ours = httpx.Headers(ours)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return [*super().raw, *self._ours.raw]

    def __getitem__(self, name: str) -> str:
        return self._ours[name] if name in self._ours else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return name in self._ours or super().__contains__(name)


def _signed(request: httpx.Request, headers: dict[str, str]) -> httpx.Request:
    plain = httpx.Headers(request.headers)
    for name in OURS:
        plain.pop(name, None)
    if headers:
        plain["User-Agent"] = user_agent_of(plain.get("User-Agent", ""))
    request.headers = _Headers(plain, headers)
    return request
