"""Evidence and story, judged by the command line where it is there: IMAGXP_CLI names it."""

import json
import logging
import os
import resource
import subprocess
import time

import pytest
from conftest import ORIGIN, URL, knowing

from imagxp import Agent, MemoryStore, Publisher, Request
from imagxp.evidence import EvidenceLog

KEY = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"
LOCAL = "http://localhost:8000"


def lines_of(evidence):
    return [json.loads(line) for line in evidence.path.read_text().splitlines()]


def recording(evidence):
    policy = {"development": True, "allowRAG": True, "strategy": "STRICT"}
    return Publisher(policy, origin=LOCAL, store=MemoryStore(1024, accept_from_ms=0), evidence=evidence)


def visit(agent):
    return Request.of_url(f"{LOCAL}/a", agent.sign(f"{LOCAL}/a", "SUMMARY"))


def test_what_is_recorded(local_agent, tmp_path):
    evidence = EvidenceLog(tmp_path / "evidence", KEY)
    publisher, request = recording(evidence), visit(local_agent)
    assert publisher.check(request) and not publisher.check(request) and publisher.check(visit(local_agent))
    assert not publisher.check(Request.of_url(f"{LOCAL}/a", {"user-agent": "curl"}))
    forged = {**local_agent.sign(f"{LOCAL}/a", "SUMMARY"), "x-imagxp-signature": "1" * 128}
    assert not publisher.check(Request.of_url(f"{LOCAL}/a", forged))
    evidence.close()
    kinds = [line["kind"] for line in lines_of(evidence)]
    assert kinds == ["document", "decision", "decision", "decision", "checkpoint"]
    assert (evidence.path.stat().st_mode & 0o777) == 0o600


def test_a_checkpoint_comes_by_itself(local_agent, tmp_path):
    evidence = EvidenceLog(tmp_path, KEY)
    assert recording(evidence).check(visit(local_agent))
    for _ in range(100):
        if lines_of(evidence)[-1]["kind"] == "checkpoint":
            break
        time.sleep(0.05)
    assert [line["kind"] for line in lines_of(evidence)].count("checkpoint") == 1


def test_a_child_begins_a_chain_of_its_own(agent, tmp_path):
    evidence = EvidenceLog(tmp_path, KEY)
    publisher = knowing(agent, evidence=evidence, store=MemoryStore(64, accept_from_ms=0))
    evidence.document(f"https://{agent.agent_id}/.well-known/imagxp-agent.json", agent.manifest().encode(), 1769428800000)
    child = os.fork()
    if child == 0:
        try:
            publisher.store = MemoryStore(64, single_worker=True, accept_from_ms=0)
            publisher.check(Request.of_url(URL, agent.sign(URL, "SUMMARY")))
            evidence.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    evidence.close()
    logs = {path: [json.loads(line)["kind"] for line in path.read_text().splitlines()] for path in tmp_path.iterdir()}
    assert len(logs) == 2 and logs.pop(evidence.path) == ["document", "checkpoint"]
    assert list(logs.values()) == [["document", "decision", "checkpoint"]]


def test_the_chain_survives_a_failed_write(local_agent, tmp_path, monkeypatch):
    evidence = EvidenceLog(tmp_path, KEY)
    publisher = recording(evidence)
    assert publisher.check(visit(local_agent))
    monkeypatch.setattr("imagxp.evidence.os.write", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    assert publisher.check(visit(local_agent)), "evidence refuses nobody"
    monkeypatch.undo()
    assert publisher.check(visit(local_agent))
    evidence.close()
    verified_by_the_command_line(evidence)


def test_a_disk_that_takes_half_a_line(local_agent, tmp_path):
    """A real short write: the file may grow by 100 bytes. Then there is room again."""
    evidence = EvidenceLog(tmp_path, KEY)
    publisher = recording(evidence)
    assert publisher.check(visit(local_agent))
    evidence.checkpoint()
    whole = evidence.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:
        assert publisher.check(visit(local_agent)), "evidence refuses nobody"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert evidence.path.read_bytes() == whole
    assert publisher.check(visit(local_agent))
    resource.setrlimit(resource.RLIMIT_FSIZE, (evidence.path.stat().st_size + 100, hard))
    try:
        evidence.checkpoint()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lines_of(evidence)[-1]["kind"] == "decision", "what was not sealed is not taken for sealed"
    evidence.close()
    assert lines_of(evidence)[-1]["kind"] == "checkpoint"
    verified_by_the_command_line(evidence)


def test_visitors_who_do_not_sign_are_not_recorded(agent, tmp_path):
    for everything, kinds in ((False, []), (True, ["decision", "checkpoint"])):
        evidence = EvidenceLog(tmp_path, KEY, everything=everything)
        publisher = knowing(agent, {"strategy": "PASSIVE"}, evidence=evidence)
        assert publisher.check(Request.of_url(URL, {"user-agent": "curl"}))
        evidence.close()
        assert [line["kind"] for line in lines_of(evidence)] == kinds


def test_no_decision_rests_on_what_is_not_recorded(local_agent, tmp_path, monkeypatch):
    evidence = EvidenceLog(tmp_path, KEY)
    publisher, recorded = recording(evidence), []
    supply = publisher._keys.supply

    def supplying(*arguments):
        recorded.extend(line["kind"] for line in lines_of(evidence))
        supply(*arguments)

    monkeypatch.setattr(publisher._keys, "supply", supplying)
    assert publisher.check(visit(local_agent)) and recorded == ["document"]
    evidence.close()


def verified_by_the_command_line(evidence):
    cli = os.environ.get("IMAGXP_CLI")
    if not cli:
        pytest.skip("SKIPPED LOUDLY: IMAGXP_CLI does not name the command line")
    key = evidence.path.with_suffix(".pem")
    key.write_text(evidence._signer.public_pem)
    command = [cli, "evidence", "verify", evidence.path, "--publisher", key]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_line_verifies_it(local_agent, tmp_path):
    evidence = EvidenceLog(tmp_path, KEY)
    publisher = recording(evidence)
    for _ in range(5):
        assert publisher.check(visit(local_agent))
    evidence.close()
    verified_by_the_command_line(evidence)


# ---- the story ----


def test_the_story_of_a_publisher(local_agent, caplog):
    publisher = Publisher({"development": True, "allowRAG": True}, origin=LOCAL, store=MemoryStore(64, accept_from_ms=0))
    with caplog.at_level(logging.INFO, "imagxp.story"):
        request = visit(local_agent)
        assert publisher.check(request)
        told = [record.getMessage() for record in caplog.records if record.name == "imagxp.story"]
        assert any("| CRYPTO |" in line and "VALID" in line for line in told), told
        assert any(local_agent.agent_id in line for line in told) and any("GRANTED" in line.upper() for line in told)
        caplog.clear()
        assert not publisher.check(request)
        records = [record for record in caplog.records if record.name == "imagxp.story"]
        assert any("REPLAY_DETECTED" in record.getMessage() for record in records)
        assert all({"at", "module", "event"} <= set(record.imagxp) for record in records)


def test_nobody_else_writes_into_the_log(caplog):
    publisher = Publisher({"strategy": "STRICT"}, origin=ORIGIN, store=MemoryStore(64))
    with caplog.at_level(logging.INFO, "imagxp.story"):
        publisher.check(
            Request("GET", "https", "pub.example.com", "/a\r\n12:00 | ACCESS | GRANTED", {"x-imagxp-payload": "e30="})
        )
    records = [record for record in caplog.records if record.name == "imagxp.story"]
    assert records and all("\n" not in record.getMessage() for record in records)
    assert not any("12:00 | ACCESS" in record.getMessage() for record in records)


def test_the_story_of_an_agent(caplog):
    from imagxp.visits import Reply, Visits

    visits = Visits(Agent.generate("bot.example.com"), "SUMMARY")
    with caplog.at_level(logging.INFO, "imagxp.story"):
        steps = visits.visit(URL)
        next(steps)
        with pytest.raises(StopIteration):
            steps.send(Reply(403, {}, b'{"error":"REPLAY_DETECTED"}'))
    told = [record.getMessage() for record in caplog.records if record.name == "imagxp.story"]
    assert any("REPLAY_DETECTED" in line for line in told) and any("bot.example.com" in line for line in told)
