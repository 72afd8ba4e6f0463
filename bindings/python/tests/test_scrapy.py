"""A crawl with Scrapy, in a process of its own, against a real server."""

import json
import subprocess
import sys

import pytest
from conftest import TESTS

from imagxp import Agent

pytest.importorskip("scrapy", reason="Scrapy is tested where it is installed")
pytest.importorskip("uvicorn", reason="Scrapy is tested where its server is installed")
UVICORN = ("python", "-m", "uvicorn", "--factory", "--port", "{port}", "--log-level", "warning")
KEY = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"

CRAWL = """
import json, sys
import scrapy
from scrapy.crawler import CrawlerProcess
from imagxp import Agent
from imagxp.broker import Wallet

pem, name, broker, *urls = sys.argv[1:]
found = []

class Spider(scrapy.Spider):
    name = "spider"
    start_urls = urls
    handle_httpstatus_list = [401, 402, 403]

    def parse(self, response):
        found.append([response.url, response.status, response.text])

process = CrawlerProcess({
    "DOWNLOADER_MIDDLEWARES": {"imagxp.scrapy.Middleware": 950},
    "IMAGXP_AGENT": Agent.from_pem(name, pem, development=True),
    "IMAGXP_PURPOSE": "SUMMARY",
    "IMAGXP_WALLET": Wallet([broker], max_price="0.01") if broker else None,
    "IMAGXP_DISCOVER": not broker and urls[0].endswith("#discover"),
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "LOG_LEVEL": "ERROR",
    "TELNETCONSOLE_ENABLED": False,
})
process.crawl(Spider)
process.start()
print(json.dumps(found))
"""


def crawl(agent, broker, *urls):
    command = [sys.executable, "-c", CRAWL, agent.private_pem, agent.agent_id, broker, *urls]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90, cwd=TESTS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_requests_and_redirects_are_signed_anew(serve, local_agent):
    server = serve(*UVICORN, "apps:fastapi_app")
    found, errors = crawl(local_agent, "", f"{server.origin}/one", f"{server.origin}/moved", f"{server.origin}/two?x=%20y")
    assert len(found) == 3 and all(status == 200 for _, status, _ in found), (found, errors)
    assert any(url.endswith("/a?b=c") for url, _, _ in found)


def test_it_pays(serve, local_agent):
    broker = serve(*UVICORN, "apps:broker_app", KEY=KEY)
    server = serve(*UVICORN, "apps:fastapi_app", BROKER=broker.origin)
    found, errors = crawl(local_agent, broker.origin, f"{server.origin}/one", f"{server.origin}/two")
    assert [status for _, status, _ in found] == [200, 200], (found, errors)
    assert all(json.loads(text)["proof"] == "VISA" for _, _, text in found)


def test_discovery(serve, domain):
    agent = Agent.generate(domain.name, development=True)
    domain.publish(agent.manifest())
    domain.answers["/plain"] = (200, {"Content-Type": "text/plain"}, b"plain")
    found, errors = crawl(agent, "", f"http://{domain.name}/plain#discover")
    assert found and found[0][1:] == [200, "plain"], errors
    assert "/.well-known/imagxp-policy.json" in domain.asked
