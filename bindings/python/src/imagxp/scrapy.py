"""An add-on of Scrapy (``pip install imagxp[scrapy]``, 2.12 or newer). In the project's settings:

    ADDONS = {"imagxp.scrapy.Addon": 900}
    IMAGXP_AGENT = Agent.from_env()           # by default from the environment, too
    IMAGXP_PURPOSE = "CRAWL_TRAINING"
    IMAGXP_WALLET = Wallet(["https://broker.example.com"], max_price="0.01")    # to pay where it is asked for
    IMAGXP_DISCOVER = True                    # to sign only where the site speaks IMAGXP

It signs in the download handlers of http and https, whichever they are: so at the moment of sending, however long a request
has waited (``DOWNLOAD_DELAY``, AutoThrottle), and anew what Scrapy retries or redirects. A downloader middleware would sign
before the request waits for its slot.

What an agent asks for itself (discovery, a visa) and what it sends once more, paid, goes out at once, in the same slot.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any, Callable, Union

import scrapy.exceptions
from scrapy.crawler import Crawler
from scrapy.http import Request, Response
from scrapy.settings import BaseSettings
from scrapy.utils.defer import deferred_from_coro, maybe_deferred_to_future
from scrapy.utils.misc import build_from_crawler, load_object
from twisted.internet.error import ConnectError, DNSLookupError

from .agent import Agent
from .visits import ERRAND_MAX, ERRAND_S, UNHEARD, UNSENT, Errand, Reply, Visits
from .words import OURS, user_agent_of

__all__ = ["Addon"]

Send = Callable[[Request], Awaitable[Response]]

# Newer Scrapy has exceptions of its own for some of Twisted's.
_NEVER_SENT = tuple(
    getattr(scrapy.exceptions, name)
    for name in ("DownloadConnectionRefusedError", "CannotResolveHostError", "UnsupportedURLSchemeError")
    if hasattr(scrapy.exceptions, name)
)


class Addon:
    def update_settings(self, settings: BaseSettings) -> None:
        agent = settings.get("IMAGXP_AGENT") or Agent.from_env()
        wallet, discover = settings.get("IMAGXP_WALLET"), settings.getbool("IMAGXP_DISCOVER")
        visits = Visits(agent, settings["IMAGXP_PURPOSE"], wallet=wallet, discover=discover)
        handlers = dict(settings.getwithbase("DOWNLOAD_HANDLERS"))
        for scheme in ("http", "https"):
            if handlers.get(scheme):
                handlers[scheme] = _lazily(handlers[scheme], visits)
        # Above a spider's custom_settings: what those say is in here.
        settings.set("DOWNLOAD_HANDLERS", handlers, "cmdline")


def _lazily(handler: Any, visits: Visits) -> type:
    """Loads the handler no sooner than Scrapy would: it may import the reactor, which is not chosen yet."""

    class Handler:
        lazy = True

        @classmethod
        def from_crawler(cls, crawler: Crawler) -> Any:
            return build_from_crawler(_signing(load_object(handler), visits), crawler)

    return Handler


def _signing(handler: Any, visits: Visits) -> type:
    """The handler, in its own style: Scrapy calls both."""

    class Signing(handler):  # type: ignore[misc]
        async def download_request(self, request: Request) -> Response:
            return await _visit(visits, request, super().download_request)

    class SigningDeferred(handler):  # type: ignore[misc]
        # As it was until 2.13.
        def download_request(self, request: Request, spider: Any) -> Any:
            download = super().download_request
            return deferred_from_coro(_visit(visits, request, lambda one: maybe_deferred_to_future(download(one, spider))))

    return Signing if inspect.iscoroutinefunction(handler.download_request) else SigningDeferred


async def _visit(visits: Visits, request: Request, send: Send) -> Response:
    steps = visits.visit(request.url)
    step, response = next(steps), None
    while True:
        if isinstance(step, Errand):
            reply = await _errand(step, request, send)
        else:
            response = await _send_signed(request, step, send)
            reply = _reply(response)
        try:
            step = steps.send(reply)
        except StopIteration:
            assert response is not None, "the last step is a visit"
            return response


async def _send_signed(request: Request, headers: dict[str, str], send: Send) -> Response:
    """The request itself stays as it was: Scrapy copies its headers to wherever a redirect leads."""
    signed = request.copy()
    for name in OURS:
        signed.headers.pop(name, None)
    for name, value in headers.items():
        signed.headers[name] = value
    if headers:
        signed.headers["User-Agent"] = user_agent_of((request.headers.get("User-Agent") or b"").decode("latin-1"))
    try:
        return await send(signed)
    finally:
        # What handlers leave there: AutoThrottle reads download_latency.
        request.meta.update(signed.meta)


async def _errand(errand: Errand, request: Request, send: Send) -> Reply:
    """Has nothing of the visit, its cookies and passwords least of all, but the way out: the proxy."""
    headers: dict[str, Union[str, bytes]] = {"User-Agent": user_agent_of(), **errand.headers}
    meta: dict[str, Any] = {"download_timeout": ERRAND_S, "download_maxsize": ERRAND_MAX}
    if "proxy" in request.meta:
        meta["proxy"] = request.meta["proxy"]
    if "Proxy-Authorization" in request.headers:
        headers["Proxy-Authorization"] = request.headers["Proxy-Authorization"] or b""
    try:
        return _reply(await send(Request(errand.url, method=errand.method, headers=headers, body=errand.body, meta=meta)))
    except (ConnectError, DNSLookupError, *_NEVER_SENT):
        return UNSENT
    except Exception:
        return UNHEARD


def _reply(response: Response) -> Reply:
    headers = {name.decode("latin-1").lower(): values[-1] for name, values in response.headers.items() if values}
    return Reply(response.status, {name: value.decode("latin-1") for name, value in headers.items()}, response.body)
