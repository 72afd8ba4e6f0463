"""The HTTP clients against real servers: each request, retry and redirect is signed anew; visas are bought where asked."""

import asyncio
import contextlib
import itertools
import json
import socket
import threading
from decimal import Decimal

import pytest

from imagxp import Agent
from imagxp.broker import Issuer, Wallet

httpx = pytest.importorskip("httpx", reason="the clients are tested where their packages are installed")
requests = pytest.importorskip("requests", reason="the clients are tested where their packages are installed")
aiohttp = pytest.importorskip("aiohttp", reason="the clients are tested where their packages are installed")
pytest.importorskip("uvicorn", reason="the clients are tested where their packages are installed")

UVICORN = ("python", "-m", "uvicorn", "--factory", "--port", "{port}", "--log-level", "warning")


def by_httpx(agent, url, hops=0, **arguments):
    from imagxp.httpx import Auth

    with httpx.Client(auth=Auth(agent, "SUMMARY", follow_redirects=hops > 0, **arguments), trust_env=False) as client:
        return [(answer.status_code, answer.text) for answer in (client.get(url), client.get(url))]


def by_httpx_that_follows(agent, url, hops=0, **arguments):
    from imagxp.httpx import Auth

    with httpx.Client(auth=Auth(agent, "SUMMARY", **arguments), follow_redirects=hops > 0, trust_env=False) as client:
        return [(answer.status_code, answer.text) for answer in (client.get(url), client.get(url))]


def by_async_httpx(agent, url, hops=0, **arguments):
    from imagxp.httpx import Auth

    async def run():
        auth = Auth(agent, "SUMMARY", follow_redirects=hops > 0, **arguments)
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            return [(answer.status_code, answer.text) for answer in (await client.get(url), await client.get(url))]

    return asyncio.run(run())


def by_requests(agent, url, hops=0, **arguments):
    from imagxp.requests import Auth

    with requests.Session() as session:
        session.auth, session.trust_env = Auth(agent, "SUMMARY", **arguments), False
        answers = [session.get(url, allow_redirects=hops > 0) for _ in range(2)]
        return [(answer.status_code, answer.text) for answer in answers]


def by_aiohttp(agent, url, hops=0, **arguments):
    from imagxp.aiohttp import Middleware

    async def run():
        async with aiohttp.ClientSession(middlewares=[Middleware(agent, "SUMMARY", **arguments)]) as session:
            answers = []
            for _ in range(2):
                async with session.get(url, allow_redirects=hops > 0) as answer:
                    answers.append((answer.status, await answer.text()))
            return answers

    return asyncio.run(run())


CLIENTS = [by_httpx, by_httpx_that_follows, by_async_httpx, by_requests, by_aiohttp]
every_client = pytest.mark.parametrize("client", CLIENTS, ids=[client.__name__[3:] for client in CLIENTS])


@every_client
def test_each_request_is_signed_anew(serve, local_agent, client):
    server = serve(*UVICORN, "apps:fastapi_app")
    url = f"{server.origin}/a?b=c d#part".replace(" ", "%20")
    for status, text in client(local_agent, url):
        assert status == 200 and json.loads(text)["agent"] == local_agent.agent_id


def endless():
    """A server that refuses with a body that has no end."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 403 No\r\n\r\n")
                    while True:
                        connection.sendall(b"x" * 65_536)

    threading.Thread(target=run, daemon=True).start()
    return listener


def test_no_more_of_a_refusal_is_read_than_must_be(local_agent):
    listener = endless()
    url = f"http://localhost:{listener.getsockname()[1]}/a"
    from imagxp.aiohttp import Middleware
    from imagxp.httpx import Auth
    from imagxp.requests import Auth as RequestsAuth

    with httpx.Client(auth=Auth(local_agent, "SUMMARY"), trust_env=False) as client:
        with client.stream("GET", url) as answer:
            read = b"".join(itertools.islice(answer.iter_raw(1000), 100))
            assert answer.status_code == 403 and read == b"x" * 100_000, "nothing is lost by the peek"

    async def by_async():
        async with httpx.AsyncClient(auth=Auth(local_agent, "SUMMARY"), trust_env=False) as client:
            async with client.stream("GET", url) as answer:
                pieces = answer.aiter_raw(10_000)
                read = [await pieces.__anext__() for _ in range(10)]
                await pieces.aclose()
                assert answer.status_code == 403 and b"".join(read) == b"x" * 100_000
        async with aiohttp.ClientSession(middlewares=[Middleware(local_agent, "SUMMARY")]) as session:
            async with session.get(url) as answer:
                assert answer.status == 403 and await answer.content.readexactly(100_000)

    asyncio.run(asyncio.wait_for(by_async(), 60))
    with requests.Session() as session:
        session.auth, session.trust_env = RequestsAuth(local_agent, "SUMMARY"), False
        with session.get(url, stream=True) as answer:
            assert answer.status_code == 403 and len(answer.raw.read(100_000)) == 100_000
    listener.close()


def test_redirects_that_are_not_followed(local_agent, domain, elsewhere):
    """No errand goes where nobody follows, and no Location is an error of the visit."""
    domain.answers["/a"] = (302, {"Location": f"http://{elsewhere.name}/b"}, b"")
    domain.answers["/.well-known/imagxp-policy.json"] = (200, {}, b'{"version":"1.1"}')
    assert by_requests(local_agent, f"http://{domain.name}/a", discover=True) == [(302, "")] * 2
    assert elsewhere.asked == []
    elsewhere.answers["/.well-known/imagxp-policy.json"] = (200, {}, b'{"version":"1.1"}')
    elsewhere.answers["/b"] = (401, {}, b"{}")
    assert by_requests(local_agent, f"http://{domain.name}/a", hops=1, discover=True)[0][0] == 401
    signed = ["x-imagxp-payload" in headers for _, path, headers in elsewhere.seen if path == "/b"]
    assert signed == [False, True, True], "discovered once it had refused, and known the second time"
    domain.answers["/a"] = (302, {"Location": f"http://{elsewhere.name}/" + "x" * 3000}, b"")
    elsewhere.seen.clear()
    assert by_requests(local_agent, f"http://{domain.name}/a", hops=1)[0][0] == 404
    assert not [name for name in elsewhere.seen[0][2] if name.startswith("x-imagxp")]


def test_a_redirect_behind_a_payment(local_agent, domain, elsewhere):
    """What was signed and paid for the first site is not what the second one gets."""
    wallet = Wallet(["https://broker.example.com"], max_price="0.01")
    visa = Issuer("https://broker.example.com", "1" * 64).issue(domain.name, "0.001")

    class Answers(dict):
        def get(self, path, default):
            if len(domain.seen) == 1:
                # Somebody else has bought one meanwhile.
                wallet.keep(f"http://{domain.name}", visa)
                return 402, {}, b"{}"
            return 302, {"Location": f"http://{elsewhere.name}/b"}, b""

    domain.answers, elsewhere.answers["/b"] = Answers(), (200, {}, b"done")
    from imagxp.requests import Auth

    with requests.Session() as session:
        session.auth, session.trust_env = Auth(local_agent, "SUMMARY", wallet=wallet), False
        assert session.get(f"http://{domain.name}/a").text == "done"
    unpaid, paid = [headers for _, _, headers in domain.seen]
    ((_, _, last),) = elsewhere.seen
    assert "x-imagxp-credential" not in unpaid and paid["x-imagxp-credential"] == visa and "x-imagxp-credential" not in last
    assert len({headers["x-imagxp-payload"] for headers in (unpaid, paid, last)}) == 3


def test_an_errand_has_nothing_of_the_session(local_agent, domain):
    from imagxp.aiohttp import Middleware

    async def run():
        middlewares = [Middleware(local_agent, "SUMMARY", discover=True)]
        headers = {"Authorization": "Bearer secret", "Cookie": "secret=1"}
        async with aiohttp.ClientSession(middlewares=middlewares, headers=headers) as session:
            await session.get(f"http://{domain.name}/a")

    asyncio.run(run())
    (errand,) = [headers for _, path, headers in domain.seen if path.endswith("policy.json")]
    assert "authorization" not in errand and "cookie" not in errand


@every_client
def test_each_redirect_is_signed_anew(serve, local_agent, client):
    server = serve(*UVICORN, "apps:fastapi_app")
    for status, text in client(local_agent, f"{server.origin}/moved", hops=1):
        assert status == 200 and json.loads(text)["agent"] == local_agent.agent_id


@every_client
def test_discovery(serve, local_agent, client, domain):
    domain.answers["/a"] = (200, {}, b"plain")
    assert client(local_agent, f"http://{domain.name}/a", discover=True) == [(200, "plain")] * 2
    assert domain.asked.count("/.well-known/imagxp-policy.json") == 1
    server = serve(*UVICORN, "apps:asgi_app")
    assert client(local_agent, f"{server.origin}/a", discover=True)[0] == (200, local_agent.agent_id)
    assert client(local_agent, f"{server.origin}/.well-known/imagxp-policy.json", discover=True)[0][0] == 200


def test_stale_signatures_do_not_travel(local_agent, domain):
    """Where a client of httpx leaves redirects to Auth, the next site never sees the headers of this one."""
    seen = []

    def answer(request):
        seen.append(request)
        if request.url.path == "/one":
            return httpx.Response(302, headers={"Location": "https://two.example.com/two"})
        return httpx.Response(200)

    from imagxp.httpx import Auth

    auth = Auth(local_agent, "SUMMARY", follow_redirects=True)
    with httpx.Client(auth=auth, transport=httpx.MockTransport(answer)) as client:
        assert client.get("https://one.example.com/one").status_code == 200
    payloads = {request.headers["x-imagxp-payload"] for request in seen}
    assert len(seen) == len(payloads) == 2 and seen[1].url.host == "two.example.com"
    assert all(request.headers["user-agent"].endswith("IMAGXP/1.1") for request in seen)


def sent_by_httpx(kind, local_agent, wallet, method, url):
    from imagxp.httpx import Auth

    arguments = {"auth": Auth(local_agent, "SUMMARY", wallet=wallet), "follow_redirects": True, "trust_env": False}
    if kind == "sync":
        with httpx.Client(**arguments) as client:
            return client.request(method, url).status_code

    async def run():
        async with httpx.AsyncClient(**arguments) as client:
            return (await client.request(method, url)).status_code

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_visa_does_not_travel(local_agent, domain, elsewhere, kind):
    """Though the client follows redirects itself, and httpx copies every header but Authorization."""
    wallet = Wallet(["https://broker.example.com"], max_price="0.01")
    wallet.keep(f"http://{domain.name}", Issuer("https://broker.example.com", "1" * 64).issue(domain.name, "0.001"))
    for status, method in ((302, "GET"), (307, "POST"), (308, "POST")):
        domain.answers["/a"] = (status, {"Location": f"http://{elsewhere.name}/b"}, b"")
        elsewhere.answers["/b"] = (200, {}, b"done")
        domain.seen.clear(), elsewhere.seen.clear()
        assert sent_by_httpx(kind, local_agent, wallet, method, f"http://{domain.name}/a") == 200
        assert {"x-imagxp-payload", "x-imagxp-credential"} <= set(domain.seen[0][2])
        assert [row[:2] for row in elsewhere.seen] == [(method, "/b")], "what was not refused is sent once"
        assert not [name for name in elsewhere.seen[0][2] if name.startswith("x-imagxp")]
    elsewhere.answers["/b"] = (401, {}, b"{}")
    elsewhere.seen.clear()
    assert sent_by_httpx(kind, local_agent, wallet, "GET", f"http://{domain.name}/a") == 401
    again = elsewhere.seen[1][2]
    assert len(elsewhere.seen) == 2 and "x-imagxp-payload" in again and "x-imagxp-credential" not in again


@pytest.mark.parametrize(
    ("broker", "price", "why"),
    [
        ("https://evil.example.com", "0.001", "not one of this wallet's brokers"),
        ("https://broker.example.com", "0.02", "more than this wallet's max_price"),
        ("https://broker.example.com", "1e-3", "not a decimal"),
        ("https://broker.example.com", "-1", "not a decimal"),
        ("https://broker.example.com", "0.009", "max_total"),
    ],
)
def test_strangers_do_not_reach_the_purse(broker, price, why, caplog):
    from imagxp.httpx import Auth

    asked = []

    def answer(request):
        asked.append(request.url.host)
        return httpx.Response(402, headers={"x-imagxp-broker": broker, "x-imagxp-price": price})

    wallet = Wallet(["https://broker.example.com/"], max_price="0.01", max_total="0.005")
    auth = Auth(Agent.generate("bot.example.com"), "SUMMARY", wallet=wallet)
    with httpx.Client(auth=auth, transport=httpx.MockTransport(answer)) as client:
        assert client.get("https://pub.example.com/a").status_code == 402
    assert asked == ["pub.example.com"] and wallet.spent == 0 and why in caplog.text


@pytest.mark.parametrize(
    "answer", [(500, b"no"), (200, b"{}"), (200, b'{"token":"x"}'), (200, b'{"token":"a.b.c"}'), (402, b'{"error":"X"}')]
)
def test_brokers_that_sell_nothing(answer):
    from imagxp.httpx import Auth

    def refuse(request):
        return httpx.Response(402, headers={"x-imagxp-broker": "https://broker.example.com", "x-imagxp-price": "0.001"})

    broker = httpx.MockTransport(lambda request: httpx.Response(answer[0], content=answer[1]))
    wallet = Wallet(["https://broker.example.com"], max_price="0.01")
    auth = Auth(Agent.generate("bot.example.com"), "SUMMARY", wallet=wallet, errands={"transport": broker})
    with httpx.Client(auth=auth, transport=httpx.MockTransport(refuse)) as client:
        assert client.get("https://pub.example.com/a").status_code == 402
    # Where the broker may have sold all the same, the price stays set aside.
    assert wallet.spent == (0 if answer[0] == 402 else Decimal("0.001"))


def test_an_errand_that_fails_is_no_error_of_the_visit(local_agent, domain):
    domain.answers["/a"] = (402, {"x-imagxp-broker": "http://localhost:1", "x-imagxp-price": "0.001"}, b"{}")
    for client in (by_requests, by_aiohttp, by_httpx, by_async_httpx):
        wallet = Wallet(["http://localhost:1"], max_price="0.01")
        answers = client(local_agent, f"http://{domain.name}/a", wallet=wallet)
        assert answers[0][0] == 402 and wallet.spent == 0


def test_a_failure_is_not_remembered_for_long(monkeypatch):
    from imagxp.visits import UNHEARD, Errand, Reply, Visits

    for reply, asked_again in ((UNHEARD, True), (Reply(503, {}), True), (Reply(404, {}), False)):
        visits, clock = Visits(Agent.generate("bot.example.com"), "SUMMARY", discover=True), [1000.0]
        monkeypatch.setattr("imagxp.visits.time.monotonic", lambda clock=clock: clock[0])
        steps = visits.visit("https://pub.example.com/a")
        assert isinstance(next(steps), Errand) and steps.send(reply) == {}
        clock[0] += 61
        assert isinstance(next(visits.visit("https://pub.example.com/a")), Errand) == asked_again
