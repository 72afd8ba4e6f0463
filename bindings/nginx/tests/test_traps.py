"""Where an access module of nginx goes wrong: phases, redirects, subrequests, other modules, HTTP/2."""

import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


def test_error_pages_replace_the_body(start, agents):
    site = start(server="error_page 401 /index.html; error_page 403 @denied; location @denied { try_files /a =404; }")
    answer = site.get()
    assert (answer.status, answer.code, answer.body) == (401, "IDENTITY_REQUIRED", b"the index\n")
    headers = sign(agents.agent())
    assert site.get(headers=headers).code == "OK"
    answer = site.get(headers=headers)
    assert (answer.status, answer.code, answer.body) == (403, "REPLAY_DETECTED", b"the page\n")


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


def test_subrequests_are_the_main_request(start, agents):
    """nginx asks access modules about the main request only; auth_request's own request is one of those."""
    back = free_port()
    site = start(server=f"location /checked {{ auth_request /auth; try_files /a =404; }}"
                        f"location = /auth {{ internal; proxy_pass http://127.0.0.1:{back}; proxy_pass_request_body off; }}",
                 http=f"server {{ listen 127.0.0.1:{back}; location / {{ return 204; }} }}")
    answer = site.visit(agents.agent(), "/checked")
    assert (answer.status, answer.code) == (200, "OK")
    assert site.get("/checked").status == 401


def test_spoofed_headers_are_removed(start, agents):
    back = echo_server()
    site = start(policy='{"allowRAG":true}',
                 server=f"imagxp_upstream_headers on; location /app {{ proxy_pass http://127.0.0.1:{back}; }}"
                        f"location /free {{ imagxp off; proxy_pass http://127.0.0.1:{back}; }}")
    spoofed = [("X-IMAGXP-Verified-Agent", "evil.example.com"), ("x-imagxp-verified-purpose", "QUOTATION"), ("X-Other", "1"),
               ("x-imagxp-verified-agent", "again.example.com"), ("x-imagxp-verified-code", "OK")] + \
              [(f"X-Many-{i}", "x") for i in range(40)] + [("X-Imagxp-Verified-Agent", "late.example.com"), ("X-Last", "2")]
    agent = agents.agent()

    def told(target, headers):
        lines = site.get(target, headers).body.decode().splitlines()
        return [line for line in lines if line.lower().startswith(("x-imagxp-verified", "x-other", "x-last"))]

    assert told("/app", spoofed + sign(agent, "/app")) == [
        "X-Other: 1", "X-Last: 2", "x-imagxp-verified-code: OK", "x-imagxp-verified-visitor: VERIFIED_AGENT",
        f"x-imagxp-verified-agent: {agent.agent_id}", "x-imagxp-verified-purpose: RAG_RETRIEVAL", "x-imagxp-verified-bound: exact"]
    assert told("/app", spoofed) == ["X-Other: 1", "X-Last: 2", "x-imagxp-verified-code: OK",
                                     "x-imagxp-verified-visitor: UNIDENTIFIED_BOT"]
    assert told("/free", spoofed) == ["X-Other: 1", "X-Last: 2"]


def echo_server():
    """An application that answers with the headers it got."""
    class Echo(BaseHTTPRequestHandler):
        def do_GET(self):
            body = str(self.headers).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def test_variables_in_logs_and_maps(start, agents):
    site = start(policy='{"allowRAG":true}',
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
    ({"allow": "imagxp_allow_address loopback;"}, "invalid address range"),
    ({"server": "imagxp_zone name=another;"}, "zero size"),
])
def test_configurations_that_are_refused(start, settings, complaint):
    site = start()
    site.stop()
    status, said = site.test(**settings)
    assert status == 1 and complaint in said, said


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


