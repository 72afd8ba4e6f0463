"""What a client may make this server do in vain."""

import time

import pytest
from agents import ZONE
from publisher import sign

ONE = {"source": "127.0.0.1"}


@pytest.mark.parametrize("settings, purpose, refused", [
    ({}, 2, "REPLAY_DETECTED"),
    ({"policy": '{"allowTraining":true}'}, 2, "PURPOSE_REFUSED"),
    ({"policy": '{"allowRAG":true}', "server": f"imagxp_broker https://broker.{ZONE};"}, 2, "VISA_REQUIRED"),
])
def test_a_message_that_costs_a_verification_each_time(start, agents, settings, purpose, refused):
    """It is refused, so its nonce is not spent: it could be sent for ever."""
    site, agent = start(workers=1, http="imagxp_fail_limit 5r/s burst=5;", **settings), agents.agent()
    headers = sign(agent, purpose=purpose)
    site.get(headers=headers, **ONE)
    codes = [site.get(headers=headers, **ONE).code for _ in range(12)]
    assert codes[0] == refused and codes[-1] == "BUSY", codes
    assert site.get(headers=headers).code == refused, "another client"


def test_new_names_in_vain(start, agents):
    """Names that must wait for their manifest: the signature was checked all the same."""
    site = start(workers=1, http="imagxp_fail_limit 5r/s burst=5;")
    codes = [site.visit(agents.agent(), **ONE).code for _ in range(40)]
    assert "IDENTITY_PENDING" in codes and codes[-1] == "BUSY", codes


def test_what_costs_nothing_is_not_charged(start, agents):
    site = start(workers=1, http="imagxp_fail_limit 5r/s burst=5;")
    agent, liar = agents.agent(), agents.agent()
    agents.publish(liar, key=agent)
    assert {site.get(**ONE).code for _ in range(20)} == {"IDENTITY_REQUIRED"}
    stale = sign(agent, at=time.time() - 400)
    assert {site.get(headers=stale, **ONE).code for _ in range(20)} == {"TIMESTAMP_STALE"}
    assert {site.visit(liar, **ONE).code for _ in range(20)} == {"KEY_MISMATCH"}
    assert site.visit(agent, **ONE).code == "OK"
