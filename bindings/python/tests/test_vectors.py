"""The shared cases (vectors/README.md) through the package: the same codes as in every other language."""

import base64
import datetime
import ipaddress
import json
import os
from pathlib import Path

import pytest

from imagxp import Agent, Fetcher, HostError, MemoryStore, Publisher, Request, Sizes, _ffi
from imagxp._ffi import Memory, lib
from imagxp._keys import Fetched
from imagxp.errors import code_of
from imagxp.fetch import is_json

ROOT = Path(os.environ.get("IMAGXP_VECTORS") or Path(__file__).parents[3] / "vectors")
KEY = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"
AGENT = Agent("bot.example.com", KEY)
SITE = "https://pub.example.com"
NOW = 1769428800000


def load(file):
    path = ROOT / file
    if not path.exists():
        pytest.skip(f"{file} is not there")
    return json.loads(path.read_text(encoding="utf-8"))


class World(Fetcher):
    """The only documents that can be fetched."""

    def __init__(self):
        super().__init__(resolve=lambda name, timeout: [])
        self.documents = {}

    def get(self, wanted):
        return self.documents.get(wanted.url, Fetched(_ffi.UNREACHABLE))


@pytest.fixture
def clock(monkeypatch):
    """Sets the time by which the package judges."""

    def at(now_ms):
        for module in ("publisher", "_keys", "_documents", "agent"):
            monkeypatch.setattr(f"imagxp.{module}.now_ms", lambda: now_ms)

    return at


def site(policy):
    store = MemoryStore(256, accept_from_ms=0)
    return Publisher(policy, origin=SITE, store=store, fetcher=World(), sizes=Sizes(64, 2, 0, 0))


def answer(row, any_type=False):
    media = (row.get("headers") or {}).get("content-type")
    status = row.get("status")
    if status == 200 and (any_type or media is None or is_json(media)):
        return Fetched(_ffi.FOUND, (row.get("body") or "").encode("utf-8", "surrogatepass"))
    return Fetched(_ffi.UNREACHABLE if status is None or status == 429 or status >= 500 else _ffi.NOT_THERE)


def manifest_of(agent_id, spki):
    return json.dumps({"agent_id": agent_id, "public_key": spki})


def site_of(row, now_ms, clock):
    policy = dict(row["policy"]) if isinstance(row.get("policy"), dict) else {}
    policy.update(strategy=row.get("strategy"), resource_binding="off", window=300000, skew=300000)
    policy["audiences"] = [row.get("expected_audience") or "nytimes.com"]
    publisher = site(json.dumps({name: value for name, value in policy.items() if value is not None}))
    clock(now_ms - 60000)
    for agent_id, spki in (row.get("identity_cache") or {}).items():
        publisher.learn(agent_id, manifest_of(agent_id, spki))
    for url, found in (row.get("fetch_table") or {}).items():
        if isinstance(found, dict):
            publisher.fetcher.documents[url] = answer(found)
    return publisher


def request_of(row, target="/posts/a", vouched=0):
    return Request("GET", "https", "pub.example.com", target, row["headers"], vouched=vouched)


REQUESTS = ("requests_accepted", "requests_rejected", "requests_encoding_quirks", "manifests", "policy", "heuristics")


@pytest.mark.parametrize("area", REQUESTS)
def test_requests(area, clock):
    file = f"interop/{area}.json"
    codes = load("interop_codes.json")[file]
    for row in load(file)["vectors"]:
        now_ms = row.get("now_ms") or 1
        vouched = _ffi.VOUCHED_WHITELISTED if row.get("check_payment_returns") == "true" else 0
        try:
            publisher = site_of(row, now_ms, clock)
            clock(now_ms)
            verdict = publisher.check(request_of(row, vouched=vouched))
            code = verdict.code
        except HostError as error:
            code, verdict = error.code, None
        assert code == codes[row["id"]], row["id"]
        if code == "OK" and row.get("visitor_type"):
            assert verdict.visitor == row["visitor_type"], row["id"]


@pytest.mark.parametrize("area", ["replay", "replay_profile"])
def test_sequences(area, clock):
    file = f"interop/{area}.json"
    codes = load("interop_codes.json")[file]
    for row in load(file)["vectors"]:
        publisher = site_of(row, row["steps"][0]["now_ms"], clock)
        for place, step in enumerate(row["steps"]):
            clock(step["now_ms"])
            assert publisher.check(request_of(step)).code == codes[f"{row['id']}#{place}"], (row["id"], place)


@pytest.mark.parametrize("area", ["visas_accepted", "visas_rejected"])
def test_visas(area, clock):
    file = f"interop/{area}.json"
    codes = load("interop_codes.json")[file]
    for row in load(file)["vectors"]:
        audiences = [row.get("expected_audience") or "nytimes.com"]
        switches = {"allowTraining": True, "allowRAG": True, "requiresPayment": True, "resource_binding": "off"}
        try:
            publisher = site({**switches, "audiences": audiences, "monetization": {"brokerUrl": row["broker_url"]}})
        except HostError as error:
            assert error.code == codes[row["id"]], row["id"]
            continue
        clock(row["now_ms"])
        publisher.learn(AGENT.agent_id, AGENT.manifest())
        jwks, found = row.get("jwks"), row.get("jwks_http")
        if not isinstance(found, dict) and jwks is not None:
            found = {"status": 200, "body": jwks if isinstance(jwks, str) else json.dumps(jwks)}
        if isinstance(found, dict):
            publisher.fetcher.documents[row["jwks_url"]] = answer(found, any_type=True)
        headers = {**AGENT.sign(f"{SITE}/posts/a", "RAG_RETRIEVAL"), "x-imagxp-credential": row["token"]}
        assert publisher.check(request_of({"headers": headers})).code == codes[row["id"]], row["id"]


# ---- the strict profile ----


def test_addresses():
    for row in load("profile/ssrf_address.json")["tests"]:
        address = ipaddress.ip_address(row["in"]).packed
        assert code_of(lib.host_may_connect(address, len(address))) == row["expect"], row["id"]


def test_names():
    for row in load("profile/agent_id.json")["tests"]:
        assert code_of(lib.host_check_agent_id(_ffi.text(row["in"]), 0)) == row["expect"], row["id"]


def test_json():
    from ctypes import byref, c_size_t

    for row in load("profile/json_strict.json")["tests"]:
        out, needed = Memory(1 << 16), c_size_t()
        got = code_of(lib.jcs(_ffi.text(bytes.fromhex(row["in_hex"])), out.buf, byref(needed)))
        assert got == row["expect"], row["id"]
        assert got != "OK" or out.view[: needed.value].hex() == row["out_hex"], row["id"]


def spoilt(clock, now_ms, window=300000, skew=60000, **members):
    """A request whose signature is somebody else's: what is judged before the signature is told, the rest is
    SIGNATURE_INVALID."""
    payload = {"v": "1.1", "ts": "2026-01-26T12:00:00.000Z", "nonce": "0f0e0d0c-0b0a-4908-8706-050403020100"}
    payload.update(agent_id=AGENT.agent_id, resource=f"{SITE}/posts/a", purpose="RAG_RETRIEVAL")
    payload.update(members)
    clock(NOW)
    headers = AGENT.sign(f"{SITE}/posts/a", "RAG_RETRIEVAL")
    headers["x-imagxp-payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    publisher = site({"allowRAG": True, "window": window, "skew": skew})
    clock(now_ms)
    return publisher.check(request_of({"headers": headers})).code


@pytest.mark.parametrize("field", ["nonce", "timestamp"])
def test_fields(field, clock):
    member = "ts" if field == "timestamp" else field
    for row in load(f"profile/{field}.json")["tests"]:
        if len(row["in"]) > 2048:
            continue  # no header holds it
        # By the clock of the row: what is a time is fresh.
        got = spoilt(clock, max(row.get("ms", NOW), 1), **{member: row["in"]})
        assert got == ("SIGNATURE_INVALID" if row["expect"] == "OK" else row["expect"]), row["id"]


def test_time_window(clock):
    epoch = datetime.datetime(1970, 1, 1)
    for row in load("profile/time_window.json")["tests"]:
        now, ts, window, skew = row["in"]
        moment = epoch + datetime.timedelta(milliseconds=ts)
        text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
        if now > 0 and moment.year >= 1970:
            got = spoilt(clock, now, window, skew, ts=text.zfill(24))
            assert got == ("SIGNATURE_INVALID" if row["expect"] == "OK" else row["expect"]), row["id"]
