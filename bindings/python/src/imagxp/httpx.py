"""`httpx.Auth` (``pip install imagxp[httpx]``): every request, retry and redirect is signed anew.

    client = httpx.Client(auth=imagxp.httpx.Auth(Agent.from_env(), "RAG_RETRIEVAL"))

Let `Auth` follow redirects (``follow_redirects=True``), not the client: where the client follows them itself it sends the
next site nothing of ours, and where that one refuses, the last site is asked again with a signature of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from typing import Any, Optional, Union

import httpx

from .agent import Agent
from .visits import ERRAND_MAX, ERRAND_S, PEEK_MAX, UNHEARD, UNSENT, Errand, Reply, Visits, reads_body
from .words import OURS, Purpose, user_agent_of

__all__ = ["Auth"]

Flow = Generator[Union[httpx.Request, Errand], Any, Any]


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
        flow = self._flow(request)
        answer: Union[Reply, httpx.Response, None] = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration:
                return
            if isinstance(step, Errand):
                answer = self._run(step)
            else:
                answer = yield step
                if reads_body(answer.status_code):
                    _peek(answer)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        flow = self._flow(request)
        answer: Union[Reply, httpx.Response, None] = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration:
                return
            if isinstance(step, Errand):
                answer = await self._arun(step)
            else:
                answer = yield step
                if reads_body(answer.status_code):
                    await _apeek(answer)

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
                body = response.content if response.is_closed and reads_body(response.status_code) else b""
                reply = Reply(response.status_code, response.headers, body)
            try:
                step = steps.send(reply)
            except StopIteration:
                return response

    def _run(self, errand: Errand) -> Reply:
        try:
            with httpx.Client(**self._errands) as client:
                with client.stream(errand.method, errand.url, headers=_named(errand), content=errand.body) as response:
                    body = b""
                    for more in response.iter_bytes(ERRAND_MAX):
                        body += more
                        if len(body) >= ERRAND_MAX:
                            break
                    return Reply(response.status_code, response.headers, body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol):
            return UNSENT
        except httpx.HTTPError:
            return UNHEARD

    async def _arun(self, errand: Errand) -> Reply:
        try:
            async with httpx.AsyncClient(**self._errands) as client:
                async with client.stream(errand.method, errand.url, headers=_named(errand), content=errand.body) as response:
                    body = b""
                    async for more in response.aiter_bytes(ERRAND_MAX):
                        body += more
                        if len(body) >= ERRAND_MAX:
                            break
                    return Reply(response.status_code, response.headers, body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol):
            return UNSENT
        except httpx.HTTPError:
            return UNHEARD


class _Rest(httpx.SyncByteStream, httpx.AsyncByteStream):
    """What was peeked at, and the rest behind it."""

    def __init__(self, head: list[bytes], rest: Any, stream: Any) -> None:
        self._head, self._rest, self._stream = head, rest, stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._head
        yield from self._rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._head:
            yield piece
        async for piece in self._rest:
            yield piece

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _peek(response: httpx.Response) -> None:
    """Reads a body that is as short as a refusal, and leaves a longer one to whoever wants it."""
    if response.is_closed:
        return
    stream: Any = response.stream
    rest, head = iter(stream), []
    for piece in rest:
        head.append(piece)
        if sum(map(len, head)) > PEEK_MAX:
            response.stream = _Rest(head, rest, stream)
            return
    response.stream = _Rest(head, iter(()), stream)
    response.read()


async def _apeek(response: httpx.Response) -> None:
    if response.is_closed:
        return
    stream: Any = response.stream
    rest, head = stream.__aiter__(), []
    async for piece in rest:
        head.append(piece)
        if sum(map(len, head)) > PEEK_MAX:
            response.stream = _Rest(head, rest, stream)
            return
    response.stream = _Rest(head, rest, stream)
    await response.aread()


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


def _named(errand: Errand) -> dict[str, str]:
    return {"User-Agent": user_agent_of(), **errand.headers}
