"""The world around a publisher: a certificate authority, a name server, and agents that speak TLS on a loopback address."""

import collections
import itertools
import json
import pathlib
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import clib

ZONE = "bots.example.com"
MANIFEST = "/.well-known/imagxp-agent.json"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def free_address():
    """A loopback address of which port 443 is free: agents have no other port."""
    for _ in range(100):
        address = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        with socket.socket() as sock:
            try:
                sock.bind((address, 443))
                return address
            except OSError as error:
                if error.errno == 13:
                    raise RuntimeError("agents answer on port 443: run the tests as root") from None
    raise RuntimeError("no loopback address with a free port 443")


class Authority:
    """Made with the openssl command line."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.certificate = folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj", "/CN=trial",
                "-keyout", folder / "ca.key", "-out", self.certificate)

    def issue(self, name):
        key, request, cert = (self.folder / f"{name.replace('*', 'any')}.{end}" for end in ("key", "csr", "pem"))
        extension = self.folder / "san.cnf"
        extension.write_text(f"subjectAltName=DNS:{name}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-days", 2,
                "-extfile", extension, "-out", cert)
        return cert, key


class NameServer:
    """dnsmasq: every name of the zone is one address; some names have their own fate."""

    def __init__(self, address, others):
        self.silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # takes questions, never answers
        self.silent.bind(("127.0.0.1", 0))
        answers = [f"--address=/{ZONE}/{address}", f"--address=/gone.{ZONE}/",
                   f"--server=/silent.{ZONE}/127.0.0.1#{self.silent.getsockname()[1]}",
                   *(f"--address=/{name}.{ZONE}/{where}" for name, where in others.items())]
        for _ in range(5):  # another program may take the port first
            self.port = free_port(socket.SOCK_DGRAM)
            self.process = subprocess.Popen(
                [shutil.which("dnsmasq") or "/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts",
                 "--no-resolv", "--pid-file=", f"--port={self.port}", "--listen-address=127.0.0.1", "--bind-interfaces",
                 "--user=root", "--group=root", *answers],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.2)
            if self.process.poll() is None:
                return
        raise RuntimeError("dnsmasq did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.silent.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.world.seen[self.headers["Host"]].append((self.path, dict(self.headers)))
        answer = self.server.world.answers.get(self.headers["Host"])
        if answer is None:
            return self.reply(404, b"{}")
        answer(self)

    def reply(self, status, body, kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


class Agents:
    """Every host of the zone, and what it answers."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        self.address, self.wrong, self.inside = free_address(), free_address(), free_address()
        self.seen = collections.defaultdict(list)
        self.answers = {}
        self.servers = [self.serve(self.address, self.authority.issue(f"*.{ZONE}")),
                        self.serve(self.inside, self.authority.issue(f"inside.{ZONE}")),
                        self.serve(self.wrong, self.authority.issue("somebody-else.example.net"))]
        self.dns = NameServer(self.address, {"wrong": self.wrong, "inside": self.inside, "nat64": "64:ff9b::7f00:1", "closed": free_address()})
        self.names = itertools.count(1)

    def serve(self, address, files):
        server = Server((address, 443), Handler)
        server.world = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        context.load_verify_locations(self.authority.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL  # a publisher must not show one
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.dns.stop()

    def agent(self, name=None, scalar=None, **headers):
        """An agent with a manifest that is served, under a name that nobody has asked for yet."""
        name = name or f"agent{next(self.names)}"
        scalar = scalar or f"{random.getrandbits(250) + 1:064x}"
        agent = clib.Agent(f"{name}.{ZONE}", scalar)
        agent.scalar = scalar
        self.publish(agent, **headers)
        return agent

    def publish(self, agent, key=None, **headers):
        manifest = json.dumps({"agent_id": agent.agent_id, "public_key": (key or agent).spki, "version": "1.1"}).encode()
        self.answers[agent.agent_id] = lambda handler: handler.reply(200, manifest, **headers)

    def fetches(self, agent):
        return len(self.seen[agent.agent_id])
