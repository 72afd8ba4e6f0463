"""Payment: a broker's visas, what a 402 says, and visas that are good once."""

import os
import subprocess

import pytest
from agents import ZONE
from publisher import sign

IMAGXP = os.environ["IMAGXP"]
BROKER = f"https://broker.{ZONE}"
POLICY = '{"allowRAG":true%s}'


def run(*arguments, **more):
    return subprocess.run([IMAGXP, *map(str, arguments)], check=True, capture_output=True, text=True, **more).stdout.strip()


class Broker:
    def __init__(self, folder, agents):
        self.folder, self.agents = folder, agents
        run("keygen", "--pem", folder / "broker")
        self.serve("broker")

    def serve(self, name):
        body = run("jwks", "write", self.folder / f"{name}.pub.pem").encode()
        self.agents.answers[f"broker.{ZONE}"] = lambda handler: handler.reply(200, body)

    def visa(self, agent, key="broker", **changes):
        agent_key = self.folder / "agent.pub"
        agent_key.write_text(agent.spki)
        options = {"issuer": BROKER, "audience": "pub.example.com", "amount": "0.01", "agent-id": agent.agent_id, **changes}
        return run("visa", "issue", *(part for name, value in options.items() for part in (f"--{name}", value)),
                   "--agent-key", agent_key, "--key", self.folder / f"{key}.key.pem")


@pytest.fixture
def broker(tmp_path, agents):
    agents.seen[f"broker.{ZONE}"].clear()
    return Broker(tmp_path, agents)


def paid(site, agent, visa, target="/a"):
    return site.get(target, sign(agent, target) + [("x-imagxp-credential", visa)])


def test_visas(start, agents, broker):
    site = start(policy=POLICY % "", workers=3, server=f"imagxp_broker {BROKER} price=0.005;"
                 "add_header X-Visa $imagxp_visa_jti always; add_header X-Proof $imagxp_proof always;")
    agent = agents.agent()
    answer = site.visit(agent)
    assert (answer.status, answer.code) == (402, "VISA_REQUIRED")
    assert answer.headers["x-imagxp-broker"] == BROKER and answer.headers["x-imagxp-price"] == "0.005"
    visa = broker.visa(agent, jti="sale-1")
    for _ in range(12):
        answer = paid(site, agent, visa)
        assert (answer.status, answer.code, answer.headers["x-visa"], answer.headers["x-proof"]) == (200, "OK", "sale-1", "VISA")
    # The key set was fetched once for all workers, and so was the manifest.
    assert len(agents.seen[f"broker.{ZONE}"]) == 1 and agents.fetches(agent) == 1
    assert paid(site, agent, broker.visa(agent, amount="0.004")).code == "VISA_AMOUNT"
    assert paid(site, agent, broker.visa(agent, audience="other.example.com")).code == "JWT_AUDIENCE"
    assert paid(site, agents.agent(), visa).code in ("JWT_SUBJECT", "VISA_BINDING")
    assert paid(site, agent, visa[:-4] + "AAAA").status == 403


def test_a_broker_inside(start, agents, broker):
    """Where the operator's own URL may lead, no agent's name may."""
    inside = f"https://inside.{ZONE}"
    site = start(policy=POLICY % "", server=f"imagxp_broker {inside};",
                 allow=f"imagxp_trial_address {agents.address}; imagxp_allow_address {agents.inside};")
    agents.answers[f"inside.{ZONE}"] = agents.answers[f"broker.{ZONE}"]
    agent = agents.agent()
    assert paid(site, agent, broker.visa(agent, issuer=inside)).code == "OK"
    seen = len(agents.seen[f"inside.{ZONE}"])
    assert site.visit(agents.agent("inside")).code == "MANIFEST_UNAVAILABLE"
    assert len(agents.seen[f"inside.{ZONE}"]) == seen


def test_single_use(start, agents, broker):
    site = start(policy=POLICY % ',"visa_single_use":true', workers=2, server=f"imagxp_broker {BROKER};")
    agent = agents.agent()
    visa = broker.visa(agent)
    assert paid(site, agent, visa).code == "OK"
    assert {paid(site, agent, visa).code for _ in range(6)} == {"VISA_USED"}


def test_a_redirect_does_not_take_a_visa_twice(start, agents, broker):
    site = start(policy=POLICY % "", server=f"""
        location /first {{ try_files /nothing /then/a; }}
        location /then/ {{ alias /etc/; imagxp_policy '{POLICY % ',"visa_single_use":true'}'; imagxp_broker {BROKER}; }}""")
    agent = agents.agent()
    answer = paid(site, agent, broker.visa(agent), "/first")
    assert (answer.status, answer.code) == (500, "POLICY_INVALID")
    assert "its policy must hold from the beginning" in site.log()


def test_a_broker_that_is_away(start, agents, broker):
    agents.answers[f"broker.{ZONE}"] = lambda handler: handler.reply(503, b"{}")
    site, agent = start(policy=POLICY % "", server=f"imagxp_broker {BROKER};"), agents.agent()
    answer = paid(site, agent, broker.visa(agent))
    assert (answer.status, answer.code) == (503, "JWKS_UNAVAILABLE") and int(answer.headers["retry-after"]) >= 1


def test_a_key_set_that_publishes_a_private_key(start, agents, broker):
    start.alerts = True
    body = b'{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"%s","y":"%s","d":"%s"}]}' % ((b"A" * 43,) * 3)
    agents.answers[f"broker.{ZONE}"] = lambda handler: handler.reply(200, body)
    site, agent = start(policy=POLICY % "", server=f"imagxp_broker {BROKER};"), agents.agent()
    assert paid(site, agent, broker.visa(agent)).status in (403, 503)
    assert "publishes a private key" in site.log()


def test_another_issuer(start, agents, broker):
    site = start(policy=POLICY % "", server=f"imagxp_broker https://shop.{ZONE} jwks={BROKER}/.well-known/jwks.json issuer=shop;")
    agent = agents.agent()
    assert paid(site, agent, broker.visa(agent, issuer="shop")).code == "OK"


