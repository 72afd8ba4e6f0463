import asyncio
import gc
import json
import logging
import threading
import time
import weakref

import pytest
from conftest import ORIGIN, URL, knowing

import imagxp
from imagxp import (
    Agent,
    Bound,
    Fetcher,
    HostError,
    Limits,
    MemoryStore,
    Proof,
    Publisher,
    Purpose,
    Request,
    Visitor,
    _ffi,
    _keys,
    asgi,
    wsgi,
)
from imagxp.request import MATTERS, pack

LOCAL = "http://localhost:8000"


def visit(agent, url=URL, purpose="RAG_RETRIEVAL", **more):
    return Request.of_url(url, {**agent.sign(url, purpose), **more})


def development():
    store = MemoryStore(1024, accept_from_ms=0)
    return Publisher({"development": True, "allowRAG": True}, origin=LOCAL, store=store)


def test_an_agent_is_admitted_once(agent, publisher):
    request = visit(agent)
    verdict = publisher.check(request)
    assert verdict and verdict.admitted and verdict.code == "OK" and verdict.status == 200
    assert (verdict.visitor, verdict.agent_id) == (Visitor.VERIFIED_AGENT, agent.agent_id)
    assert (verdict.purpose, verdict.resource, verdict.kid) == (Purpose.RAG_RETRIEVAL, URL, agent.kid)
    assert (verdict.bound, verdict.proof) == (Bound.EXACT, Proof.NONE)
    assert verdict.signed and len(verdict.nonce) == 36 and verdict.ts_ms > 0 and not verdict.ads_displayed
    verdict.raise_for_refusal()

    again = publisher.check(request)
    assert not again and again.code == "REPLAY_DETECTED" and again.status == 403
    assert json.loads(again.body)["error"] == "REPLAY_DETECTED" and again.agent_id == agent.agent_id
    with pytest.raises(imagxp.AuthenticityError):
        again.raise_for_refusal()


def test_acheck_is_check(agent, publisher):
    async def twice():
        request = visit(agent)
        return await publisher.acheck(request), await publisher.acheck(request)

    first, second = asyncio.run(twice())
    assert first and second.code == "REPLAY_DETECTED"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"x-imagxp-signature": "0" * 128}, "SIGNATURE_INVALID"),
        ({"x-imagxp-signature": "G" * 128}, "SIGNATURE_FORMAT"),
        ({"x-imagxp-payload": "!"}, "BASE64_INVALID"),
        ({"x-imagxp-key": "x"}, "HEADERS_CONTRADICT"),
        ({"x-imagxp-alg": "RS256"}, "HEADERS_CONTRADICT"),
        ({"x-imagxp-payload": "a" * 20_000}, "HEADERS_TOO_LARGE"),
        ({"x-imagxp-payload": "a\0b"}, "HEADER_BYTES"),
        ({"user-agent": "a\0b"}, "HEADER_BYTES"),
        ({"x-imagxp-payload": "a b"}, "HEADER_BYTES"),
        ({"x-imagxp-payload": ""}, "HEADERS_PARTIAL"),
    ],
)
def test_refusals(agent, publisher, change, code):
    request = Request.of_url(URL, {**agent.sign(URL, "SUMMARY"), **change})
    assert publisher.check(request).code == code


def test_a_header_that_comes_twice(agent, publisher):
    rows = list(agent.sign(URL, "SUMMARY").items())
    assert publisher.check(Request.of_url(URL, [*rows, rows[0]])).code == "HEADER_DUPLICATE"


def test_text_and_bytes_are_alike(agent, publisher):
    rows = [(name.upper().encode(), value.encode()) for name, value in agent.sign(URL, "SUMMARY").items()]
    assert publisher.check(Request(b"GET", b"https", b"pub.example.com", b"/a?b=c", rows))
    rows = [(name, value.encode()) for name, value in agent.sign(URL, "SUMMARY").items()]
    assert publisher.check(Request("GET", "https", b"pub.example.com", "/a?b=c", [*rows, ("cookie", "\u20ac")]))


def test_a_request_of_unusual_size(agent, publisher):
    url = f"{ORIGIN}/" + "x" * 1900
    assert publisher.check(visit(agent, url))


def test_signed_for_another_place(agent, publisher):
    for url in ("https://other.example.com/a?b=c", f"{ORIGIN}/a", f"{ORIGIN}/A?b=c"):
        assert publisher.check(Request.of_url(URL, agent.sign(url, "SUMMARY"))).code == "RESOURCE_MISMATCH"


def test_the_origin_is_the_operators_word(agent, publisher):
    request = publisher.request("GET", "http", "10.0.0.7:8000", "/a?b=c", agent.sign(URL, "SUMMARY").items())
    assert publisher.check(request)


def test_several_origins(agent):
    store = MemoryStore(64, accept_from_ms=0)
    several = Publisher({"allowRAG": True}, origin=[ORIGIN, "https://www.example.com"], store=store)
    several.learn(agent.agent_id, agent.manifest())
    ours = several.request("GET", "https", "PUB.example.com", "/a?b=c", agent.sign(URL, "SUMMARY").items())
    assert several.check(ours)
    stray = agent.sign("https://evil.example.com/a", "SUMMARY").items()
    assert several.check(several.request("GET", "https", "evil.example.com", "/a", stray)).code == "RESOURCE_MISMATCH"


@pytest.mark.parametrize(
    "origin", ["pub.example.com", "http://pub.example.com", "https://pub.example.com/", "https://", "ftp://a.b", []]
)
def test_origins_that_are_none(origin):
    with pytest.raises(ValueError, match="origin"):
        Publisher({}, origin=origin)


BROWSER = {"User-Agent": "Mozilla/5.0", "Accept-Language": "en", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("strategy", "headers", "status"),
    [("PASSIVE", {}, 200), ("HYBRID", BROWSER, 200), ("HYBRID", {"User-Agent": "curl/8"}, 403), ("STRICT", BROWSER, 401)],
)
def test_visitors_without_headers(strategy, headers, status):
    publisher = Publisher({"strategy": strategy}, origin=ORIGIN, store=MemoryStore(64))
    verdict = publisher.check(Request.of_url(URL, headers))
    assert verdict.status == status and verdict.agent_id == "" and verdict.purpose is None


def test_402_says_where_to_pay(agent):
    policy = {"allowRAG": True, "price": 0.001, "monetization": {"brokerUrl": "https://broker.example.com"}}
    verdict = knowing(agent, policy).check(visit(agent))
    assert verdict.status == 402 and verdict.code == "VISA_REQUIRED"
    assert verdict.headers["x-imagxp-broker"] == "https://broker.example.com"
    assert verdict.headers["x-imagxp-price"] == "0.001"


def test_whitelist(agent):
    policy = {"allowRAG": True, "requiresPayment": True}
    publisher = knowing(agent, policy, whitelist={agent.agent_id})
    assert publisher.check(visit(agent)).proof == Proof.WHITELIST
    liar = Agent.generate(agent.agent_id)
    assert publisher.check(visit(liar)).code == "KEY_MISMATCH"
    assert publisher.check(visit(agent, purpose="CRAWL_TRAINING")).code == "PURPOSE_REFUSED"
    assert knowing(agent, policy, whitelist={"other.example.com"}).check(visit(agent)).code == "VISA_REQUIRED"


@pytest.mark.parametrize("policy", ["{", "{}}", {"allowRag": True}, {"strategy": "OPEN"}, {"price": "x"}, "[]", b"\xff"])
def test_policies_that_are_none(policy):
    with pytest.raises(HostError, match="POLICY_INVALID"):
        Publisher(policy, origin=ORIGIN)


def test_development_is_loud(caplog):
    with caplog.at_level(logging.WARNING, "imagxp"):
        assert development().development
    assert "development mode" in caplog.text


def test_a_manifest_is_fetched_once_for_all(local_agent, domain):
    publisher, verdicts, start = development(), [], threading.Barrier(12)

    def call():
        request = visit(local_agent, f"{LOCAL}/a")
        start.wait()
        verdicts.append(publisher.check(request).code)

    in_threads([call] * 12)
    assert verdicts == ["OK"] * 12
    assert domain.asked == ["/.well-known/imagxp-agent.json"]


def in_threads(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_acheck_fetches_without_blocking(local_agent, domain):
    publisher = development()

    async def many():
        return await asyncio.gather(*[publisher.acheck(visit(local_agent, f"{LOCAL}/a")) for _ in range(20)])

    assert all(asyncio.run(many())) and len(domain.asked) == 1


def test_where_the_budget_is_used_up(local_agent, domain):
    store, fetcher = MemoryStore(64, accept_from_ms=0), Fetcher(development=True, limits=Limits(names_per_s=0))
    publisher = Publisher({"development": True, "allowRAG": True}, origin=LOCAL, store=store, fetcher=fetcher)
    verdict = publisher.check(visit(local_agent, f"{LOCAL}/a"))
    assert (verdict.code, verdict.status, verdict.headers["retry-after"]) == ("IDENTITY_PENDING", 503, "2")
    assert asyncio.run(publisher.acheck(visit(local_agent, f"{LOCAL}/a"))).code == "IDENTITY_PENDING"
    assert domain.asked == []


def test_a_crowd_condemns_no_innocent(local_agent, domain):
    """That this host has no place for a connection now says nothing about the agent."""
    store, fetcher = MemoryStore(64, accept_from_ms=0), Fetcher(development=True, limits=Limits(per_network=0))
    publisher = Publisher({"development": True, "allowRAG": True}, origin=LOCAL, store=store, fetcher=fetcher)
    for _ in range(2):
        assert publisher.check(visit(local_agent, f"{LOCAL}/a")).code == "IDENTITY_PENDING"
    fetcher.budget._limits = Limits()
    assert publisher.check(visit(local_agent, f"{LOCAL}/a"))


def test_a_slow_domain_keeps_nobody_waiting(local_agent, domain):
    domain.server.shutdown()
    store, fetcher = MemoryStore(64, accept_from_ms=0), Fetcher(development=True, limits=Limits(whole=0.3, first_byte=0.2))
    publisher = Publisher({"development": True, "allowRAG": True}, origin=LOCAL, store=store, fetcher=fetcher)
    verdict = publisher.check(visit(local_agent, f"{LOCAL}/a"))
    assert verdict.code in ("MANIFEST_UNAVAILABLE", "IDENTITY_PENDING")
    assert json.loads(verdict.body)["error"] in ("IDENTITY_UNVERIFIED", "IDENTITY_PENDING")


def test_a_liar_is_told_nothing(local_agent, domain):
    liar = Agent.generate(domain.name, development=True)
    verdict = development().check(visit(liar, f"{LOCAL}/a"))
    assert verdict.code == "KEY_MISMATCH" and json.loads(verdict.body)["error"] == "IDENTITY_UNVERIFIED"


def test_a_busy_agent_gets_a_table(agent, publisher):
    before = publisher._keys.snapshot
    for _ in range(12):
        assert publisher.check(visit(agent))
    publisher._documents._pool().shutdown(wait=True)
    assert publisher._keys.snapshot is not before


def test_threads_admit_each_request_once(agent, publisher):
    requests, verdicts, start = [visit(agent) for _ in range(200)], [], threading.Barrier(4)

    def judge():
        start.wait()
        verdicts.extend(publisher.check(request).code for request in requests)

    in_threads([judge] * 4)
    assert verdicts.count("OK") == 200 and verdicts.count("REPLAY_DETECTED") == 600


def test_who_fails_too_often_is_told_to_come_later(agent):
    publisher = knowing(agent, fetcher=Fetcher(limits=Limits(failures_per_s=1, failures_burst=3)))
    forged = {**agent.sign(URL, "SUMMARY"), "x-imagxp-signature": "1" * 128}

    def of(client, headers):
        return publisher.check(Request.of_url(URL, headers, client=client))

    assert [of("8.8.4.1", forged).code for _ in range(5)] == ["SIGNATURE_INVALID"] * 3 + ["BUSY"] * 2
    busy = of("8.8.4.1", agent.sign(URL, "SUMMARY"))
    assert busy.status == 503 and busy.headers["retry-after"]
    assert of("8.8.4.1", {}), "who does not sign costs nothing"
    assert of("8.8.4.2", agent.sign(URL, "SUMMARY")) and of(None, agent.sign(URL, "SUMMARY"))
    assert of(None, forged).code == "SIGNATURE_INVALID"


def test_a_replay_and_an_unknown_name_count_like_a_failed_signature(agent):
    limits = Limits(failures_per_s=1, failures_burst=3, failure=0)
    publisher = knowing(agent, fetcher=Fetcher(limits=limits, resolve=lambda name, timeout: []))
    seen = Request.of_url(URL, agent.sign(URL, "SUMMARY"), client="8.8.4.1")
    assert [publisher.check(seen).code for _ in range(5)] == ["OK"] + ["REPLAY_DETECTED"] * 3 + ["BUSY"]
    strangers = [Agent.generate(f"who-{number}.example.com").sign(URL, "SUMMARY") for number in range(4)]
    codes = [publisher.check(Request.of_url(URL, headers, client="8.8.4.2")).code for headers in strangers]
    assert codes[0] == "MANIFEST_UNAVAILABLE" and codes[-1] == "BUSY"


def test_no_failure_is_told_by_its_time(agent):
    """Neither to whoever waits, nor by the key cache to the next one."""
    limits = Limits(failure=0.4)
    publisher = Publisher({"allowRAG": True}, origin=ORIGIN, fetcher=Fetcher(limits=limits, resolve=lambda name, timeout: []))
    began = time.monotonic()
    codes = {publisher.check(Request.of_url(URL, agent.sign(URL, "SUMMARY"))).code for _ in range(2)}
    assert codes == {"MANIFEST_UNAVAILABLE"} and time.monotonic() - began >= 0.4


def test_the_names_that_matter_are_the_librarys():
    names = ["accept", "cookie", "host", "x-imagxp", "x-imagxp-price", *MATTERS]
    assert {name for name in names if _ffi.lib.header_matters(_ffi.text(name))} == set(MATTERS)


def test_what_does_not_matter_is_left_out():
    fields, count = pack(Request("GET", "https", "h", "/", [("Cookie", "x"), ("User-Agent", "curl")]))
    assert (fields, count) == (b"GET\0https\0h\0/\0User-Agent\0curl", 6)


def test_a_proxy_of_this_site_is_no_client(agent):
    """Behind nginx everybody comes from one address that is not public: who floods must not shut out the others."""
    publisher = knowing(agent, fetcher=Fetcher(limits=Limits(failures_per_s=1, failures_burst=3)))
    forged = {**agent.sign(URL, "SUMMARY"), "x-imagxp-signature": "1" * 128}
    for proxy in ("127.0.0.1", "::1", "10.0.0.1", "::ffff:192.168.0.1", "fd00::1", "100.64.0.1"):
        codes = [publisher.check(Request.of_url(URL, forged, client=proxy)).code for _ in range(6)]
        assert codes == ["SIGNATURE_INVALID"] * 6, proxy
        assert publisher.check(Request.of_url(URL, agent.sign(URL, "SUMMARY"), client=proxy))


def test_clients_behind_a_proxy(agent):
    limits = Limits(failures_per_s=1, failures_burst=3)
    publisher = knowing(agent, fetcher=Fetcher(limits=limits), client_addr=lambda headers, peer: headers.get("x-real-ip", peer))

    def of(client, headers):
        scope = {"type": "http", "path": "/a", "query_string": b"b=c", "client": ("127.0.0.1", 1)}
        rows = [*headers.items(), ("x-real-ip", client)]
        by_asgi = publisher.check(asgi.request_of({**scope, "headers": [(n.encode(), v.encode()) for n, v in rows]}, publisher))
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in rows}
        environ |= {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "RAW_URI": "/a?b=c", "REMOTE_ADDR": "127.0.0.1"}
        return by_asgi.code, publisher.check(wsgi.request_of(environ, publisher)).code

    forged = {**agent.sign(URL, "SUMMARY"), "x-imagxp-signature": "1" * 128}
    assert [of("8.8.4.1", forged) for _ in range(3)][1:] == [("SIGNATURE_INVALID", "BUSY"), ("BUSY", "BUSY")]
    assert of("8.8.4.2", agent.sign(URL, "SUMMARY")) == ("OK", "REPLAY_DETECTED")


def test_what_is_read_is_not_freed(monkeypatch):
    """Another thread swaps the cache while the GIL is free: the words that the call reads live on."""
    cache = _keys.KeyCache()

    class Library:
        @staticmethod
        def key_cache_alarm(pointer, url):
            owner = weakref.ref(cache.snapshot._memory._owner)
            cache.snapshot = cache.snapshot.clone()
            gc.collect()
            assert owner() is not None
            return _ffi.lib.key_cache_alarm(pointer, url)

    monkeypatch.setattr(_keys, "lib", Library)
    assert not cache.exposes_private_key("https://broker.example.com/jwks.json")
    pointer = _keys.Snapshot(64).pointer
    gc.collect()
    assert pointer._obj.memory.address == pointer._obj.words


def test_a_text_is_no_whitelist():
    with pytest.raises(TypeError, match="whitelist"):
        Publisher({}, origin=ORIGIN, store=MemoryStore(64), whitelist="bot.example.com")


def test_origins_behind_a_proxy(agent):
    """By their hosts, with the default port or without, and whatever scheme is left behind TLS."""
    store = MemoryStore(64, accept_from_ms=0)
    several = Publisher({"allowRAG": True}, origin=["https://pub.example.com:443", "https://www.example.com"], store=store)
    several.learn(agent.agent_id, agent.manifest())
    for scheme, host in (("http", "pub.example.com"), ("https", "pub.example.com:443"), ("http", "PUB.example.com")):
        assert several.check(several.request("GET", scheme, host, "/a?b=c", agent.sign(URL, "SUMMARY").items())), (scheme, host)
    stray = several.request("GET", "https", "pub.example.com:8443", "/a?b=c", agent.sign(URL, "SUMMARY").items())
    assert several.check(stray).code == "RESOURCE_MISMATCH"
