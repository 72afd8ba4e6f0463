"""A publisher: nginx with the module, in a folder of its own."""

import http.client
import os
import pathlib
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time

import clib
from agents import ZONE, free_port

HERE = pathlib.Path(__file__).resolve().parent
ORIGIN = "https://pub.example.com"
POLICY = '{"allowRAG":true,"strategy":"STRICT"}'

# What no test may leave in a log.
BAD = ("[alert]", "[emerg]", "exited on signal", "Sanitizer", "runtime error")

CONFIG = """
{load}
user root;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
{main}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi; proxy_temp_path {folder}/proxy;
    scgi_temp_path {folder}/scgi; uwsgi_temp_path {folder}/uwsgi;
    include {folder}/imagxp_http.conf;
    resolver 127.0.0.1:{dns} valid=1s ipv6=off;
    imagxp_zone name=replay size={zone};
    imagxp_keys {keys};
    {allow}
    {http}
    server {{
        listen 127.0.0.1:{port} reuseport backlog=1024;
        listen 127.0.0.1:{port2} http2;
        keepalive_requests 1000000;
        root {folder}/html;
        imagxp {mode};
        imagxp_audience {audience};
        imagxp_policy '{policy}';
        include {folder}/imagxp_documents.conf;
        add_header X-Worker $pid always;
        add_header X-Code $imagxp_code always;
        {server}
    }}
}}
"""


class Nginx:
    def __init__(self, folder, agents, environment=None, **settings):
        self.folder, self.agents, self.environment = folder, agents, environment or {}
        self.port, self.port2 = free_port(), free_port()
        self.binary = os.environ.get("NGINX_BINARY") or shutil.which("nginx")
        self.settings = {
            "load": os.environ.get("NGINX_LOAD", ""), "workers": 2, "main": "", "http": "", "server": "", "mode": "on",
            "zone": "4m", "keys": "256 tables=8x8k", "audience": ORIGIN, "policy": POLICY,
            "allow": "imagxp_trial_address 127.0.0.0/8;"}
        (folder / "html").mkdir()
        (folder / "html" / "a").write_text("the page\n")
        (folder / "html" / "index.html").write_text("the index\n")
        self.include("imagxp_http.conf", ("/var/lib/nginx/imagxp", f"{folder}/documents"))
        self.include("imagxp_documents.conf", ("/etc/ssl/certs/ca-certificates.crt", agents.authority.certificate))
        self.process = None
        self.start(**settings)

    def include(self, name, change):
        """The shipped file, with the one place changed that a trial must."""
        text = (HERE.parent / "conf" / name).read_text()
        assert text.count(change[0]) == 1
        (self.folder / name).write_text(text.replace(change[0], str(change[1])))

    def write_config(self, **settings):
        self.settings.update(settings)
        text = CONFIG.format(folder=self.folder, dns=self.agents.dns.port, port=self.port, port2=self.port2, **self.settings)
        (self.folder / "nginx.conf").write_text(text)

    def command(self, *arguments):
        return [self.binary, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *arguments]

    def test(self, **settings):
        """What `nginx -t` says."""
        self.write_config(**settings)
        done = subprocess.run(self.command("-t"), capture_output=True, text=True)
        return done.returncode, done.stderr

    def start(self, daemon=False, **settings):
        self.write_config(**settings)
        self.process = subprocess.Popen(self.command(*([] if daemon else ["-g", "daemon off;"])), stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **self.environment},
                                        restore_signals=False)  # SIGXFSZ stays ignored: a write then fails as on a full disk
        deadline = time.time() + 20
        while time.time() < deadline:
            if self.process.poll():
                raise RuntimeError(f"nginx: {self.process.stderr.read()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        if daemon:
            self.process.wait(20)  # until then the master takes it for an older master, and upgrades nothing
        time.sleep(0.02)  # the restart guard: what is signed from now on is new

    def reload(self, **settings):
        self.write_config(**settings)
        before = set(self.workers())
        os.kill(self.pid(), signal.SIGHUP)
        self.wait(lambda: self.workers() and not before & set(self.workers()))

    def pid(self):
        """The master's."""
        try:
            return int((self.folder / "nginx.pid").read_text())
        except ValueError:  # being written, or by `nginx -t`
            raise FileNotFoundError from None

    def workers(self):
        children = pathlib.Path(f"/proc/{self.pid()}/task/{self.pid()}/children").read_text().split()
        return [int(pid) for pid in children if self.is_worker(pid)]

    @staticmethod
    def is_worker(pid):
        try:
            title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # gone meanwhile
            return False
        return b"worker process" in title and b"shutting" not in title

    def wait(self, condition, seconds=10):
        deadline = time.time() + seconds
        while not condition():
            assert time.time() < deadline, f"timed out; the log: {self.log()[-2000:]}"
            time.sleep(0.02)

    def log(self):
        return (self.folder / "error.log").read_text()

    def stop(self):
        try:
            master = self.pid()
            os.kill(master, signal.SIGTERM)
            self.wait(lambda: self.process.poll() is not None and not os.path.exists(f"/proc/{master}"), 20)
        except FileNotFoundError:
            pass
        errors = self.process.stderr.read() if self.process else ""
        lines = (self.log() + errors).splitlines()
        return [line for line in lines if any(sign in line for sign in BAD) and "could not open error log file" not in line]

    def get(self, target="/a", headers=(), method="GET", host="pub.example.com", body=None, source=None, timeout=10):
        """One request on a connection of its own, of a client that nobody knows: clients have budgets."""
        source = source or f"127.77.{random.randint(0, 255)}.{random.randint(1, 254)}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=(source, 0))
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)

    def visit(self, agent, target="/a", **more):
        return self.get(target, sign(agent, target), **more)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self):
        return self.headers.get("x-code")

    def __repr__(self):
        return f"{self.status} {self.code} {self.headers} {self.body[:200]!r}"


def sign(agent, target="/a", origin=ORIGIN, purpose=2, at=None):
    now_ms = int((at or time.time()) * 1000)
    headers = agent.sign(origin + target, secrets.token_bytes(16), now_ms, purpose)
    return [(name, value.decode()) for name, value in headers]


__all__ = ["ORIGIN", "POLICY", "ZONE", "Answer", "Nginx", "clib", "sign"]
