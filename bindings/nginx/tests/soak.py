"""The long run: every request once, among malformed ones, new agents and clients that leave. Memory must be flat, and no descriptor
may be left over. Then single requests to all workers at once. REQUESTS and RACES say how many."""

import concurrent.futures
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parents[2] / "ffi" / "tests")]

from agents import Agents  # noqa: E402
from publisher import Nginx, sign  # noqa: E402

TOOLS = os.environ["NGINX_TOOLS"]
REQUESTS = int(os.environ.get("REQUESTS", "10000000"))
RACES = int(os.environ.get("RACES", "1000000"))
ROUND, RACE = 50000, 20000  # signed ahead, and played before they are stale
WORKERS = LANES = 2
# All requests are of one name's agents, and a name gets no more than its share once half of the 28-byte slots are in use.
ZONE = f"{(REQUESTS + RACES) * 2 * 28 // 2**20 + 8}m"


def usage(site):
    """Of all workers: resident KiB of their own, without the zone, and open descriptors."""
    own = descriptors = 0
    for pid in site.workers():
        fields = dict(line.split(":") for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
        own += int(fields["RssAnon"].split()[0])
        descriptors += len(os.listdir(f"/proc/{pid}/fd"))
    return own, descriptors


def play(how, site, connections, file):
    done = subprocess.run([f"{TOOLS}/play", how, str(site.port), str(connections), str(file)], capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


def write(file, count, keys, *lines):
    with file.open("wb") as out:
        subprocess.run([f"{TOOLS}/requests", str(count), "GET /a", "https://pub.example.com", keys, *lines], stdout=out, check=True)
    return file


def signed(folder, keys, counts):
    """Files of signed requests; while one is played the next is signed."""
    with concurrent.futures.ThreadPoolExecutor(1) as signer:
        ahead = []
        for number, count in enumerate(counts):
            ahead.append(signer.submit(write, folder / f"requests{number % 2}", count, keys))
            if number:
                yield counts[number - 1], ahead.pop(0).result()
        if ahead:
            yield counts[-1], ahead.pop().result()


def race(site, folder, keys, races):
    folder.mkdir()
    for count, file in signed(folder, keys, [min(RACE, races - raced) for raced in range(0, races, RACE)]):
        result = play("race", site, 2 * WORKERS, file)
        assert result["wrong"] == "0" and result["200"] == str(count), result
    return races


def disturb(site, agents):
    for _ in range(5):
        site.visit(agents.agent())
    for _ in range(3):
        agent = agents.agent()
        head = "GET /a HTTP/1.1\r\nHost: pub.example.com\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sign(agent)) + "\r\n"
        with socket.create_connection(("127.0.0.1", site.port)) as left:
            left.sendall(head.encode())


def main(folder):
    agents = Agents(folder)
    (folder / "site").mkdir()
    site = Nginx(folder / "site", agents, workers=WORKERS, zone=ZONE, keys="1024 tables=8x8k",
                 http="imagxp_fail_limit off;")
    try:
        keys = ",".join(f"{agent.scalar}:{agent.agent_id}" for agent in (agents.agent() for _ in range(4)))
        malformed = write(folder / "malformed", 1000, "-", "x-imagxp-signature: 0", "x-imagxp-payload: e30=")
        rounds, started, history = max(REQUESTS // ROUND, 4), time.monotonic(), []
        for number, (count, file) in enumerate(signed(folder, keys, [ROUND] * rounds), 1):
            result = play("once", site, 16, file)
            assert result.get("200") == str(count), result
            bad = play("once", site, 16, malformed)
            assert bad.get("401") == "1000", bad
            disturb(site, agents)
            time.sleep(0.3)
            history.append(usage(site))
            if number % max(rounds // 20, 1) == 0:
                print(f"{number * ROUND:>10} requests  {history[-1][0]} KiB  {history[-1][1]} descriptors", flush=True)
        # The first quarter fills caches and touches memory for the first time.
        settled, last = history[len(history) // 4], history[-1]
        print(f"{rounds * ROUND} requests in {time.monotonic() - started:.0f} s; memory {settled[0]} -> {last[0]} KiB, "
              f"descriptors {settled[1]} -> {last[1]}", flush=True)
        assert last[0] <= settled[0] * 1.05 + 1024, "memory grows"
        assert last[1] <= settled[1] + 4, "descriptors are left over"
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
            jobs = [lanes.submit(race, site, folder / f"lane{lane}", keys, RACES // LANES) for lane in range(LANES)]
            raced = sum(job.result() for job in jobs)
        print(f"{raced} requests, each to all workers at once: each admitted once, in {time.monotonic() - started:.0f} s")
    finally:
        bad = site.stop()
        agents.stop()
    assert bad == [], bad


with tempfile.TemporaryDirectory() as name:
    main(pathlib.Path(name))
