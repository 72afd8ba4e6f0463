"""Exactly once, whatever the workers do: all at the same time, reloads, kills, upgrades."""

import collections
import http.client
import os
import signal
import subprocess
import time

import pytest
from publisher import sign

NO_LIMIT = "imagxp_fail_limit off;"  # all these requests come from one address
TOOLS = os.environ["NGINX_TOOLS"]
ASAN = "NGINX_ASAN" in os.environ
RACES = int(os.environ.get("IMAGXP_RACES", "1000" if ASAN else "10000"))


def requests(folder, agent, count, *lines):
    file = folder / "requests"
    with file.open("wb") as out:
        subprocess.run([f"{TOOLS}/requests", str(count), "GET /a", "https://pub.example.com", f"{agent.scalar}:{agent.agent_id}",
                        *lines], stdout=out, check=True)
    return file


def play(how, site, connections, file):
    done = subprocess.run([f"{TOOLS}/play", how, str(site.port), str(connections), str(file)], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_one_request_to_all_workers_at_once(start, agents, tmp_path, workers):
    races = RACES // 20 if workers < 4 else RACES
    agent = agents.agent()
    site = start(workers=workers, zone="8m", http=NO_LIMIT)
    connections = 2 * workers
    # One at a time until every worker has its connection.
    for attempt in range(20):
        if attempt:
            site.reload()
        warm = play("once", site, connections, requests(tmp_path, agent, connections * 4))
        if int(warm["workers"]) == workers:
            break
    result = play("race", site, connections, requests(tmp_path, agent, races))
    assert result["wrong"] == "0" and result["200"] == str(races), result
    assert int(result["403"]) == races * (connections - 1)
    assert agents.fetches(agent) == 1


def test_reload_keeps_what_was_admitted(start, agents):
    site, agent = start(), agents.agent()
    headers = sign(agent)
    assert site.get(headers=headers).code == "OK"
    site.reload()
    assert site.get(headers=headers).code == "REPLAY_DETECTED"
    assert site.visit(agent).code == "OK"


def test_a_resized_zone_refuses_what_it_cannot_know(start, agents):
    site, agent = start(), agents.agent()
    old = sign(agent)
    assert site.get(headers=old).code == "OK"
    site.reload(zone="6m")
    answer = site.get(headers=old)
    assert (answer.status, answer.code) == (503, "RESTART_GUARD") and int(answer.headers["retry-after"]) >= 1
    assert site.visit(agent).code == "OK"
    assert "has another size" in site.log()


WINDOW = '{"allowRAG":true,"strategy":"STRICT","window":%d}'


def test_a_longer_window_knows_what_the_shorter_one_forgot(start, agents):
    site, agent = start(policy=WINDOW % 1000), agents.agent()
    assert site.visit(agent).code == "OK"  # fetched
    headers = sign(agent)
    assert site.get(headers=headers).code == "OK"
    time.sleep(3.2)  # a nonce is kept for the window and a second, in whole seconds
    site.reload(policy=WINDOW % 300000)
    answer = site.get(headers=headers)
    assert (answer.status, answer.code) == (503, "RESTART_GUARD")
    assert site.visit(agent).code == "OK" and "has a longer window" in site.log()
    headers = sign(agent)
    assert site.get(headers=headers).code == "OK"
    site.reload(policy=WINDOW % 200000)  # a shorter one forgets nothing
    assert site.get(headers=headers).code == "REPLAY_DETECTED"
    assert site.visit(agent).code == "OK"


def test_one_zone_has_one_window(start):
    site = start()
    site.stop()
    status, said = site.test(server=f"location /x {{ imagxp_policy '{WINDOW % 1000}'; }}")
    assert status == 1 and "have different windows" in said
    assert site.test(server=f"location /x {{ imagxp off; imagxp_policy '{WINDOW % 1000}'; }}")[0] == 0


def test_old_workers_admit_nothing_into_a_zone_that_is_replaced(start, agents):
    """A worker that shuts down slowly still has connections; what it would admit could pass once more in the new zone."""
    site, agent = start(workers=1), agents.agent()
    assert site.visit(agent).code == "OK"
    old_worker = site.workers()[0]
    slow = http.client.HTTPConnection("127.0.0.1", site.port)
    slow.connect()
    headers = sign(agent, at=time.time() + 30)  # signed, for both zones, in the future
    head = "GET /a HTTP/1.1\r\nHost: pub.example.com\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
    slow.sock.sendall(head.encode())
    time.sleep(0.1)
    site.write_config(zone="6m")
    os.kill(site.pid(), signal.SIGHUP)
    site.wait(lambda: site.workers() and old_worker not in site.workers())
    slow.sock.sendall(b"\r\n")
    answer = slow.sock.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 503") and "X-Code: RESTART_GUARD" in answer, answer
    slow.close()
    assert site.get(headers=headers).code == "OK"


def test_restart_guard(start, agents):
    site, agent = start(), agents.agent()
    headers = sign(agent)
    assert site.get(headers=headers).code == "OK"
    site.stop()
    site.start()
    assert site.get(headers=headers).code == "RESTART_GUARD"


def test_workers_killed_under_load(start, agents, tmp_path):
    """With -9, wherever they are: nothing hangs, and nothing passes twice."""
    site, agent = start(workers=2, zone="8m", http=NO_LIMIT + "log_format nonces '$imagxp_nonce $status';",
                        server="access_log nonces.log nonces;"), agents.agent()
    start.alerts = True  # "exited on signal 9" is what we did
    assert site.visit(agent).code == "OK"
    count = 3000 if ASAN else 20000
    file = requests(tmp_path, agent, count)
    load = subprocess.Popen([f"{TOOLS}/play", "once", str(site.port), "8", str(file)], stdout=subprocess.PIPE, text=True)
    kills = 0
    while load.poll() is None:
        for pid in site.workers()[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass
        time.sleep(0.03)
    load.wait()
    load.stdout.close()
    play("once", site, 8, file)
    passed = collections.Counter(line for line in (site.folder / "nonces.log").read_text().splitlines())
    nonces = {nonce for nonce, code in map(str.split, passed) if code == "200"}
    # A worker writes its line after the answer, so one that was killed may have kept it to itself; none is there twice.
    assert kills >= 5 and len(nonces) > count / 2
    assert [nonce for nonce in nonces if passed[f"{nonce} 200"] > 1] == []
    assert site.visit(agent).code == "OK"


def die(site, headers, how):
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        site.get(headers=[*headers, ("X-Die", str(how))])


def test_a_worker_killed_inside_the_lock(start, agents):
    site, agent = start(workers=2), agents.agent()
    start.alerts = True
    for _ in range(5):
        die(site, sign(agent), "lock")
        assert site.visit(agent).code == "OK"


def test_a_worker_killed_anywhere_in_a_decision(start, agents):
    """From before the verification to behind the writes in the zone: what was not answered may pass once, and nothing hangs."""
    site, agent = start(workers=1), agents.agent()
    start.alerts = True
    spent = kept = 0
    for number in range(20 if ASAN else 150):
        assert site.visit(agent).code == "OK"
        headers = sign(agent)
        try:
            first = site.get(headers=[*headers, ("X-Die", str(number % 50 * 3000))]).code
        except (http.client.HTTPException, ConnectionError):
            first = None
        for _ in range(20):  # the worker may be about to die only now
            try:
                again = site.get(headers=headers).code
                break
            except (http.client.HTTPException, ConnectionError):
                time.sleep(0.01)
        assert again == "REPLAY_DETECTED" or (again == "OK" and first is None), (first, again)
        spent, kept = spent + (again == "REPLAY_DETECTED"), kept + (again == "OK")
        assert site.get(headers=headers).code == "REPLAY_DETECTED"
    assert ASAN or (spent and kept), (spent, kept)


def test_binary_upgrade(start, agents):
    """Two masters, two zones: a request that was signed before the upgrade passes in the old one only."""
    site, agent = start(workers=1, daemon=True), agents.agent()
    before = sign(agent)
    os.kill(site.pid(), signal.SIGUSR2)
    oldbin = site.folder / "nginx.pid.oldbin"
    site.wait(oldbin.exists)
    site.wait(lambda: (site.folder / "nginx.pid").exists() and (site.folder / "nginx.pid").read_text().strip())
    new = site.pid()
    site.wait(lambda: site.workers())
    codes = {site.get(headers=before).code for _ in range(30)}
    assert codes <= {"OK", "REPLAY_DETECTED", "RESTART_GUARD"} and "RESTART_GUARD" in codes, codes
    # The old master is told to go; from here on there is one zone.
    old = int(oldbin.read_text())
    os.kill(old, signal.SIGQUIT)
    site.wait(lambda: not os.path.exists(f"/proc/{old}"))
    assert site.pid() == new and site.get(headers=before).code == "RESTART_GUARD"
    assert site.visit(agent).code == "OK"


def test_a_full_cache_refuses(start, agents, tmp_path):
    site, agent = start(zone="32k", workers=1, http=NO_LIMIT), agents.agent()
    result = play("once", site, 4, requests(tmp_path, agent, 3000))
    assert int(result.get("429", 0)) + int(result.get("503", 0)) > 0
    answer = site.visit(agent)
    assert answer.code in ("REPLAY_CACHE_FULL", "AGENT_QUOTA") and answer.status in (503, 429), answer
    if answer.status == 503:
        assert 1 <= int(answer.headers["retry-after"]) <= 600


