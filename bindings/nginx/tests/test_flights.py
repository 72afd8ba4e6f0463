"""Fetches that nobody waits for any more: they end, whatever the other side does."""

import http.client
import os
import signal
import time

from publisher import sign
from test_fetch import drip


def endless(handler, ended):
    try:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
    except OSError:
        ended.append(time.monotonic())


def connect(site):
    """A connection to each worker."""
    found = {}
    while len(found) < 2:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
        connection.request("HEAD", "/a")
        answer = connection.getresponse()
        answer.read()
        found.setdefault(int(answer.headers["X-Worker"]), connection)
    return found.items()


def test_a_fetch_that_begins_after_its_time(start, agents):
    """A worker waits for the other's document, in vain; when it may fetch it, it has nobody left to fetch it for."""
    site, agent = start(workers=2), agents.agent()
    begun, ended = [], []

    def answer(handler):
        begun.append(handler)
        drip(handler, 0.2) if len(begun) == 1 else endless(handler, ended)

    agents.answers[agent.agent_id] = answer
    (first, one), (_, other) = connect(site)
    one.request("GET", "/a", headers=dict(sign(agent)))
    site.wait(lambda: begun)
    os.kill(first, signal.SIGSTOP)
    try:
        other.request("GET", "/a", headers=dict(sign(agent)))
        assert other.getresponse().headers["X-Code"] == "IDENTITY_PENDING"
        time.sleep(2)  # the lock's two seconds are over: it has begun, and rarely ended before it sent its request
        site.wait(lambda: len(ended) == len(begun) - 1, 4)
    finally:
        os.kill(first, signal.SIGCONT)
    assert one.getresponse().status in (403, 503)
    one.close()
    other.close()
