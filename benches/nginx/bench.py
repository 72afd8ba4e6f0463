"""CPU time per request of servers that verify: see README.md in this folder. Usage: bench.py MODULE OUT"""

import base64
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(TOP / "bindings/nginx/tests"), str(TOP / "ffi/tests")]

from agents import ZONE, Agents, free_port  # noqa: E402

TOOLS, IMAGXP = os.environ["NGINX_TOOLS"], os.environ["IMAGXP"]
ORIGIN, BROKER = "https://pub.example.com", f"https://broker.{ZONE}"
ROUNDS = 4
# Over all rounds; njs takes fewer, for it is slow.
REQUESTS = int(os.environ.get("REQUESTS", "100000"))
NJS_REQUESTS = REQUESTS // 20
CONNECTIONS = "32"

OURS = """
load_module {module};
user root; worker_processes 1; pid {folder}/ours.pid; error_log {folder}/ours.log error;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 100000000; open_file_cache max=16; sendfile on;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5; default_type text/plain;
    include {folder}/imagxp_http.conf;
    resolver 127.0.0.1:{dns} ipv6=off;
    imagxp_zone name=replay size=32m; imagxp_keys 4096 tables=128x64k; imagxp_trial_address 127.0.0.0/8;
    imagxp_audience {origin};
    server {{
        listen 127.0.0.1:{port};
        root {folder}/html;
        include {folder}/imagxp_documents.conf;
        imagxp_policy '{{"allowRAG":true,"strategy":"STRICT"}}';
        location /a {{ imagxp on; }}
        location /paid {{ imagxp on; imagxp_broker {broker}; }}
        location /bare {{ }}
    }}
}}
"""

NJS = """
load_module modules/ngx_http_js_module.so;
user root; worker_processes 1; pid {folder}/njs.pid; error_log {folder}/njs.log error;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2; fastcgi_temp_path {folder}/n3; uwsgi_temp_path {folder}/n4;
    scgi_temp_path {folder}/n5;
    js_path {folder}; js_import jwt.js;
    server {{ listen 127.0.0.1:{port}; location / {{ js_content jwt.check; }} }}
}}
"""

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend all
    bind 127.0.0.1:{port}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
    http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny unless {{ var(txn.alg) -m str ES256 }}
    http-request deny unless {{ var(txn.iss) -m str {broker} }}
    http-request deny unless {{ var(txn.aud) -m str pub.example.com }}
    http-request deny if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
    http-request deny unless {{ var(txn.bearer),jwt_verify(txn.alg,"{folder}/broker.pub.pem") -m int 1 }}
    http-request return status 200 content-type text/plain string "{body}"
"""


def run(*arguments):
    return subprocess.run([IMAGXP, *map(str, arguments)], check=True, capture_output=True, text=True).stdout.strip()


class Server:
    """One process that serves, on the first core."""

    def __init__(self, *command, port):
        self.port = port
        self.process = subprocess.Popen(["taskset", "-c", "0", *map(str, command)], stdout=subprocess.DEVNULL)
        deadline = time.time() + 20
        while subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], capture_output=True).returncode:
            assert self.process.poll() is None and time.time() < deadline, command
            time.sleep(0.05)

    def cpu_us(self):
        """User and system time of the process and its children, from the scheduler's own clock."""
        pids, total = [self.process.pid], 0
        pids += map(int, pathlib.Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text().split())
        for pid in pids:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1000

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Candidate:
    """What is asked of which server; every request is used once, in the round that it was signed for."""

    def __init__(self, name, server, status, count, *request):
        self.name, self.server, self.status, self.count, self.request, self.costs = name, server, status, count, request, []

    def sign(self, folder, count):
        file = folder / f"{self.name}.requests"
        with file.open("wb") as out:
            subprocess.run([f"{TOOLS}/requests", str(count), *self.request], stdout=out, check=True)
        return file

    def play(self, file, count):
        done = subprocess.run(["taskset", "-c", "1", f"{TOOLS}/play", "once", str(self.server.port), CONNECTIONS, str(file)],
                              capture_output=True, text=True, check=True)
        answers = dict(line.split() for line in done.stdout.splitlines())
        assert answers.get(self.status) == str(count) and answers["closed"] == "0", (self.name, answers)

    def round(self, folder, count, measured=True):
        file = self.sign(folder, count)
        before = self.server.cpu_us()
        self.play(file, count)
        if measured:
            self.costs.append((self.server.cpu_us() - before) / count)

    @property
    def cost(self):
        return min(self.costs)

    @property
    def spread(self):
        return statistics.median(self.costs) / min(self.costs) - 1


def measure(module, folder, world):
    run("keygen", "--pem", folder / "broker")
    jwks = run("jwks", "write", folder / "broker.pub.pem").encode()
    world.answers[f"broker.{ZONE}"] = lambda handler: handler.reply(200, jwks)
    agents = [world.agent() for _ in range(4)]
    keys = ",".join(f"{agent.scalar}:{agent.agent_id}" for agent in agents)
    (folder / "agent.pub").write_text(agents[0].spki)
    visa = run("visa", "issue", "--issuer", BROKER, "--audience", "pub.example.com", "--amount", "0.01", "--agent-id", agents[0].agent_id,
               "--agent-key", folder / "agent.pub", "--key", folder / "broker.key.pem")
    payer = f"{agents[0].scalar}:{agents[0].agent_id}"

    (folder / "html").mkdir()
    for page in ("a", "paid", "bare"):
        (folder / "html" / page).write_text("x" * 200)
    for name, find, put in (("imagxp_http.conf", "/var/lib/nginx/imagxp", folder / "documents"),
                            ("imagxp_documents.conf", "/etc/ssl/certs/ca-certificates.crt", world.authority.certificate)):
        (folder / name).write_text((TOP / "bindings/nginx/conf" / name).read_text().replace(find, str(put)))
    spki = "".join((folder / "broker.pub.pem").read_text().splitlines()[1:-1])
    assert len(base64.b64decode(spki)) == 91
    (folder / "jwt.js").write_text((TOP / "benches/nginx/jwt.js").read_text().replace("PUBLIC_KEY", spki).replace("ISSUER", BROKER))

    def write(name, text, **more):
        port = free_port()
        (folder / name).write_text(text.format(folder=folder, port=port, module=module, dns=world.dns.port, origin=ORIGIN, broker=BROKER,
                                               body="x" * 200, **more))
        return folder / name, port

    servers = []
    try:
        config, port = write("ours.conf", OURS)
        servers.append(ours := Server("nginx", "-c", config, "-g", "daemon off;", port=port))
        config, port = write("njs.conf", NJS)
        servers.append(njs := Server("nginx", "-p", "/usr/share/nginx", "-c", config, "-g", "daemon off;", port=port))
        config, port = write("haproxy.cfg", HAPROXY)
        servers.append(haproxy := Server("haproxy", "-q", "-f", config, port=port))
        time.sleep(0.1)
        token = f"Authorization: Bearer {visa}"
        bad = [f"x-imagxp-payload: {'e30K' * 90}", f"x-imagxp-signature: {'0' * 127}", f"x-imagxp-public-key: {agents[0].spki}",
               f"x-imagxp-key: {agents[0].spki}"]
        each = REQUESTS // ROUNDS
        candidates = [
            Candidate("ours", ours, "200", each, "GET /a", ORIGIN, keys),
            Candidate("ours_visa", ours, "200", each, "GET /paid", ORIGIN, payer, f"x-imagxp-credential: {visa}"),
            Candidate("haproxy", haproxy, "200", each, "GET /a", ORIGIN, "-", token),
            Candidate("njs", njs, "200", NJS_REQUESTS // ROUNDS, "GET /a", ORIGIN, "-", token),
            Candidate("bare", ours, "200", each, "GET /bare", ORIGIN, "-", *bad),
            Candidate("malformed", ours, "400", each, "GET /a", ORIGIN, "-", *bad),
        ]
        for candidate in candidates:  # documents fetched, tables made
            candidate.round(folder, 400, measured=False)
        for _ in range(ROUNDS):
            for candidate in candidates:
                candidate.round(folder, candidate.count)
        return {candidate.name: candidate for candidate in candidates}, len(visa)
    finally:
        for server in servers:
            server.stop()


def row(ours, baseline, name, overhead=False):
    ratio = ours.cost / baseline.cost if overhead else baseline.cost / ours.cost
    spread = max(ours.spread, baseline.spread)
    return {"ours": round(ours.cost, 2), "baseline": round(baseline.cost, 2), "ratio": round(ratio, 3), "unit": "us",
            "ratio_is": "ours / baseline" if overhead else "baseline / ours", "baseline_name": name, "spread": round(spread, 3),
            "noisy": spread > 0.5}


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0]


def main(module, out):
    if os.cpu_count() < 2:
        sys.exit("bench: one core for the server and one for the load generator are needed")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        world = Agents(folder)
        try:
            found, token_len = measure(module, folder, world)
        finally:
            world.stop()
    rows = {
        "run": {"method": f"CPU time (user + system, schedstat) of the server's processes per request; one worker on core 0, load on core 1, "
                          f"{CONNECTIONS} connections kept, {ROUNDS} interleaved rounds, minima; {REQUESTS} requests in all, each used "
                          f"once (njs {NJS_REQUESTS})",
                "token_bytes": token_len,
                "versions": {"nginx": version("nginx", "-v"), "haproxy": version("haproxy", "-v")}},
        "nginx_vs_haproxy_jwt": row(found["ours"], found["haproxy"], "HAProxy jwt_verify ES256"),
        "nginx_visa_vs_haproxy_jwt": row(found["ours_visa"], found["haproxy"], "HAProxy jwt_verify ES256"),
        "nginx_vs_njs": row(found["ours"], found["njs"], "nginx njs, WebCrypto ES256"),
        "nginx_refusal_overhead": row(found["malformed"], found["bare"], "static file, same headers", overhead=True),
    }
    pathlib.Path(out).write_text(json.dumps(rows, indent=2) + "\n")
    for name, candidate in found.items():
        print(f"{name:<12} {candidate.cost:8.2f} us   spread {candidate.spread:.2f}")
    for name, found_row in rows.items():
        if name != "run":
            print(f"{name:<28} ratio {found_row['ratio']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
