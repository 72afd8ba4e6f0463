"""`requests.auth.AuthBase` (``pip install imagxp[requests]``): every request, retry and redirect is signed anew.

session.auth = imagxp.requests.Auth(Agent.from_env(), "RAG_RETRIEVAL")
"""

from __future__ import annotations

from typing import Any, Optional, Union
from urllib.parse import urljoin, urlparse

import requests
from requests.auth import AuthBase
from requests.utils import requote_uri
from urllib3.exceptions import NewConnectionError

from .agent import Agent
from .errors import ImagxpError
from .visits import ERRAND_MAX, ERRAND_S, PEEK_MAX, UNHEARD, UNSENT, Errand, Reply, Steps, Visits, reads_body
from .words import OURS, Purpose, user_agent_of

__all__ = ["Auth"]


class Auth(AuthBase):
    """Signs as `agent`; the other arguments are those of `imagxp.visits.Visits`."""

    def __init__(self, agent: Agent, purpose: Union[Purpose, str], **visits: Any) -> None:
        self._visits = Visits(agent, purpose, **visits)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", _Visit(self._visits, request))  # type: ignore[no-untyped-call]
        return request


class _Visit:
    """One request and its redirects: the hook that requests calls with each answer."""

    def __init__(self, visits: Visits, request: requests.PreparedRequest) -> None:
        self._visits = visits
        self._begin(request, str(request.url))

    def __call__(self, response: requests.Response, **arguments: Any) -> requests.Response:
        request = response.request
        response = self._go_on(response, **arguments)
        if response.is_redirect:
            # Session.resolve_redirects makes the next request as a copy of this one, whether it is to be sent or not.
            _sign(request, self._begin_next(response))
        return response

    def _begin(self, request: requests.PreparedRequest, url: str) -> None:
        self._held: Optional[Errand] = None
        self._steps: Optional[Steps] = self._visits.visit(url)
        _sign(request, self._run_errands(next(self._steps)))

    def _begin_next(self, response: requests.Response) -> dict[str, str]:
        """The headers for where a redirect leads; none for what cannot be signed, or would take an errand first.

        Nobody may follow it: so an errand is held back until that site has refused.
        """
        self._held = self._steps = None
        try:
            steps = self._visits.visit(_next_url(response))
            step = next(steps)
        except (ImagxpError, ValueError):
            return {}
        self._steps = steps
        if isinstance(step, Errand):
            self._held = step
            return {}
        return step

    def _go_on(self, response: requests.Response, **arguments: Any) -> requests.Response:
        while self._steps is not None:
            held, self._held = self._held, None
            if held is not None and not reads_body(response.status_code):
                return response
            try:
                step = held or self._steps.send(_reply(response, arguments.get("stream", False)))
                headers = self._run_errands(step)
            except StopIteration:
                return response
            if held is not None and not headers:
                return response
            response = self._again(response, headers, **arguments)
        return response

    def _again(self, response: requests.Response, headers: dict[str, str], **arguments: Any) -> requests.Response:
        # Drained, so that the connection can be used again, unless it may have no end.
        if _is_short(response):
            _ = response.content
        response.close()
        again = response.request.copy()
        again.hooks = {"response": []}
        _sign(again, headers)
        answer: requests.Response = response.connection.send(again, **arguments)
        answer.history.append(response)
        answer.request = again
        return answer

    def _run_errands(self, step: Any) -> dict[str, str]:
        """The headers of the next visit. Raises `StopIteration` where there is none."""
        while isinstance(step, Errand):
            try:
                reply = _errand(step)
            except (requests.ConnectTimeout, requests.exceptions.InvalidSchema):
                reply = UNSENT
            except requests.ConnectionError as error:
                reason = getattr(error.args[0] if error.args else None, "reason", None)
                reply = UNSENT if isinstance(reason, NewConnectionError) else UNHEARD
            except requests.RequestException:
                reply = UNHEARD
            assert self._steps is not None
            step = self._steps.send(reply)
        headers: dict[str, str] = step
        return headers


def _errand(errand: Errand) -> Reply:
    headers = {"User-Agent": user_agent_of(), **errand.headers}
    with requests.request(
        errand.method, errand.url, headers=headers, data=errand.body, timeout=ERRAND_S, allow_redirects=False, stream=True
    ) as response:
        body = response.raw.read(ERRAND_MAX, decode_content=True)
        return Reply(response.status_code, response.headers, body)


def _is_short(response: requests.Response) -> bool:
    length = response.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) <= PEEK_MAX


def _reply(response: requests.Response, streams: bool) -> Reply:
    """Where the caller streams, what has no length or a greater one is left to him: it may have no end."""
    body = response.content if reads_body(response.status_code) and (_is_short(response) or not streams) else b""
    return Reply(response.status_code, response.headers, body)


def _sign(request: requests.PreparedRequest, headers: dict[str, str]) -> None:
    for name in OURS:
        request.headers.pop(name, None)
    request.headers.update(headers)
    if headers:
        request.headers["User-Agent"] = user_agent_of(request.headers.get("User-Agent") or "")


def _next_url(response: requests.Response) -> str:
    """As requests.sessions.SessionRedirectMixin.resolve_redirects makes it."""
    target = requests.sessions.SessionRedirectMixin().get_redirect_target(response) or ""
    if target.startswith("//"):
        target = f"{urlparse(response.url).scheme}:{target}"
    parts = urlparse(target)
    return requote_uri(parts.geturl()) if parts.netloc else urljoin(response.url, requote_uri(parts.geturl()))
