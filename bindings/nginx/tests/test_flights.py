"""Fetches that nobody waits for any more: they end, whatever the other side does."""

import concurrent.futures
import time

from test_fetch import drip


def endless(handler, ended):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
    except OSError:
        ended.append(time.monotonic())


def test_a_fetch_that_begins_after_its_time(start, agents):
    """The second worker waits for the first one's document, and then has nobody left to fetch it for."""
    site, agent = start(workers=2), agents.agent()
    begun, ended = [], []

    def answer(handler):
        begun.append(time.monotonic())
        drip(handler, 0.2) if len(begun) == 1 else endless(handler, ended)

    agents.answers[agent.agent_id] = answer
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: site.visit(agent), range(16)))
    assert {answer.status for answer in answers} <= {403, 503}
    assert len({answer.headers["x-worker"] for answer in answers}) == 2
    site.wait(lambda: len(begun) > 1)
    site.wait(lambda: len(ended) == len(begun) - 1, 4)
