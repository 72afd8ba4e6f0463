"""Real servers on loopback, each with a port of its own, and ended with its test."""

import contextlib
import http.server
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imagxp import Agent, MemoryStore, Publisher

TESTS = Path(__file__).parent
ORIGIN = "https://pub.example.com"
URL = f"{ORIGIN}/a?b=c"


def free_port():
    """None of those that the system gives away by itself, from 32768 on: to somebody else meanwhile."""
    while True:
        port = random.randrange(20_000, 32_768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_for(port, process):
    for _ in range(400):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"no server on {port}, exit {process.wait()}")


class Server:
    """A process that listens: ``{port}`` in its command is where the port goes."""

    def __init__(self, command, log, **environ):
        self.port = free_port()
        self.origin, self.log = f"http://localhost:{self.port}", log
        with open(log, "w") as out:
            self.process = subprocess.Popen(
                [part.format(port=self.port) for part in command],
                env={**os.environ, "PYTHONPATH": str(TESTS), "ORIGIN": self.origin, **environ},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(self.port, self.process)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()}") from None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def serve(tmp_path):
    """Starts a server: ``serve("python", "-m", "uvicorn", …)``; ``python`` is this Python."""
    running = []

    def start(*command, **environ):
        command = [sys.executable if part == "python" else part for part in command]
        running.append(Server(command, tmp_path / f"log{len(running)}", **environ))
        return running[-1]

    yield start
    for server in running:
        server.stop()


class Domain:
    """A domain on this machine: localhost and a port, which serves what it is told."""

    def __init__(self):
        domain = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                domain.asked.append(self.path)
                domain.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, headers, body = domain.answers.get(self.path, (404, {}, b"no"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.answers, self.asked, self.seen = {}, [], []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def publish(self, manifest, **headers):
        answer = (200, {"Content-Type": "application/json", **headers}, manifest.encode())
        self.answers["/.well-known/imagxp-agent.json"] = answer

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def domain():
    domain = Domain()
    yield domain
    domain.close()


@pytest.fixture
def elsewhere():
    domain = Domain()
    yield domain
    domain.close()


@pytest.fixture
def local_agent(domain):
    """An agent whose manifest is really served, on this machine."""
    agent = Agent.generate(domain.name, development=True)
    domain.publish(agent.manifest())
    return agent


@pytest.fixture
def agent():
    return Agent.generate("bot.example.com")


@pytest.fixture
def publisher(agent):
    return knowing(agent)


def knowing(agent, policy=None, **arguments):
    """A publisher that has the agent's manifest already, and no restart guard."""
    arguments.setdefault("store", MemoryStore(1024, accept_from_ms=0))
    publisher = Publisher(policy or {"allowRAG": True}, origin=ORIGIN, **arguments)
    publisher.learn(agent.agent_id, agent.manifest())
    return publisher
