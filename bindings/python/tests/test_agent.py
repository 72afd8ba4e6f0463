import base64
import copy
import json
import pickle
import re

import pytest

import imagxp
from imagxp import Agent, HostError, ListedKey, MalformedError, Purpose, RevokedKey

HEX = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"


def payload_of(headers):
    return json.loads(base64.b64decode(headers["x-imagxp-payload"]))


def test_headers_are_those_of_the_wire(agent):
    headers = agent.sign("https://pub.example.com/a?b=%C3%BC", "SUMMARY", ads_displayed=True)
    payload = payload_of(headers)
    assert payload["agent_id"] == "bot.example.com" and payload["purpose"] == "SUMMARY" and payload["v"] == "1.1"
    assert payload["context"] == {"ads_displayed": True}
    assert re.fullmatch("[0-9a-f]{128}", headers["x-imagxp-signature"])
    assert headers["x-imagxp-public-key"] == headers["x-imagxp-key"] == agent.public_key


def test_every_signature_is_fresh(agent):
    assert len({payload_of(agent.sign("https://a.example.com/", "SUMMARY"))["nonce"] for _ in range(100)}) == 100


def test_forms_of_keys(tmp_path):
    one = Agent("bot.example.com", HEX)
    pem = tmp_path / "key.pem"
    pem.write_text(one.private_pem)
    for other in (
        Agent.from_pem("bot.example.com", one.private_pem),
        Agent.from_pem("bot.example.com", one.private_pem.encode()),
        Agent.from_pem("bot.example.com", pem),
        Agent.from_env({"IMAGXP_AGENT_ID": "bot.example.com", "IMAGXP_PRIVATE_KEY": one.private_pem}),
        Agent("bot.example.com", base64.b64decode("".join(one.private_pem.splitlines()[1:-1]))),
    ):
        assert other.kid == one.kid and other.public_jwk == one.public_jwk
    assert one.public_pem.startswith("-----BEGIN PUBLIC KEY-----")


def test_secrets_stay():
    agent = Agent("bot.example.com", HEX)
    assert HEX not in repr(agent) and "kid" in repr(agent)
    assert copy.copy(agent) is copy.deepcopy(agent) is agent
    with pytest.raises(TypeError, match="private key"):
        pickle.dumps(agent)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "Bot.example.com", "bot.example.com:443", "bot", "", "bot.local"])
def test_names_that_are_none(name):
    with pytest.raises(imagxp.ImagxpError) as caught:
        Agent.generate(name)
    assert caught.value.code == "AGENT_ID_INVALID" and caught.value.status == 400


def test_without_a_domain():
    with pytest.raises(MalformedError, match="development=True"):
        Agent.generate("localhost:8080")
    assert Agent.generate("localhost:8080", development=True).agent_id == "localhost:8080"


@pytest.mark.parametrize("key", ["", "nonsense", b"0\x01", "f" * 64, HEX[:-1], "-----BEGIN PRIVATE KEY-----"])
def test_keys_that_are_none(key):
    with pytest.raises(HostError) as caught:
        Agent("bot.example.com", key)
    assert caught.value.code == "PRIVKEY_INVALID" and caught.value.status == 500


def test_from_env_says_what_is_missing():
    with pytest.raises(HostError, match="IMAGXP_PRIVATE_KEY not set: `imagxp keygen`"):
        Agent.from_env({"IMAGXP_AGENT_ID": "bot.example.com"})


@pytest.mark.parametrize("url", ["/relative", "pub.example.com", "https://a.example.com/" + "x" * 2100])
def test_urls_that_cannot_be_signed(agent, url):
    with pytest.raises(imagxp.ImagxpError) as caught:
        agent.sign(url, Purpose.SUMMARY)
    assert caught.value.code in ("RESOURCE_INVALID", "PAYLOAD_TOO_LARGE")


def test_purposes_that_are_none(agent):
    with pytest.raises(ValueError, match="BROWSING"):
        agent.sign("https://pub.example.com/", "BROWSING")


def test_manifest_with_rotation(agent):
    following = Agent.generate("bot.example.com")
    text = agent.manifest(
        contact_email="security@example.com",
        keys=[ListedKey(following.public_pem, nbf=1, exp=2)],
        revoked=[RevokedKey(following.kid, 3)],
    )
    manifest = json.loads(text)
    assert manifest["public_key"] == agent.public_key and manifest["contact_email"] == "security@example.com"
    assert manifest["keys"][0]["kid"] == following.kid and manifest["keys"][0]["exp"] == 2
    assert manifest["revoked"] == [{"kid": following.kid, "at": 3}]
    with pytest.raises(imagxp.ImagxpError, match="MANIFEST_INVALID"):
        agent.manifest(keys=[ListedKey(agent.public_key)] * 5)
