"""Documents: fetched once for all workers, from the address that was judged, and never at the client's cost."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import threading
import time

import pytest
from agents import MANIFEST, ZONE
from publisher import sign


def code(site, agent, **more):
    answer = site.visit(agent, **more)
    return answer.status, answer.code


UNAVAILABLE = (403, "MANIFEST_UNAVAILABLE")


def test_each_document_is_fetched_once_for_all_workers(start, agents):
    site, agent = start(workers=4), agents.agent(Set_Cookie="a=b", Cache_Control="no-store", Vary="*")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: site.visit(agent), range(64)))
    assert {answer.code for answer in answers} == {"OK"}, answers
    assert len({answer.headers["x-worker"] for answer in answers}) > 1
    assert agents.fetches(agent) == 1


def test_nothing_of_the_client_goes_out(site, agents):
    agent = agents.agent()
    more = [("Cookie", "session=1"), ("Authorization", "Bearer x"), ("Range", "bytes=0-1"), ("If-None-Match", "*"),
            ("X-Forwarded-For", "192.0.2.1"), ("Accept-Encoding", "gzip"), ("Accept-Language", "tlh")]
    answer = site.get(headers=sign(agent) + more, method="GET")
    assert answer.code == "OK", answer
    (path, headers), = agents.seen[agent.agent_id]
    assert path == MANIFEST
    assert headers == {"Host": agent.agent_id, "Connection": "close", "User-Agent": "IMAGXP/1.1 nginx", "Accept": "application/json",
                       "Accept-Encoding": "identity"}


def test_nothing_of_the_server_goes_out(start, agents):
    """Whatever it does elsewhere: a client certificate, a body, no cache."""
    certificate, key = agents.authority.issue("publisher.example.com")
    site, agent = start(workers=1, server=f"""proxy_ssl_certificate {certificate}; proxy_ssl_certificate_key {key};
        proxy_set_body inside; proxy_no_cache 1; proxy_cache_min_uses 3;"""), agents.agent()
    answer, seen = agents.answers[agent.agent_id], []

    def note(handler):
        seen.append((handler.connection.getpeercert(), handler.headers["Content-Length"]))
        answer(handler)

    agents.answers[agent.agent_id] = note
    assert code(site, agent) == (200, "OK")
    site.reload()
    assert code(site, agent) == (200, "OK")
    assert seen == [(None, None)]


def test_addresses_are_judged(start, agents):
    """Without the operator's word no name makes this server connect to itself."""
    site, agent = start(allow=""), agents.agent()
    assert code(site, agent) == UNAVAILABLE
    assert agents.fetches(agent) == 0
    assert "to which a verifier must not connect" in site.log()
    denied = start(allow="imagxp_trial_address 127.0.0.0/8; imagxp_deny_address 127.0.0.0/8;")
    assert code(denied, agent) == UNAVAILABLE and agents.fetches(agent) == 0


def test_a_denied_address_is_denied_in_its_other_form(start, agents):
    """NAT64: nginx hands the packet to a gateway, and the gateway to 127.0.0.1."""
    site = start(allow="imagxp_trial_address 127.0.0.0/8 ::/0; imagxp_deny_address 127.0.0.1;",
                 server=f"resolver 127.0.0.1:{agents.dns.port} valid=1s;")
    assert code(site, agents.agent("nat64")) == UNAVAILABLE
    assert '"nat64.bots.example.com" resolves to 64:ff9b::7f00:1, to which a verifier must not connect' in site.log()


def test_a_document_is_as_old_as_it_says(start, agents):
    site = start(workers=1)
    for headers, seconds in (({"Cache_Control": "max-age=900"}, 900), ({"Cache_Control": "max-age=900", "Age": "600"}, 300),
                             ({"Cache_Control": "max-age=900", "Age": "5000"}, 60), ({"Age": "5"}, 300)):
        agent = agents.agent(**headers)
        assert code(site, agent) == (200, "OK")
        file, = (file for file in (site.folder / "documents").rglob("*")
                 if file.is_file() and agent.agent_id.encode() in file.read_bytes())
        # ngx_http_file_cache_header_t: version, valid_sec
        assert abs(int.from_bytes(file.read_bytes()[8:16], "little") - time.time() - seconds) < 10, headers


def test_the_word_is_logged_loudly(start):
    site = start()
    site.stop()
    assert "for trials only" in site.test()[1]


def test_a_wrong_name_is_nobody(site, agents):
    assert code(site, agents.agent("wrong")) == UNAVAILABLE
    assert agents.seen[f"wrong.{ZONE}"] == []


def test_names_that_are_not_there(site, agents):
    assert code(site, agents.agent("gone")) == UNAVAILABLE
    before = time.monotonic()
    assert code(site, agents.agent("silent")) == UNAVAILABLE
    assert time.monotonic() - before < 5


def test_no_redirects(site, agents):
    agent, other = agents.agent(), agents.agent()
    agents.answers[agent.agent_id] = lambda h: h.reply(302, b"{}", Location=f"https://{other.agent_id}{MANIFEST}")
    assert code(site, agent) == UNAVAILABLE
    agents.answers[other.agent_id] = lambda h: h.reply(200, b"{}", X_Accel_Redirect="/a")
    assert code(site, other) == (403, "MANIFEST_MISMATCH")
    assert len(agents.seen[other.agent_id]) == 1


def test_other_answers(site, agents):
    cases = [(404, b"{}", "application/json", UNAVAILABLE), (500, b"{}", "application/json", UNAVAILABLE),
             (200, b"{}", "text/html", UNAVAILABLE), (200, b"<html>", "application/json", (403, "MANIFEST_INVALID")),
             (206, b"{}", "application/json", UNAVAILABLE)]

    def ask(case):
        status, body, kind, expected = case
        agent = agents.agent()
        agents.answers[agent.agent_id] = lambda h: h.reply(status, body, kind)
        first, again = code(site, agent), code(site, agent)
        # Remembered: nobody asks again.
        return first == again == expected and agents.fetches(agent) == 1

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, cases))


def test_failures_take_alike(start, agents):
    """A refused address, a port that is closed, a name that is not there, a 404: the clock tells no difference."""
    site = start(allow="imagxp_trial_address 127.0.0.0/8; imagxp_deny_address %s/32;" % agents.wrong)
    gone = agents.agent()
    del agents.answers[gone.agent_id]

    def ask(agent):
        before = time.monotonic()
        assert code(site, agent) == UNAVAILABLE
        return time.monotonic() - before

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        took = list(pool.map(ask, [gone, agents.agent("wrong"), agents.agent("gone"), agents.agent("closed")]))
    assert min(took) >= 1.4, took


def test_manifests_of_any_json_type(site, agents):
    agent = agents.agent()
    manifest = json.dumps({"agent_id": agent.agent_id, "public_key": agent.spki}).encode()
    agents.answers[agent.agent_id] = lambda h: h.reply(200, manifest, "application/imagxp+JSON; charset=utf-8")
    assert code(site, agent) == (200, "OK")


def huge(handler, length):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    if length:
        handler.send_header("Content-Length", str(1 << 30))
    else:
        handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    sent = 0
    try:
        while sent < 1 << 30:
            handler.wfile.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n" if not length else b" " * 0x4000)
            sent += 0x4000
    except OSError:
        pass
    handler.server.world.sent = sent


def test_huge_documents(site, agents):
    for length in (True, False):
        agent = agents.agent()
        agents.answers[agent.agent_id] = lambda h, with_length=length: huge(h, with_length)
        before = time.monotonic()
        assert code(site, agent) == (403, "MANIFEST_TOO_LARGE")
        # The client's connection lives, and the agent's ended early.
        assert time.monotonic() - before < 5
        site.wait(lambda: hasattr(agents, "sent"))
        assert agents.sent < 16 << 20
        del agents.sent


def test_the_largest_document(site, agents):
    agent = agents.agent()
    for size, expected in ((8192, (200, "OK")), (8193, (403, "MANIFEST_TOO_LARGE"))):
        agent = agents.agent()
        manifest = json.dumps({"agent_id": agent.agent_id, "public_key": agent.spki}).encode()
        agents.answers[agent.agent_id] = lambda h, m=manifest.ljust(size): h.reply(200, m)
        assert code(site, agent) == expected


def drip(handler, pause):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(pause)
    except OSError:
        pass


def test_slow_agents(site, agents):
    for answer in (lambda h: time.sleep(4), lambda h: drip(h, 0.2)):
        agent = agents.agent()
        agents.answers[agent.agent_id] = answer
        before = time.monotonic()
        assert code(site, agent) == UNAVAILABLE
        assert time.monotonic() - before < 3.5


def test_cut_documents(site, agents):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"agent_id":')
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    agent = agents.agent()
    agents.answers[agent.agent_id] = cut
    assert code(site, agent) == UNAVAILABLE


def test_the_client_leaves_during_the_fetch(site, agents):
    agent = agents.agent()
    good = agents.answers[agent.agent_id]

    def slow(handler):
        time.sleep(0.35)  # twice, and another worker looks each 500 ms: all within 1.5 s
        good(handler)

    agents.answers[agent.agent_id] = slow
    head = "GET /a HTTP/1.1\r\nHost: pub.example.com\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sign(agent)) + "\r\n"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first = socket.create_connection(("127.0.0.1", site.port))
        first.sendall(head.encode())
        time.sleep(0.1)
        others = [pool.submit(site.visit, agent) for _ in range(8)]
        time.sleep(0.1)
        first.close()
        # Those who waited for the same document are not left alone.
        assert {other.result().code for other in others} == {"OK"}
    assert site.visit(agent).code == "OK"


def test_keep_alive_after_a_fetch(site, agents):
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    for agent in (agents.agent(), agents.agent("slow-but-good"), agents.agent()):
        connection.request("GET", "/a", headers=dict(sign(agent)) | {"Host": "pub.example.com"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"the page\n")
    connection.close()


def test_a_new_key_is_learnt(start, agents):
    """The store has the old manifest: it is passed by once it is older than the pause, not before."""
    site, agent = start(workers=1), agents.agent()
    assert code(site, agent) == (200, "OK")
    new = agents.agent(agent.agent_id.split(".")[0])
    answer = site.visit(new)
    assert (answer.status, answer.code) == (403, "KEY_MISMATCH") and agents.fetches(agent) == 1
    # A worker that has just begun finds a document in the store that is 31 seconds old.
    for file in (site.folder / "documents").rglob("*"):
        if file.is_file():
            data = bytearray(file.read_bytes())
            # ngx_http_file_cache_header_t: version, valid_sec, updating_sec, error_sec, last_modified, date
            date = int.from_bytes(data[40:48], "little")
            assert abs(date - time.time()) < 60
            data[40:48] = (date - 31).to_bytes(8, "little")
            with file.open("r+b") as out:
                out.write(data)
    site.reload()
    assert code(site, new) == (200, "OK")
    assert agents.fetches(agent) == 2


def clocked(start, folder, **settings):
    """A publisher, and the file that says how far its clock is set forward."""
    if "NGINX_ASAN" in os.environ:
        pytest.skip("libfaketime and AddressSanitizer both want to be loaded first")
    library, = pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    clock = folder / "clock"
    clock.write_text("+0s\n")
    variables = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return start(environment={"LD_PRELOAD": str(library), **variables}, workers=1, main="".join(f"env {name};" for name in variables),
                 **settings), clock


def test_an_old_document_is_refreshed_behind_the_answer(start, agents, tmp_path):
    """A clock that is set forward: the agent passes at once with the manifest it had, and the next one comes in the background."""
    site, clock = clocked(start, tmp_path)
    agent = agents.agent()
    good = agents.answers[agent.agent_id]

    def later(seconds):
        clock.write_text(f"+{seconds}s\n")
        answer = site.get(headers=sign(agent, at=time.time() + seconds))
        return answer.status, answer.code

    assert later(0) == (200, "OK") and agents.fetches(agent) == 1
    assert later(290) == (200, "OK") and agents.fetches(agent) == 1
    slow = threading.Event()
    agents.answers[agent.agent_id] = lambda handler: (slow.wait(1), good(handler))
    assert later(400) == (200, "OK")
    site.wait(lambda: agents.fetches(agent) == 2)
    slow.set()
    time.sleep(0.3)
    assert later(650) == (200, "OK") and agents.fetches(agent) == 2
    # The agent's host is away: what was known holds for the same key, and is asked for again.
    agents.answers[agent.agent_id] = lambda handler: handler.reply(500, b"{}")
    assert later(800) == (200, "OK")
    site.wait(lambda: agents.fetches(agent) == 3)
    assert later(801) == (200, "OK")
    # Its host says that there is no such agent any more.
    agents.answers[agent.agent_id] = lambda handler: handler.reply(404, b"{}")
    assert later(1200) == (200, "OK")
    site.wait(lambda: agents.fetches(agent) == 4)
    time.sleep(0.3)
    assert later(1201) == UNAVAILABLE


def test_floods_of_new_names(site, agents):
    """Each with a good signature: a client has so many fetches, then its requests wait."""
    codes = [site.visit(agents.agent(), source="127.0.0.1") for _ in range(30)]
    pending = [answer for answer in codes if answer.code == "IDENTITY_PENDING"]
    assert pending and pending[0].status == 503 and int(pending[0].headers["retry-after"]) == 2


def test_a_refresh_leaves_a_body_its_timeout(start, agents, application, tmp_path):
    """A subrequest takes away the client's timer, so nothing is refreshed behind a request that still sends."""
    site, clock = clocked(start, tmp_path, server=f"location /app {{ client_body_timeout 1s; proxy_pass {application.url}; }}")
    agent = agents.agent()
    assert code(site, agent) == (200, "OK")
    clock.write_text("+400s\n")
    head = "POST /app HTTP/1.1\r\nHost: pub.example.com\r\nContent-Length: 10\r\n" + \
           "".join(f"{k}: {v}\r\n" for k, v in sign(agent, "/app", at=time.time() + 400)) + "\r\n"
    with socket.create_connection(("127.0.0.1", site.port), 8) as sock:
        sock.sendall(head.encode())
        assert sock.recv(4096) == b"" and agents.fetches(agent) == 1
    assert site.get(headers=sign(agent, at=time.time() + 400)).code == "OK"
    site.wait(lambda: agents.fetches(agent) == 2)


def test_names_of_the_store_are_not_new(start, agents):
    """After a reload every agent is new to the worker; its manifest is not."""
    site, known = start(workers=1), [agents.agent() for _ in range(30)]
    for agent in known:
        assert code(site, agent) == (200, "OK")
    site.reload()
    assert {code(site, agent, source="127.0.0.1") for agent in known} == {(200, "OK")}
    assert {agents.fetches(agent) for agent in known} == {1}


def test_failures_are_limited(start, agents):
    site, agent = start(http="imagxp_fail_limit 5r/s burst=5;", workers=1), agents.agent()
    one = {"source": "127.0.0.1"}
    assert code(site, agent, **one) == (200, "OK")
    bad = list((dict(sign(agent)) | {"x-imagxp-signature": "1" * 128}).items())
    codes = [site.get(headers=bad, **one).code for _ in range(12)]
    assert codes[0] == "SIGNATURE_INVALID" and codes[-1] == "BUSY"
    answer = site.visit(agent, **one)
    assert (answer.status, answer.code) == (503, "BUSY") and answer.headers["retry-after"] == "2"
    assert code(site, agent, source="127.0.0.2") == (200, "OK")
    time.sleep(1.5)
    assert code(site, agent, **one) == (200, "OK")
    off = start(http="imagxp_fail_limit off;", workers=1)
    assert {off.get(headers=bad, **one).code for _ in range(60)} == {"SIGNATURE_INVALID"}


@pytest.mark.parametrize("location", ("/a", "/nothing"))
def test_a_server_without_the_location(start, agents, location):
    site = start(server=f"imagxp_manifest_location {location};")
    assert code(site, agents.agent()) == UNAVAILABLE
    assert f"\"{location}\" is not a location of \"imagxp_documents\"" in site.log()
    refusal, = (line for line in site.log().splitlines() if "refused: MANIFEST_UNAVAILABLE" in line)
    assert " while " not in refusal


def test_documents_are_not_for_clients(site):
    assert site.get("/imagxp-documents").status == 404
