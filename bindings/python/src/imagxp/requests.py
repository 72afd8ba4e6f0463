"""`requests.auth.AuthBase` (``pip install imagxp[requests]``): every request, retry and redirect is signed anew.

session.auth = imagxp.requests.Auth(Agent.from_env(), "RAG_RETRIEVAL")
"""

from __future__ import annotations

from typing import Any, Union
from urllib.parse import urljoin, urlparse

import requests
from requests.auth import AuthBase
from requests.utils import requote_uri

from .agent import Agent
from .visits import ERRAND_MAX, ERRAND_S, Errand, Reply, Steps, Visits, reads_body
from .words import HEADER_CREDENTIAL, HEADER_KEY, HEADER_PAYLOAD, HEADER_PUBLIC_KEY, HEADER_SIGNATURE, Purpose, user_agent_of

__all__ = ["Auth"]

_OURS = (HEADER_PAYLOAD, HEADER_SIGNATURE, HEADER_PUBLIC_KEY, HEADER_KEY, HEADER_CREDENTIAL)
_STEPS = "_imagxp_steps"


class Auth(AuthBase):
    """Signs as `agent`; the other arguments are those of `imagxp.visits.Visits`."""

    def __init__(self, agent: Agent, purpose: Union[Purpose, str], **visits: Any) -> None:
        self._visits = Visits(agent, purpose, **visits)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self._begin(request, str(request.url))
        request.register_hook("response", self._answered)  # type: ignore[no-untyped-call]
        return request

    def _begin(self, request: requests.PreparedRequest, url: str) -> None:
        steps = self._visits.visit(url)
        setattr(request, _STEPS, steps)
        _sign(request, _run_errands(steps, next(steps)))

    def _answered(self, response: requests.Response, **arguments: Any) -> requests.Response:
        response = self._go_on(response, **arguments)
        if response.is_redirect:
            # Session.resolve_redirects sends a copy of this request to the next URL.
            self._begin(response.request, _next_url(response))
        return response

    def _go_on(self, response: requests.Response, **arguments: Any) -> requests.Response:
        request = response.request
        steps: Steps = getattr(request, _STEPS)
        try:
            headers = _run_errands(steps, steps.send(_reply(response)))
        except StopIteration:
            return response
        # Drained, so that the connection can be used again.
        response.content  # noqa: B018
        response.close()
        again = request.copy()
        _sign(again, headers)
        setattr(again, _STEPS, steps)
        again.hooks["response"] = []
        answer: requests.Response = response.connection.send(again, **arguments)
        answer.history.append(response)
        answer.request = again
        return answer


def _run_errands(steps: Steps, step: Any) -> dict[str, str]:
    """The headers of the next visit. Raises `StopIteration` where there is none."""
    while isinstance(step, Errand):
        try:
            reply = _errand(step)
        except requests.RequestException:
            reply = Reply(0, {})
        step = steps.send(reply)
    headers: dict[str, str] = step
    return headers


def _errand(errand: Errand) -> Reply:
    headers = {"User-Agent": user_agent_of(), **errand.headers}
    with requests.request(
        errand.method, errand.url, headers=headers, data=errand.body, timeout=ERRAND_S, allow_redirects=False, stream=True
    ) as response:
        body = response.raw.read(ERRAND_MAX, decode_content=True)
        return Reply(response.status_code, response.headers, body)


def _reply(response: requests.Response) -> Reply:
    body = response.content if reads_body(response.status_code) else b""
    return Reply(response.status_code, response.headers, body)


def _sign(request: requests.PreparedRequest, headers: dict[str, str]) -> None:
    for name in _OURS:
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
