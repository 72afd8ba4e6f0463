"""Times whole processes, from spawn to exit: `imagxp sign` and `openssl dgst -sign`, in turn.

Usage: processes.py IMAGXP ROWS
Both read the same PEM key from a file and make one ES256 signature; imagxp also makes claims, nonce and headers.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 400
URL = "https://pub.example.com/articles/2026/11/a-title-of-ordinary-length?page=1"


def main(imagxp, rows):
    with tempfile.TemporaryDirectory() as folder:
        key = os.path.join(folder, "key.pem")
        payload = os.path.join(folder, "payload")
        run("openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        pathlib.Path(payload).write_bytes(b"x" * 290)
        ours = [imagxp, "sign", URL, "--purpose", "RAG_RETRIEVAL", "--agent-id", "bot.example.com", "--key", key]
        openssl = ["openssl", "dgst", "-sha256", "-sign", key, payload]
        costs = measure([ours, openssl])
    row = {
        "ours": costs[0][0],
        "baseline": costs[1][0],
        "ratio": round(costs[1][0] / costs[0][0], 3),
        "unit": "us",
        "ratio_is": "baseline / ours",
        "baseline_name": "openssl dgst -sign",
        "spread": round(max(median / least - 1 for least, median in costs), 3),
    }
    row["noisy"] = row["spread"] > 0.5
    run_of = {"method": "interleaved processes, ratio of minima", "versions": {"openssl": run("openssl", "version")}}
    pathlib.Path(rows).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(rows).write_text(json.dumps({"run": run_of, "cli_sign_vs_openssl": row}, indent=2) + "\n")
    medians = ", ".join(f"{name} {median:.0f}" for name, (_, median) in zip(("imagxp sign", "openssl"), costs))
    print(f"  whole processes, medians in microseconds: {medians}")


def measure(commands):
    """The fastest and the middle run of each command, microseconds."""
    paths = [subprocess.check_output(["which", command[0]], text=True).strip() for command in commands]
    samples = [[] for _ in commands]
    with open(os.devnull, "w") as nowhere:
        actions = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1), (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2)]
        for _ in range(ROUNDS):
            for path, command, times in zip(paths, commands, samples):
                started = time.perf_counter_ns()
                pid = os.posix_spawn(path, command, os.environ, file_actions=actions)
                _, status = os.waitpid(pid, 0)
                times.append((time.perf_counter_ns() - started) / 1000)
                if status != 0:
                    sys.exit(f"failed: {' '.join(command)}")
    return [(round(min(times), 1), round(statistics.median(times), 1)) for times in samples]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(*sys.argv[1:])
