"""Where an access module of nginx goes wrong: phases, redirects, subrequests, other modules, HTTP/2."""

import socket
import subprocess

import pytest
from agents import free_port
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded
from publisher import sign


def test_return_and_rewrite_come_before_access(start, agents):
    """As for every access module of nginx: `return` answers before anybody is asked. The README says so."""
    site = start(server="location /early { return 200 early; } location /late { try_files /a =404; }")
    assert site.get("/early").status == 200
    assert site.get("/late").status == 401
    assert site.visit(agents.agent(), "/late").body == b"the page\n"


def test_rewritten_targets_are_signed_as_sent(start, agents):
    site = start(server="rewrite ^/old$ /a last;")
    assert site.visit(agents.agent(), "/old").body == b"the page\n"


def test_internal_redirects_are_not_replays(start, agents):
    site, agent = start(server="location /x { try_files /nothing /a; } location /named { try_files /nothing @other; }"
                               "location @other { try_files /a =404; } error_page 404 /a;"), agents.agent()
    for target in ("/", "/x", "/named"):
        answer = site.visit(agent, target)
        assert (answer.status, answer.code) == (200, "OK"), (target, answer)
    answer = site.visit(agent, "/missing")
    assert (answer.status, answer.code, answer.body) == (404, "OK", b"the page\n")


def test_a_redirect_into_another_policy_is_judged_by_it(start, agents):
    site = start(server="""
        location /open { imagxp_policy '{"allowRAG":true}'; try_files /nothing /strict/a; }
        location /rag { imagxp_policy '{"allowRAG":true,"price":"0.1"}'; try_files /nothing /strict/a; }
        location /strict/ { alias %s/; imagxp_policy '{"allowTraining":true,"strategy":"STRICT"}'; }
        """ % "/etc")
    assert site.get("/open").code == "IDENTITY_REQUIRED"
    assert site.visit(agents.agent(), "/rag").code == "PURPOSE_REFUSED"


def test_the_same_agent_may_pass_two_policies(start, agents):
    site = start(server="""
        location /one { imagxp_policy '{"allowRAG":true}'; try_files /nothing /two; }
        location /two { imagxp_policy '{"allowRAG":true,"strategy":"HYBRID"}'; try_files /a =404; }""")
    answer = site.visit(agents.agent(), "/one")
    assert (answer.status, answer.code) == (200, "OK")


def test_a_second_verdict_has_nothing_of_the_first(start, agents):
    site = start(server="""
        location /one { imagxp log_only; try_files /nothing /two; }
        location /two { imagxp_policy '{"allowTraining":true,"strategy":"STRICT"}'; try_files /a =404; }""")
    headers = sign(agents.agent(), "/one")
    refusals = [site.get("/one", headers) for _ in range(2)]
    assert {(answer.status, answer.code) for answer in refusals} == {(403, "PURPOSE_REFUSED")}
    assert refusals[0].body == refusals[1].body


def test_error_pages_replace_the_body(start, agents):
    site = start(server="error_page 401 /index.html; error_page 403 @denied; location @denied { try_files /a =404; }")
    answer = site.get()
    assert (answer.status, answer.code, answer.body) == (401, "IDENTITY_REQUIRED", b"the index\n")
    headers = sign(agents.agent())
    assert site.get(headers=headers).code == "OK"
    answer = site.get(headers=headers)
    assert (answer.status, answer.code, answer.body) == (403, "REPLAY_DETECTED", b"the page\n")


def test_a_page_for_a_refusal_opens_nothing_behind_it(start, application):
    site = start(server=f"""error_page 401 /page/none;
        location /page/ {{ imagxp_policy '{{"strategy":"STRICT"}}'; try_files $uri /app; }}
        location /app {{ proxy_pass {application.url}; }}""")
    answer = site.get()
    assert (answer.status, answer.code, answer.body[:9]) == (401, "IDENTITY_REQUIRED", b'{"error":')
    assert application.requests == []


def test_a_page_for_an_error_does_not_open_another_location(start):
    site = start(server="location /off { imagxp off; error_page 404 = /a; }"
                        "location /log { imagxp log_only; error_page 404 = /a; }")
    assert site.get("/off/none").status == 401
    assert site.get("/log/none").status == 401


def test_satisfy_any(start, agents):
    site = start(server="location /any { satisfy any; allow 127.0.0.2; deny all; try_files /a =404; }"
                        "location /inside { satisfy any; allow 127.0.0.1; deny all; try_files /a =404; }"
                        "location /all { satisfy all; deny all; try_files /a =404; }")
    agent = agents.agent()
    assert site.get("/any").status == 401
    assert site.visit(agent, "/any").status == 200
    assert site.get("/inside", source="127.0.0.1").status == 200
    assert site.visit(agent, "/all").status == 403


def test_satisfy_any_is_for_agents(start, agents):
    """Who did not sign is anybody: the policy lets him in, but he satisfies nothing."""
    site = start(policy='{"allowRAG":true,"strategy":"PASSIVE"}', server="""
        location /word { satisfy any; auth_basic word; auth_basic_user_file words; try_files /a =404; }
        location /any { satisfy any; deny all; try_files /a =404; }""")
    (site.folder / "words").write_text("somebody:{PLAIN}word\n")
    agent = agents.agent()
    for target, refused in (("/word", 401), ("/any", 403)):
        assert site.get(target).status == refused
        assert site.visit(agent, target).status == 200
    assert site.get("/word", [("Authorization", "Basic c29tZWJvZHk6d29yZA==")]).status == 200
    assert site.get().status == 200


def test_subrequests_are_the_main_request(start, agents):
    """nginx asks access modules about the main request only; auth_request's own request is one of those."""
    back = free_port()
    site = start(server=f"location /checked {{ auth_request /auth; try_files /a =404; }}"
                        f"location = /auth {{ internal; proxy_pass http://127.0.0.1:{back}; proxy_pass_request_body off; }}",
                 http=f"server {{ listen 127.0.0.1:{back}; location / {{ return 204; }} }}")
    answer = site.visit(agents.agent(), "/checked")
    assert (answer.status, answer.code) == (200, "OK")
    assert site.get("/checked").status == 401


def test_variables_in_logs_and_maps(start, agents):
    site = start(workers=1, policy='{"allowRAG":true}',
                 http="map $imagxp_agent $tier { default guest; ~. partner; }"
                      "log_format imagxp '$imagxp_status|$imagxp_code|$imagxp_agent|$imagxp_claimed_agent|$imagxp_visitor|$imagxp_purpose|"
                      "$imagxp_bound|$imagxp_proof|$tier|$uri';",
                 server="access_log access.log imagxp; add_header X-Tier $tier always;")
    agent = agents.agent()
    headers = sign(agent)
    assert site.get(headers=headers).headers["x-tier"] == "partner"
    assert site.get(headers=headers).code == "REPLAY_DETECTED"
    assert site.get(headers=sign(agent, "/b")).code == "RESOURCE_MISMATCH"
    assert site.get().headers["x-tier"] == "guest"
    name = agent.agent_id
    site.wait(lambda: (site.folder / "access.log").exists() and (site.folder / "access.log").read_text().count("\n") == 4)
    assert (site.folder / "access.log").read_text().splitlines() == [
        f"200|OK|{name}|{name}|VERIFIED_AGENT|RAG_RETRIEVAL|exact|NONE|partner|/a",
        f"403|REPLAY_DETECTED|{name}|{name}|VERIFIED_AGENT|RAG_RETRIEVAL|exact|NONE|partner|/a",
        f"403|RESOURCE_MISMATCH|-|{name}|-|-|-|-|guest|/a",
        "200|OK|-|-|UNIDENTIFIED_BOT|-|none|NONE|guest|/a"]


def http2(port, requests):
    """Streams of one connection, all at once: their statuses and codes."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    for number, headers in enumerate(requests):
        connection.send_headers(2 * number + 1, [(":method", "GET"), (":scheme", "https"), (":authority", "pub.example.com"),
                                                 (":path", "/a"), *headers], end_stream=True)
    sock.sendall(connection.data_to_send())
    answers, ended = {}, 0
    while ended < len(requests):
        for event in connection.receive_data(sock.recv(65536)):
            if isinstance(event, ResponseReceived):
                headers = dict(event.headers)
                answers[event.stream_id] = (headers[":status"], headers.get("x-code"))
            elif isinstance(event, DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                ended += 1
        sock.sendall(connection.data_to_send())
    sock.close()
    return [answers[stream] for stream in sorted(answers)]


def test_http2(site, agents):
    agent, other = agents.agent(), agents.agent()
    once = sign(agent)
    answers = http2(site.port2, [once] * 8 + [sign(agent), sign(other), []])
    assert sorted(answers[:8]) == [("200", "OK")] + [("403", "REPLAY_DETECTED")] * 7
    assert answers[8:] == [("200", "OK"), ("200", "OK"), ("401", "IDENTITY_REQUIRED")]
    assert agents.fetches(agent) == agents.fetches(other) == 1


@pytest.mark.parametrize("settings, complaint", [
    ({"policy": '{"allowRag":true}'}, "imagxp policy is not valid"),
    ({"audience": "pub.example.com"}, "invalid origin"),
    ({"audience": "https://pub.example.com/a"}, "invalid origin"),
    ({"keys": "4096 tables=8x7k"}, "invalid parameter"),
    ({"zone": "4k"}, "invalid zone size"),
    ({"http": "imagxp_fail_limit fast;"}, "invalid limit"),
    ({"allow": "imagxp_trial_address loopback;"}, "invalid address range"),
    ({"server": "imagxp_zone name=another;"}, "zero size"),
])
def test_configurations_that_are_refused(start, settings, complaint):
    site = start()
    site.stop()
    status, said = site.test(**settings)
    assert status == 1 and complaint in said, said


def test_a_broker_is_its_own_issuer(start, agents):
    """Its URL is in the policy twice."""
    broker = f"https://{'b' * 60}.example.com/{'long/' * 30}"
    site = start(policy='{"allowRAG":true}', server=f"imagxp_broker {broker} jwks={broker}keys;")
    assert site.visit(agents.agent()).headers["x-imagxp-broker"] == broker


def test_the_memory_is_told(start):
    site = start(workers=2, keys="4096 tables=128x64k")
    assert "imagxp: key caches take" in site.log() and "for each of 2 workers" in site.log()


def test_the_policy_may_be_a_file(start, agents):
    site = start()
    (site.folder / "policy.json").write_text('{"allowRAG":true,\n "strategy":"STRICT"}\n')
    text = (site.folder / "nginx.conf").read_text()
    (site.folder / "nginx.conf").write_text(text.replace("imagxp_policy '{\"allowRAG\":true,\"strategy\":\"STRICT\"}';",
                                                         "imagxp_policy policy.json;"))
    done = subprocess.run(site.command("-t"), capture_output=True, text=True)
    assert done.returncode == 0 and "policy.json" in (site.folder / "nginx.conf").read_text(), done.stderr


