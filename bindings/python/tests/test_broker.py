"""A whole sale: an agent is asked to pay, buys a visa from a broker that really verifies who asks, and is let in."""

import base64
import json
import os
import subprocess

import pytest
from conftest import URL, knowing

from imagxp import Agent, ImagxpError, Proof, Request
from imagxp._keys import Fetched, Wanted
from imagxp.broker import Declined, Issuer, Wallet, read_visa
from imagxp.visits import UNHEARD, UNSENT, Reply, Visits

BROKER = "https://broker.example.com"
KEY = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"
TOKEN = "a-token-of-the-operator-for-these-tests"
POLICY = {"allowRAG": True, "price": 0.001, "audiences": ["pub.example.com"], "monetization": {"brokerUrl": BROKER}}


@pytest.fixture
def issuer():
    return Issuer(BROKER, KEY)


def selling(agent, issuer, **policy):
    publisher = knowing(agent, {**POLICY, **policy})
    wanted = Wanted(2, f"{BROKER}/.well-known/jwks.json", "broker.example.com", True, 65_536)
    publisher._keys.supply(wanted, Fetched(1, issuer.jwks().encode()))
    return publisher


def paid(agent, visa):
    return Request.of_url(URL, {**agent.sign(URL, "SUMMARY"), "x-imagxp-credential": visa})


def test_a_visa_admits_its_holder(agent, issuer):
    publisher = selling(agent, issuer)
    visa = issuer.issue("pub.example.com", "0.001", agent_id=agent.agent_id, public_key=agent.public_key, jti="v1")
    verdict = publisher.check(paid(agent, visa))
    assert verdict.proof == Proof.VISA and verdict.issuer == BROKER and verdict.jti == "v1" and str(verdict.amount) == "0.001"
    other = Agent.generate("other.example.com")
    publisher.learn(other.agent_id, other.manifest())
    assert publisher.check(paid(other, visa)).code == "JWT_SUBJECT"
    assert publisher.check(paid(agent, issuer.issue("pub.example.com", "0.0009"))).code == "VISA_AMOUNT"
    assert publisher.check(paid(agent, issuer.issue("other.example.com", "0.001"))).code == "JWT_AUDIENCE"
    assert publisher.check(paid(agent, Issuer(BROKER, "1" * 64).issue("pub.example.com", 1))).code == "JWT_KEY_UNKNOWN"


def test_a_visa_for_one_request(agent, issuer):
    publisher = selling(agent, issuer, visa_single_use=True)
    visa = issuer.issue("pub.example.com", "0.001")
    assert publisher.check(paid(agent, visa))
    assert publisher.check(paid(agent, visa)).code == "VISA_USED"


def test_visas_that_no_verifier_takes(issuer):
    for arguments, code in (
        (("pub.example.com", "0"), "VISA_AMOUNT"),
        (("", "1"), "JWT_AUDIENCE"),
        (("pub.example.com", "1", 3601), "JWT_LIFETIME"),
    ):
        with pytest.raises(ImagxpError) as caught:
            issuer.issue(*arguments[:2], lifetime_s=arguments[2] if len(arguments) > 2 else 60)
        assert caught.value.code == code
    with pytest.raises(ValueError, match="six places"):
        issuer.issue("pub.example.com", "0.0000001")


def test_a_wallet_keeps_what_is_good(issuer):
    wallet = Wallet([BROKER], max_price="0.01")
    visa = issuer.issue("pub.example.com", "0.001")
    wallet.keep("pub.example.com", visa)
    assert wallet.take("pub.example.com") == wallet.take("pub.example.com") == visa
    assert wallet.take("other.example.com") is None
    wallet.drop("pub.example.com", "another", used=False)
    assert wallet.take("pub.example.com") == visa
    wallet.drop("pub.example.com", visa, used=True)
    assert wallet.take("pub.example.com") is None
    assert wallet.keep("pub.example.com", visa).token == visa and wallet.take("pub.example.com") is None, "its buyer's alone"
    wallet.keep("b.example.com", issuer.issue("b.example.com", "0.001", lifetime_s=2))
    assert wallet.take("b.example.com") is None, "it would not arrive in time"
    with pytest.raises(Declined, match="compact JWS"):
        read_visa(visa + "\r\nX: y")


def test_feedback_says_what_was_said(agent):
    request = agent.sign(URL, "SUMMARY")
    token = agent.feedback(URL, "0.25", "INACCURATE", audience=BROKER, visa="v1", payload=request["x-imagxp-payload"], jti="f1")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["quality_score"] == 0.25 and claims["reason"] == "INACCURATE" and claims["url"] == URL
    assert (claims["aud"], claims["visa"], claims["jti"]) == (BROKER, "v1", "f1") and "req" in claims
    for score in (-1, "nan", "0.1234567", "x"):
        with pytest.raises(ValueError, match="six places"):
            agent.feedback(URL, score, "INACCURATE", audience=BROKER)
    with pytest.raises(ImagxpError, match="FEEDBACK_INVALID"):
        agent.feedback(URL, 2, "INACCURATE", audience=BROKER)


# ---- a sale, step by step ----

ASKED = Reply(402, {"x-imagxp-broker": BROKER, "x-imagxp-price": "0.001"})


def ordering(agent, url=URL):
    wallet = Wallet([BROKER], max_price="0.01")
    steps = Visits(agent, "SUMMARY", wallet=wallet).visit(url)
    next(steps)
    return wallet, steps, steps.send(ASKED)


@pytest.mark.parametrize("lost", [UNHEARD, Reply(500, {}), Reply(503, {})])
def test_an_answer_that_was_lost_may_have_cost_the_price(agent, issuer, lost):
    wallet, steps, order = ordering(agent)
    assert steps.send(lost) is order, "the same signed headers: the same sale"
    with pytest.raises(StopIteration):
        steps.send(lost)
    assert str(wallet.spent) == "0.001"
    wallet, steps, order = ordering(agent)
    steps.send(lost)
    visa = issuer.issue("pub.example.com", "0.001")
    assert steps.send(Reply(200, {}, json.dumps({"token": visa}).encode()))["x-imagxp-credential"] == visa
    assert str(wallet.spent) == "0.001"


@pytest.mark.parametrize("refused", [UNSENT, Reply(400, {}), Reply(403, {})])
def test_what_was_refused_costs_nothing(agent, refused):
    wallet, steps, _ = ordering(agent)
    with pytest.raises(StopIteration):
        steps.send(refused)
    assert wallet.spent == 0


def test_a_visa_stays_with_its_origin(agent, issuer):
    visa, wallet = issuer.issue("pub.example.com", "0.001"), Wallet([BROKER], max_price="0.01")
    wallet.keep("https://pub.example.com", visa)
    wallet.keep("http://pub.example.com", visa)
    visits = Visits(agent, "SUMMARY", wallet=wallet)
    assert next(visits.visit("https://PUB.example.com:443/b"))["x-imagxp-credential"] == visa
    assert "x-imagxp-credential" not in next(visits.visit("https://pub.example.com:8443/b"))
    plain = visits.visit("http://pub.example.com/b")
    assert "x-imagxp-credential" not in next(plain)
    with pytest.raises(StopIteration):
        plain.send(ASKED)
    assert wallet.spent == 0


def test_who_bought_a_visa_that_is_good_once_has_it(agent, issuer):
    """Though others look into the wallet meanwhile."""
    wallet, steps, _ = ordering(agent)
    wallet.drop("https://pub.example.com", None, used=True)
    visa = issuer.issue("pub.example.com", "0.001")
    assert steps.send(Reply(200, {}, json.dumps({"token": visa}).encode()))["x-imagxp-credential"] == visa
    assert wallet.take("https://pub.example.com") is None


# ---- over HTTP ----


@pytest.mark.parametrize("single_use", ["", "1"])
def test_an_agent_pays_where_it_is_asked_to(serve, local_agent, single_use):
    clients = pytest.importorskip("test_clients")
    for client in clients.CLIENTS:
        broker = serve(*clients.UVICORN, "apps:broker_app", KEY=KEY)
        server = serve(*clients.UVICORN, "apps:fastapi_app", BROKER=broker.origin, SINGLE_USE=single_use)
        wallet = Wallet([broker.origin], max_price="0.01")
        answers = client(local_agent, f"{server.origin}/a", wallet=wallet)
        assert [status for status, _ in answers] == [200, 200], (client, answers)
        assert all(json.loads(text)["proof"] == "VISA" for _, text in answers)
        # A visa is good until it expires; one that is good once is bought anew.
        assert str(wallet.spent) == ("0.002" if single_use else "0.001")
        poor = Wallet([broker.origin], max_price="0.0001")
        assert client(local_agent, f"{server.origin}/a", wallet=poor)[0][0] == 402 and poor.spent == 0
        if single_use:
            break


def test_the_projects_own_broker(serve, local_agent):
    """``imagxp broker --dev``: the same sale, against the real service."""
    clients = pytest.importorskip("test_clients")
    cli = os.environ.get("IMAGXP_CLI")
    if not cli or subprocess.run([cli, "broker", "--help"], check=False, capture_output=True).returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("IMAGXP_CLI does not name a command line with a broker")
        pytest.skip("SKIPPED LOUDLY: IMAGXP_CLI does not name a command line with a broker")
    broker = serve(
        cli,
        "broker",
        "--dev",
        "--listen",
        "127.0.0.1:{port}",
        "--public-url",
        "http://localhost:{port}",
        IMAGXP_BROKER_ADMIN_TOKEN=TOKEN,
    )
    credit = [cli, "broker", "credit", "--dev", "--broker", broker.origin, local_agent.agent_id, "1"]
    subprocess.run(credit, check=True, capture_output=True, env={**os.environ, "IMAGXP_BROKER_ADMIN_TOKEN": TOKEN})
    server = serve(*clients.UVICORN, "apps:fastapi_app", BROKER=broker.origin)
    wallet = Wallet([broker.origin], max_price="0.01")
    answers = clients.by_httpx(local_agent, f"{server.origin}/a", wallet=wallet)
    assert [status for status, _ in answers] == [200, 200], (answers, broker.log.read_text())
    assert str(wallet.spent) == "0.001"
