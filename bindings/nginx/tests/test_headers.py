"""What the application is told, and that nobody else tells it."""

import pytest
from publisher import sign

AGENT = "X-Imagxp-Verified-Agent"
FIRST_PART = 20  # nginx keeps the headers of a request in parts of so many; Host is one


def fill(count):
    return [(f"X-Many-{i}", "x") for i in range(count)]


# Where a spoofed header can stand: inside, first and last of a part, and alone in one.
SPOOFED = {
    "last of all": [(AGENT, "first.example.com"), (AGENT, "evil.example.com")],
    "a part of its own": fill(FIRST_PART - 1) + [(AGENT, "evil.example.com")],
    "a part of several": fill(FIRST_PART - 1) + [(AGENT, "one.example.com"), ("x-imagxp-verified-code", "OK"), (AGENT, "evil.example.com")],
    "the end of a part": fill(FIRST_PART - 3) + [(AGENT, "one.example.com"), (AGENT, "two.example.com"), ("X-Other", "1")],
    "nearly all": [(AGENT, f"evil{i}.example.com") for i in range(50)],
    "two parts": [(AGENT, f"evil{i}.example.com") for i in range(FIRST_PART - 1)] + [("X-Other", "1"), (AGENT, "evil.example.com")],
    "everywhere": [(AGENT, "one.example.com"), ("x-imagxp-verified-purpose", "QUOTATION"), ("X-Other", "1"), (AGENT, "two.example.com")]
                  + fill(40) + [(AGENT, "late.example.com"), ("X-Other", "2")],
}


def told(answer, *prefixes):
    return [line for line in answer.body.decode().splitlines() if line.lower().startswith(prefixes)]


@pytest.fixture
def site(start, application):
    return start(policy='{"allowRAG":true}', server=f"""
        location /app {{ imagxp_upstream_headers on; proxy_pass {application.url}; }}
        location /quiet {{ proxy_pass {application.url}; }}
        location /free {{ imagxp off; proxy_pass {application.url}; }}
        location /variable {{ add_header X-Variable "[$http_x_imagxp_verified_agent]"; try_files /a =404; }}""")


def test_spoofed_headers_are_removed(site, agents):
    agent = agents.agent()
    for where, spoofed in SPOOFED.items():
        others = [f"{name}: {value}" for name, value in spoofed if name.startswith(("X-Many", "X-Other"))]
        ours = ["x-imagxp-verified-code: OK", "x-imagxp-verified-visitor: VERIFIED_AGENT",
                f"x-imagxp-verified-agent: {agent.agent_id}", "x-imagxp-verified-purpose: RAG_RETRIEVAL",
                "x-imagxp-verified-bound: exact"]
        prefixes = ("x-imagxp-verified", "x_imagxp", "x-many", "x-other")
        for extra in ([], sign(agent, "/app")):
            answer = site.get("/app", extra + spoofed)
            expected = ours if extra else ["x-imagxp-verified-code: OK", "x-imagxp-verified-visitor: UNIDENTIFIED_BOT"]
            assert told(answer, *prefixes) == others + expected, where
        for target in ("/quiet", "/free"):
            assert told(site.get(target, spoofed), *prefixes) == others, (where, target)
        assert site.get("/variable", spoofed).headers["x-variable"] == "[]", where


def test_names_with_underscores_are_the_same_to_an_application(start, application):
    site = start(policy='{"allowRAG":true}', http="underscores_in_headers on;",
                 server=f"location /app {{ proxy_pass {application.url}; }}")
    answer = site.get("/app", [("X_Imagxp_Verified_Agent", "evil.example.com"), ("x-imagxp_VERIFIED-code", "OK"), ("X_Other", "1")])
    assert told(answer, "x_", "x-imagxp") == ["X_Other: 1"]


def test_a_later_verdict_replaces_an_earlier_one(start, agents, application):
    site = start(policy='{"allowRAG":true}', server=f"""
        imagxp_upstream_headers on;
        location /one {{ try_files /nothing /two; }}
        location /two {{ imagxp log_only; imagxp_policy '{{"allowTraining":true,"strategy":"STRICT"}}'; proxy_pass {application.url}; }}
        location /three {{ try_files /nothing /four; }}
        location /four {{ imagxp log_only; imagxp_policy '{{"allowRAG":true,"strategy":"STRICT"}}'; imagxp_upstream_headers off;
                         proxy_pass {application.url}; }}""")
    agent = agents.agent()
    assert told(site.get("/one"), "x-imagxp") == ["x-imagxp-verified-code: IDENTITY_REQUIRED"]
    assert told(site.visit(agent, "/one"), "x-imagxp-verified") == ["x-imagxp-verified-code: PURPOSE_REFUSED"]
    assert told(site.get("/three"), "x-imagxp") == []
