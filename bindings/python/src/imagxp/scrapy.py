"""A downloader middleware of Scrapy (``pip install imagxp[scrapy]``). In the project's settings:

    DOWNLOADER_MIDDLEWARES = {"imagxp.scrapy.Middleware": 950}
    IMAGXP_AGENT = Agent.from_env()           # by default from the environment, too
    IMAGXP_PURPOSE = "CRAWL_TRAINING"
    IMAGXP_WALLET = Wallet(["https://broker.example.com"], max_price="0.01")    # to pay where it is asked for
    IMAGXP_DISCOVER = True                    # to sign only where the site speaks IMAGXP

It stands next to the downloader (950): so what Scrapy retries or redirects comes through it again, and is signed anew.
"""

from __future__ import annotations

from typing import Any, Optional, Union

import scrapy
from scrapy.crawler import Crawler
from scrapy.http import Request, Response

from .agent import Agent
from .visits import UNHEARD, Errand, Reply, Steps, Visits
from .words import OURS, user_agent_of

__all__ = ["Middleware"]

# In the meta of a request that this middleware sends itself.
_ERRAND = "imagxp_errand"
# In the meta of a visit: what comes next, and the headers of a visit that is sent once more.
_STEPS, _HEADERS = "imagxp_steps", "imagxp_headers"


class Middleware:
    def __init__(self, visits: Visits, crawler: Crawler) -> None:
        self._visits, self._crawler = visits, crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Middleware:
        settings = crawler.settings
        agent = settings.get("IMAGXP_AGENT") or Agent.from_env()
        wallet, discover = settings.get("IMAGXP_WALLET"), settings.getbool("IMAGXP_DISCOVER")
        return cls(Visits(agent, settings["IMAGXP_PURPOSE"], wallet=wallet, discover=discover), crawler)

    async def process_request(self, request: Request, spider: Optional[scrapy.Spider] = None) -> Optional[Response]:
        if _ERRAND in request.meta:
            return None
        headers = request.meta.pop(_HEADERS, None)
        if headers is None:
            steps = self._visits.visit(request.url)
            headers = await self._run_errands(steps, next(steps))
            request.meta[_STEPS] = steps
        _sign(request, headers)
        return None

    async def process_response(
        self, request: Request, response: Response, spider: Optional[scrapy.Spider] = None
    ) -> Union[Request, Response]:
        steps: Optional[Steps] = request.meta.pop(_STEPS, None)
        if steps is None:
            return response
        try:
            step = steps.send(_reply(response))
            headers = await self._run_errands(steps, step)
        except StopIteration:
            return response
        again = request.copy()
        again.dont_filter = True
        again.meta[_STEPS], again.meta[_HEADERS] = steps, headers
        return again

    async def _run_errands(self, steps: Steps, step: Any) -> dict[str, str]:
        while isinstance(step, Errand):
            step = steps.send(await self._errand(step))
        headers: dict[str, str] = step
        return headers

    async def _errand(self, errand: Errand) -> Reply:
        meta = {_ERRAND: True, "dont_redirect": True, "dont_retry": True, "handle_httpstatus_all": True, "download_timeout": 10}
        headers = {"User-Agent": user_agent_of(), **errand.headers}
        request = Request(errand.url, method=errand.method, headers=headers, body=errand.body, meta=meta, dont_filter=True)
        try:
            return _reply(await _download(self._crawler, request))
        except Exception:
            return UNHEARD


async def _download(crawler: Crawler, request: Request) -> Response:
    assert crawler.engine is not None
    if hasattr(crawler.engine, "download_async"):
        response: Response = await crawler.engine.download_async(request)
        return response
    from scrapy.utils.defer import maybe_deferred_to_future

    return await maybe_deferred_to_future(crawler.engine.download(request))


def _reply(response: Response) -> Reply:
    headers = {name.decode("latin-1").lower(): values[-1] for name, values in response.headers.items() if values}
    return Reply(response.status, {name: value.decode("latin-1") for name, value in headers.items()}, response.body)


def _sign(request: Request, headers: dict[str, str]) -> None:
    for name in OURS:
        request.headers.pop(name, None)
    for name, value in headers.items():
        request.headers[name] = value
    if headers:
        request.headers["User-Agent"] = user_agent_of((request.headers.get("User-Agent") or b"").decode("latin-1"))
