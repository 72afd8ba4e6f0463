"""A crawl with Scrapy, in a process of its own, against a real server."""

import json
import subprocess
import sys

import pytest
from conftest import TESTS

pytest.importorskip("scrapy", reason="Scrapy is tested where it is installed")
pytest.importorskip("uvicorn", reason="Scrapy is tested where its server is installed")
UVICORN = ("python", "-m", "uvicorn", "--factory", "--port", "{port}", "--log-level", "warning")
KEY = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"

CRAWL = """
import inspect, json, sys
import scrapy
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import CrawlerProcess
from scrapy.utils.defer import deferred_from_coro
from imagxp import Agent
from imagxp.broker import Wallet

pem, name, broker, settings, *urls = sys.argv[1:]
settings = json.loads(settings)
found, sent = [], []
wallet = Wallet([broker], max_price="0.01") if broker else None

class Counting(HTTP11DownloadHandler):
    '''As handlers were until Scrapy 2.13.'''
    def download_request(self, request, spider):
        sent.append(request.url)
        download = super().download_request
        if inspect.iscoroutinefunction(download):
            return deferred_from_coro(download(request))
        return download(request, spider)

class Spider(scrapy.Spider):
    name = "spider"
    start_urls = urls
    handle_httpstatus_list = [401, 402, 403]
    custom_settings = {"DOWNLOAD_HANDLERS": {"http": Counting}} if settings.pop("COUNTING", False) else {}

    def parse(self, response):
        ours = [key for key in response.request.headers if key.lower().startswith(b"x-imagxp")]
        assert not ours and "download_latency" in response.meta
        found.append([response.url, response.status, response.text])

process = CrawlerProcess({
    "ADDONS": {"imagxp.scrapy.Addon": 900},
    "IMAGXP_AGENT": Agent.from_pem(name, pem, development=True),
    "IMAGXP_PURPOSE": "SUMMARY",
    "IMAGXP_WALLET": wallet,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "LOG_LEVEL": "ERROR",
    "TELNETCONSOLE_ENABLED": False,
    **settings,
})
process.crawl(Spider)
process.start()
print(json.dumps({"found": found, "sent": sent, "spent": str(wallet.spent) if wallet else ""}))
"""


def crawled(agent, *urls, broker="", **settings):
    command = [sys.executable, "-c", CRAWL, agent.private_pem, agent.agent_id, broker, json.dumps(settings), *urls]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90, cwd=TESTS)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_requests_and_redirects_are_signed_anew(serve, local_agent):
    server = serve(*UVICORN, "apps:fastapi_app")
    found = crawled(local_agent, f"{server.origin}/one", f"{server.origin}/moved", f"{server.origin}/two?x=%20y")["found"]
    assert len(found) == 3 and all(status == 200 for _, status, _ in found), found
    assert any(url.endswith("/a?b=c") for url, _, _ in found)


def test_a_request_is_signed_when_it_is_sent(serve, local_agent):
    """Not when it begins to wait for its slot: the last of these waits longer than the publisher's window."""
    server = serve(*UVICORN, "apps:fastapi_app", POLICY='{"window": 2000}')
    urls = [f"{server.origin}/{number}" for number in range(6)]
    found = crawled(local_agent, *urls, DOWNLOAD_DELAY=1)["found"]
    assert [status for _, status, _ in found] == [200] * 6, found


def test_whatever_handler_the_spider_has(serve, local_agent):
    server = serve(*UVICORN, "apps:fastapi_app")
    said = crawled(local_agent, f"{server.origin}/one", COUNTING=True)
    assert [row[1] for row in said["found"]] == [200] and said["sent"] == [f"{server.origin}/one"], said


def test_it_pays(serve, local_agent):
    broker = serve(*UVICORN, "apps:broker_app", KEY=KEY)
    server = serve(*UVICORN, "apps:fastapi_app", BROKER=broker.origin)
    found = crawled(local_agent, f"{server.origin}/one", f"{server.origin}/two", broker=broker.origin)["found"]
    assert [status for _, status, _ in found] == [200, 200], found
    assert all(json.loads(text)["proof"] == "VISA" for _, _, text in found)


def test_what_was_not_ordered_is_not_paid(local_agent, domain):
    domain.answers["/a"] = (402, {"x-imagxp-broker": "http://localhost:1", "x-imagxp-price": "0.001"}, b"{}")
    said = crawled(local_agent, f"http://{domain.name}/a", broker="http://localhost:1")
    assert said["found"][0][1] == 402 and float(said["spent"]) == 0


def test_discovery(local_agent, domain):
    """The errand has nothing of the visit: neither its headers nor its cookies."""
    domain.answers["/plain"] = (200, {"Content-Type": "text/plain"}, b"plain")
    secret = {"Authorization": "Bearer secret", "Cookie": "secret=1"}
    url = f"http://{domain.name}/plain"
    found = crawled(local_agent, url, IMAGXP_DISCOVER=True, DEFAULT_REQUEST_HEADERS=secret)["found"]
    assert found == [[url, 200, "plain"]]
    errand, visit = [headers for _, path, headers in domain.seen if path != "/.well-known/imagxp-agent.json"]
    assert "authorization" not in errand and "cookie" not in errand and "authorization" in visit
    assert domain.asked[0] == "/.well-known/imagxp-policy.json" and "x-imagxp-payload" not in visit
