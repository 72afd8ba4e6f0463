"""What a request meets: admitted once, refused with a code, and what the answer says."""

import json
import time

from publisher import sign


def test_an_agent_is_admitted_once(site, agents):
    agent = agents.agent()
    headers = sign(agent)
    first, second = site.get(headers=headers), site.get(headers=headers)
    assert (first.status, first.code, first.body) == (200, "OK", b"the page\n"), first
    assert (second.status, second.code) == (403, "REPLAY_DETECTED")
    assert json.loads(second.body) == {"error": "REPLAY_DETECTED", "visitor_type": "VERIFIED_AGENT", "proof_used": "NONE"}
    assert second.headers["content-type"] == "application/json" and second.headers["cache-control"] == "no-store"
    assert agents.fetches(agent) == 1


def test_a_stranger_is_refused(site):
    answer = site.get()
    assert (answer.status, answer.code) == (401, "IDENTITY_REQUIRED")
    assert json.loads(answer.body)["error"] == "IDENTITY_REQUIRED"
    assert site.get(method="HEAD").body == b""


def test_refusals_have_their_codes(site, agents):
    agent = agents.agent()
    signed = dict(sign(agent))

    def code(**changes):
        headers = {**signed, **{name.replace("_", "-"): value for name, value in changes.items()}}
        answer = site.get(headers=[(name, value) for name, value in headers.items() if value is not None])
        return answer.status, answer.code

    assert code(x_imagxp_signature="0" * 127) == (400, "SIGNATURE_FORMAT")
    assert code(x_imagxp_signature=None) == (401, "HEADERS_PARTIAL")
    assert code(x_imagxp_payload="e30") == (400, "BASE64_INVALID")
    assert code(x_imagxp_payload="A" * 4104) == (431, "PAYLOAD_TOO_LARGE")
    assert code(x_imagxp_signature="1" * 128) == (403, "SIGNATURE_INVALID")
    assert code(x_imagxp_alg="RS256") == (400, "HEADERS_CONTRADICT")
    assert agents.fetches(agent) == 0
    stale = site.get(headers=sign(agent, at=time.time() - 301))
    assert (stale.status, stale.code) == (403, "TIMESTAMP_STALE")
    assert code() == (200, "OK")


def test_a_ban_is_a_ban(site, agents):
    answer = site.get(headers=sign(agents.agent(), purpose=1))
    assert (answer.status, answer.code) == (403, "PURPOSE_REFUSED")


def test_identity_failures_look_alike_outside(site, agents):
    agent, liar = agents.agent(), agents.agent()
    agents.publish(agent, key=liar)
    answer = site.visit(agent)
    assert (answer.status, answer.code) == (403, "KEY_MISMATCH")
    assert json.loads(answer.body)["error"] == "IDENTITY_UNVERIFIED"


def test_duplicate_headers(site, agents):
    headers = sign(agents.agent())
    answer = site.get(headers=headers + [headers[0]])
    assert (answer.status, answer.code) == (400, "HEADER_DUPLICATE")


def test_the_target_is_the_raw_one(site, agents):
    agent = agents.agent()
    (site.folder / "html" / "b c").write_text("spaced\n")
    for target in ("/a?x=1&y=%2F", "//a", "/b%20c", "/%61"):
        answer = site.visit(agent, target)
        assert answer.status == 200, (target, answer)
    # merge_slashes and the decoding of %2F choose the location; the signature is about the wire.
    for signed, asked in (("/a", "//a"), ("/a", "/%61"), ("//a", "/a"), ("/x%2Fy", "/x/y")):
        answer = site.get(asked, sign(agent, signed))
        assert (answer.status, answer.code) == (403, "RESOURCE_MISMATCH"), (signed, asked)


def test_the_origin_is_the_configured_one(site, agents):
    agent = agents.agent()
    # A request for another site, whatever Host says.
    headers = sign(agent, origin="https://other.example.com")
    assert site.get(headers=headers, host="other.example.com").code == "RESOURCE_MISMATCH"
    # Behind a CDN neither scheme nor Host are the client's.
    assert site.visit(agent, host="origin-1.internal:8080").code == "OK"


def test_the_host_chooses_among_origins(start, agents):
    """The name first, then the port, then the scheme; who asks for none of them gets the first."""
    first, secure, plain, other = "https://pub.example.com", "https://two.example.com", "http://two.example.com", "http://two.example.com:8080"
    site = start(audience=f"{first} {secure} {plain} {other}", policy='{"development":true,"allowRAG":true,"strategy":"STRICT"}')
    agent = agents.agent()
    for host, origin in (("pub.example.com", first), ("pub.example.com:81", first), ("three.example.com", first),
                         ("two.example.com", plain), ("TWO.example.com:8080", other), ("two.example.com:81", plain)):
        for signed in (first, secure, plain, other):
            answer = site.get(headers=sign(agent, origin=signed), host=host)
            assert answer.code == ("OK" if signed == origin else "RESOURCE_MISMATCH"), (host, signed)


def test_an_address_may_be_an_origin(start, agents):
    origins = ["https://pub.example.com", "http://[::1]:8080"]
    site = start(audience=" ".join(origins), policy='{"development":true,"allowRAG":true,"strategy":"STRICT"}')
    assert site.get(headers=sign(agents.agent(), origin=origins[1]), host="[::1]:8080").code == "OK"


def test_log_only_admits_and_tells(start, agents):
    site = start(mode="log_only")
    answer = site.get()
    assert (answer.status, answer.code) == (200, "IDENTITY_REQUIRED")
    headers = sign(agents.agent())
    assert site.get(headers=headers).code == "OK"
    assert site.get(headers=headers).code == "REPLAY_DETECTED"
    assert "would refuse: REPLAY_DETECTED" in site.log()


def test_off_is_off(start):
    site = start(mode="off", server="location /on { imagxp on; }")
    assert site.get().status == 200
    assert site.get("/on").status == 401
