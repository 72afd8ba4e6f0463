"""Runs the servers in turns, and writes the row. Usage: sales.py BINARIES PLACE ROWS"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

BINARIES, PLACE, ROWS = sys.argv[1:]
ROUNDS, VISAS = 3, 8000
TOKEN = "0123456789abcdef0123456789abcdef"
# A server has one core, the load the other.
SERVER, LOAD = (["taskset", "--cpu-list", core] for core in ("0", "1"))
ENVIRONMENT = {"PATH": os.environ["PATH"], "IMAGXP_BROKER_ADMIN_TOKEN": TOKEN}


def load(url, server, kind):
    """One round: COUNT visas on 16 connections."""
    command = [*LOAD, f"{BINARIES}/examples/load", url, str(server.pid), str(VISAS), kind]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"load {kind}: {done.stderr}")
    return json.loads(done.stdout)


def express():
    environment = {name: os.environ[name] for name in ("PATH", "NODE_OPTIONS") if name in os.environ}
    environment["NODE_ENV"] = "production"
    server = subprocess.Popen([*SERVER, "node", "server.mjs"], cwd=PLACE, env=environment, stdout=subprocess.PIPE, text=True)
    return server, f"http://localhost:{int(server.stdout.readline())}", "plain"


def broker(folder, database):
    config = os.path.join(folder, "broker.toml")
    with open(config, "w", encoding="ascii") as file:
        file.write("rate_per_client = 0\nrate_per_agent = 0\n")
    command = [*SERVER, f"{BINARIES}/imagxp-broker", "--dev", "--listen", "127.0.0.1:0", "--config", config, "--database", database,
               "--log-level", "warn"]
    server = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        running = re.match(r"Broker running on (\S+)", line)
        if running:
            return server, running[1], "signed"
    sys.exit("the broker did not start")


def main():
    with tempfile.TemporaryDirectory() as folder:
        servers = {"express": express(), "sqlite": broker(folder, os.path.join(folder, "broker.sqlite"))}
        postgres = os.environ.get("IMAGXP_TEST_POSTGRES")
        if postgres:
            servers["postgres"] = broker(folder, f"{postgres}/postgres")
        results = {name: [] for name in servers}
        try:
            for _ in range(ROUNDS):
                for name, (server, url, kind) in servers.items():
                    results[name].append(load(url, server, kind))
        finally:
            for server, _, _ in servers.values():
                server.terminate()
                server.wait()
    titles = {"express": "Express + jose, no ledger", "sqlite": "imagxp broker, SQLite", "postgres": "imagxp broker, PostgreSQL"}
    print(f"{'16 connections':<28} {'CPU us/visa':>12} {'visas/s':>9} {'p50 us':>8} {'p99 us':>8}")
    for name, rounds in results.items():
        best = {key: (max if key == "rate" else min)(r[key] for r in rounds) for key in rounds[0]}
        print(f"{titles[name]:<28} {best['cpu_us']:>12.1f} {best['rate']:>9.0f} {best['p50_us']:>8.0f} {best['p99_us']:>8.0f}")
    print("PostgreSQL's own processes are not counted in its row.")
    write(results)


def write(results):
    costs = {name: [r["cpu_us"] for r in results[name]] for name in ("express", "sqlite")}
    ours, baseline = min(costs["sqlite"]), min(costs["express"])
    spread = max(statistics.median(cost) / min(cost) - 1 for cost in costs.values())
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    packages = json.load(open(os.path.join(PLACE, "package.json"), encoding="ascii"))["dependencies"]
    row = {"ours": round(ours, 2), "baseline": round(baseline, 2), "ratio": round(baseline / ours, 3), "unit": "us",
           "ratio_is": "baseline / ours", "baseline_name": "Express + jose, no ledger", "spread": round(spread, 3),
           "noisy": spread > 0.5}
    method = "server CPU (user and system) for each visa, 16 connections, servers in turns, the best of three rounds"
    os.makedirs(os.path.dirname(ROWS), exist_ok=True)
    with open(ROWS, "w", encoding="utf-8") as file:
        json.dump({"run": {"method": method, "versions": {"node": node, **packages}}, "broker_vs_express_jose": row}, file, indent=2)


main()
