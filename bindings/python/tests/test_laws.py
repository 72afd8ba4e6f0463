"""Laws, for whatever comes."""

import string

from conftest import ORIGIN, knowing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagxp import Agent, ImagxpError, MemoryStore, Publisher, Purpose, Request
from imagxp.request import pack, raw
from imagxp.visits import Reply, code_in

AGENT = Agent.generate("bot.example.com")
PUBLISHER = knowing(AGENT, {"allowRAG": True, "allowTraining": True}, store=MemoryStore(65_536, accept_from_ms=0))
STRICT = Publisher({"strategy": "STRICT"}, origin=ORIGIN, store=MemoryStore(64))
quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

paths = st.text(string.ascii_letters + string.digits + "-_~/%?&=+", max_size=200).filter(lambda path: "%" not in path)
texts = st.one_of(st.text(max_size=60), st.binary(max_size=60))


@quick
@given(paths, st.sampled_from(Purpose), st.booleans())
def test_what_is_signed_is_admitted_once(path, purpose, ads):
    url = f"{ORIGIN}/{path}"
    request = Request.of_url(url, AGENT.sign(url, purpose, ads_displayed=ads))
    verdict = PUBLISHER.check(request)
    assert verdict and (verdict.resource, verdict.purpose, verdict.ads_displayed) == (url, purpose, ads)
    assert PUBLISHER.check(request).code == "REPLAY_DETECTED"


@quick
@given(st.sampled_from(["x-imagxp-payload", "x-imagxp-signature", "x-imagxp-public-key"]), st.data())
def test_any_changed_byte_is_refused(name, data):
    headers = AGENT.sign(f"{ORIGIN}/a", "SUMMARY")
    headers.pop("x-imagxp-key")
    value = headers[name]
    at = data.draw(st.integers(0, len(value) - 1))
    headers[name] = (
        value[:at] + data.draw(st.characters(codec="ascii").filter(lambda byte: byte != value[at])) + value[at + 1 :]
    )
    verdict = PUBLISHER.check(Request.of_url(f"{ORIGIN}/a", headers))
    assert not verdict and 400 <= verdict.status < 504


@quick
@given(texts, texts, texts, texts, st.lists(st.tuples(st.one_of(texts, st.just("x-imagxp-payload")), texts), max_size=8))
def test_nothing_comes_through_by_chance(method, scheme, authority, target, headers):
    request = Request(method, scheme, authority, target, headers)
    fields, count = pack(request)
    verdict = STRICT.check(request)
    assert not verdict
    if any(b"\0" in raw(text) for text in (method, scheme, authority, target)):
        assert verdict.code == "HEADER_BYTES" and fields.count(b"\0") + 1 != count


@quick
@given(st.text(max_size=300), st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_agents_are_made_of_names_and_keys_only(name, key):
    try:
        Agent(name, key)
    except ImagxpError as error:
        assert error.code in ("AGENT_ID_INVALID", "PRIVKEY_INVALID")


@quick
@given(st.integers(0, 999), st.binary(max_size=300))
def test_answers_of_strangers_are_no_errors(status, body):
    code = code_in(Reply(status, {}, body))
    assert code == "" or code.replace("_", "").isalnum()
