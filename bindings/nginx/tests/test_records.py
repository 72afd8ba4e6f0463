"""What is said and written down: discovery, provenance, stories, evidence."""

import collections
import concurrent.futures
import ctypes
import json
import os
import re
import resource
import signal
import subprocess
import time

import pytest
from agents import free_port
from publisher import clib, sign
from test_once import play, requests

IMAGXP = os.environ["IMAGXP"]


@pytest.fixture
def key(tmp_path):
    subprocess.run([IMAGXP, "keygen", "--pem", tmp_path / "site"], check=True, capture_output=True)
    return tmp_path / "site.key.pem"


def test_discovery(start):
    site = start(server="location = /.well-known/imagxp-policy.json { imagxp off; imagxp_discovery; }",
                 policy='{"allowRAG":true,"price":"0.5"}')
    answer = site.get("/.well-known/imagxp-policy.json")
    terms = json.loads(answer.body)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert terms["allowRAG"] is True and terms["allowTraining"] is False
    assert terms["audiences"] == ["https://pub.example.com"] or "pub.example.com" in terms["audiences"]
    assert site.get("/.well-known/imagxp-policy.json", method="HEAD").body == b""
    assert site.get("/.well-known/imagxp-policy.json", method="POST", body=b"").status == 405


def verify_provenance(public, headers):
    lib, text = clib.lib, clib.text
    lib.imagxp_provenance_verify.argtypes = [clib.Str] * 4 + [ctypes.c_int64, ctypes.c_uint32, ctypes.c_uint32,
                                                              ctypes.c_void_p, ctypes.c_void_p]
    values = [headers[f"x-imagxp-{name}"] for name in ("content-origin", "provenance-sig", "provenance-ts")]
    return clib.name(lib.imagxp_provenance_verify(text(public), *map(text, values), int(time.time() * 1000), 300000, 60000, None, None))


def test_provenance(start, agents, key, tmp_path):
    back = free_port()
    application = f"server {{ listen 127.0.0.1:{back}; location / {{ add_header X-Imagxp-Content-Origin HYBRID; return 200 app; }} }}"
    site = start(http=f"imagxp_key {key}; {application}", policy='{"allowRAG":true}', workers=1,
                 server="imagxp_provenance HUMAN; location /machine { imagxp_provenance SYNTHETIC; try_files /a =404; }"
                        f"location /app {{ proxy_pass http://127.0.0.1:{back}; }}")
    public = (tmp_path / "site.pub.pem").read_text()
    answers = [site.get() for _ in range(20)] + [site.visit(agents.agent())]
    for answer in answers:
        assert answer.headers["x-imagxp-content-origin"] == "HUMAN" and verify_provenance(public, answer.headers) == "OK"
    # One signature a second.
    assert len({answer.headers["x-imagxp-provenance-sig"] for answer in answers}) <= 3
    machine = site.get("/machine")
    assert machine.headers["x-imagxp-content-origin"] == "SYNTHETIC" and verify_provenance(public, machine.headers) == "OK"
    application = site.get("/app").headers
    assert application["x-imagxp-content-origin"] == "HUMAN" and verify_provenance(public, application) == "OK"
    machine.headers["x-imagxp-content-origin"] = "HUMAN"
    assert verify_provenance(public, machine.headers) == "SIGNATURE_INVALID"
    assert "x-imagxp-provenance-sig" not in site.get(headers=[("x-imagxp-payload", "e30=")]).headers


def test_provenance_without_a_key(start):
    site = start()
    site.stop()
    status, said = site.test(server="imagxp_provenance HUMAN;")
    assert status == 1 and 'need "imagxp_key"' in said


def test_stories(start, agents):
    site, agent = start(server="imagxp_story story.log; location /json { imagxp_story story.json json; try_files /a =404; }"), agents.agent()
    assert site.visit(agent).code == "OK"
    liar = agents.agent()
    agents.publish(liar, key=agent)
    assert site.visit(liar).code == "KEY_MISMATCH"
    assert site.get(headers=[("x-imagxp-payload", "\x7f")]).status in (400, 401)
    assert site.visit(agent, "/json").code == "OK"
    story = (site.folder / "story.log").read_text()
    assert f"{agent.agent_id}" in story and "| CRYPTO |" in story and "| ACCESS |" in story and "| IMAGXP DNS |" in story, story
    events = [json.loads(line) for line in (site.folder / "story.json").read_text().splitlines()]
    assert events and {"at", "module", "event"} <= set(events[0])


def logs(site, names="*.jsonl"):
    return sorted((site.folder / "evidence").glob(names))


def prove(site, folder, names="*.jsonl", *options):
    """Every log, by the command line, offline."""
    found = []
    for log in logs(site, names):
        if log.stat().st_size:
            done = subprocess.run([IMAGXP, "evidence", "verify", log, "--publisher", folder / "site.pub.pem", "--json", *options],
                                  capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            found.append(json.loads(done.stdout))
    return found


def test_evidence(start, agents, key, tmp_path):
    site = start(http=f"imagxp_key {key}; imagxp_evidence {tmp_path}/nginx0/evidence;", workers=2)
    agent, liar = agents.agent(), agents.agent()
    agents.publish(liar, key=agent)
    headers = sign(agent)
    assert site.get(headers=headers).code == "OK"
    for _ in range(6):
        assert site.get(headers=headers).code == "REPLAY_DETECTED"
        assert site.visit(agent).code == "OK"
    assert site.visit(liar).code == "KEY_MISMATCH"
    assert site.get().code == "IDENTITY_REQUIRED"
    site.stop()
    proofs = prove(site, tmp_path)
    records = [json.loads(line) for log in logs(site) for line in log.read_text().splitlines()]
    assert len(logs(site)) == 2 and proofs
    assert sum(proof["decisions"] for proof in proofs) == 14, proofs
    assert all(proof["checkpoints"] >= 1 and proof["documents"] >= 1 for proof in proofs)
    assert records


def test_evidence_survives_a_killed_worker(start, agents, key, tmp_path):
    site = start(http=f"imagxp_key {key}; imagxp_evidence {tmp_path}/nginx0/evidence all;", workers=1)
    start.alerts = True
    agent = agents.agent()
    for _ in range(3):
        assert site.visit(agent).code == "OK"
    site.get()
    worker = site.workers()[0]
    os.kill(worker, 9)
    site.wait(lambda: site.workers() and site.workers() != [worker])
    assert site.visit(agent).code == "OK"
    site.reload()
    assert site.visit(agent).code == "OK"
    site.stop()
    assert len(logs(site)) == 3
    assert sum(proof["decisions"] for proof in prove(site, tmp_path)) >= 6


def reopen(site):
    """`nginx -s reopen`, until all workers have."""
    def count():
        return collections.Counter(re.findall(r" (\d+)#\d+: reopening logs", site.log()))

    before, workers = count(), site.workers()
    os.kill(site.pid(), signal.SIGUSR1)
    site.wait(lambda: all(count()[str(pid)] > before[str(pid)] for pid in workers))


def visit_all(site, agents):
    """Until each worker has decided about each agent; how many decisions that were."""
    decisions = 0
    for agent in agents:
        seen = set()
        while len(seen) < len(site.workers()):
            answer = site.visit(agent)
            assert answer.code == "OK", answer
            seen.add(answer.headers["x-worker"])
            decisions += 1
    return decisions


@pytest.mark.parametrize("left", ("nothing", "an empty file"))
def test_evidence_is_rotated(start, agents, key, tmp_path, left):
    """Moved away and reopened: what was moved is sealed, and each file can be verified without the others."""
    site = start(http=f"imagxp_key {key}; imagxp_evidence {tmp_path}/nginx0/evidence;", workers=2)
    known, decisions = [agents.agent(), agents.agent()], 0
    for day in range(3):
        decisions += visit_all(site, known)
        for log in logs(site):
            log.rename(f"{log}.{day}")
            if left == "an empty file":
                log.touch(0o640)
        reopen(site)
    decisions += visit_all(site, known)
    assert all(log.stat().st_mode & 0o777 == 0o640 for log in logs(site))
    site.stop()
    proofs = prove(site, tmp_path, "*.jsonl*", "--sealed")
    assert len(proofs) == 2 * 4
    assert all(proof["documents"] == 2 and proof["unknown_documents"] == 0 and proof["checkpoints"] for proof in proofs), proofs
    assert sum(proof["decisions"] for proof in proofs) == decisions
    assert [agents.fetches(agent) for agent in known] == [1, 1]


def test_evidence_is_rotated_under_load(start, agents, key, tmp_path):
    """No decision is lost, none is in two files, and none rests on a document of another file."""
    site = start(http=f"imagxp_key {key}; imagxp_evidence {tmp_path}/nginx0/evidence;", workers=2)
    file = requests(tmp_path, agents.agent(), 20000)
    with concurrent.futures.ThreadPoolExecutor(1) as player:
        result = player.submit(play, "once", site, 8, file)
        rotations = 0
        while not result.done():
            for log in logs(site):
                log.rename(f"{log}.{rotations}")
            reopen(site)
            rotations += 1
    assert rotations > 1 and result.result()["200"] == "20000", result.result()
    site.stop()
    proofs = prove(site, tmp_path, "*.jsonl*", "--sealed")
    assert sum(proof["decisions"] for proof in proofs) == 20000
    assert sum(proof["unknown_documents"] for proof in proofs) == 0


def test_evidence_that_stays_goes_on(start, agents, key, tmp_path):
    site, agent = start(http=f"imagxp_key {key}; imagxp_evidence {tmp_path}/nginx0/evidence;", workers=1), agents.agent()
    assert site.visit(agent).code == "OK"
    reopen(site)
    assert site.visit(agent).code == "OK"
    site.stop()
    proof, = prove(site, tmp_path)
    assert proof["decisions"] == 2 and proof["documents"] == 1


def test_evidence_is_appended_to_no_other_file(start, agents, key, tmp_path):
    site, agent = start(http=f"imagxp_key {key}; imagxp_evidence {tmp_path}/nginx0/evidence;", workers=1), agents.agent()
    start.alerts = True
    assert site.visit(agent).code == "OK"
    log, = logs(site)
    log.rename(f"{log}.1")
    log.write_text("a stranger's\n")
    reopen(site)
    assert site.visit(agent).code == "OK"
    assert "is not this worker's evidence, another file is begun" in site.log()
    assert log.read_text() == "a stranger's\n"
    log.unlink()
    site.stop()
    assert [proof["decisions"] for proof in prove(site, tmp_path, "*.jsonl*", "--sealed")] == [1, 1]


def test_evidence_without_a_directory(start, key):
    site = start()
    site.stop()
    status, said = site.test(http=f'imagxp_key {key}; imagxp_evidence "";')
    assert status == 1 and "needs a directory" in said


def test_a_torn_line_is_taken_back(start, agents, key, tmp_path):
    """The disk is full in the middle of a line; what comes when there is room again continues the chain."""
    site = start(http=f"imagxp_key {key}; imagxp_evidence {tmp_path}/nginx0/evidence;", workers=1)
    start.alerts = True
    agent = agents.agent()
    assert site.visit(agent).code == "OK"
    log, = logs(site)
    time.sleep(1.2)  # the checkpoint: after it nothing is written until the next decision
    whole, worker = log.read_bytes(), site.workers()[0]
    limits = resource.prlimit(worker, resource.RLIMIT_FSIZE, (len(whole) + 100, resource.RLIM_INFINITY))
    assert site.visit(agent).code == "OK"
    site.wait(lambda: log.read_bytes() == whole)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
    assert "evidence could not be written" in site.log()
    assert site.visit(agent).code == "OK"
    site.stop()
    proof, = prove(site, tmp_path)
    assert proof["decisions"] == 2
