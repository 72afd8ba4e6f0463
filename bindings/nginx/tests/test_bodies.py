"""Requests with a body: it reaches the application whole and once, or not at all."""

import os
import signal
import socket
import threading
import time

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded
from publisher import sign

LARGE = os.urandom(100000)


@pytest.fixture
def site(start, application):
    return start(workers=1, server=f"""
        location /app {{ proxy_pass {application.url}; }}
        location /unbuffered {{ proxy_pass {application.url}; proxy_request_buffering off; }}
        location /large {{ imagxp off; }}""")


def test_a_request_with_a_body_keeps_it(site, agents, application):
    for size in (1, 5000, 100000):
        for target in ("/app", "/unbuffered"):
            for agent in [agents.agent()] * 2:  # fetched, and known
                answer = site.get(target, sign(agent, target), method="POST", body=LARGE[:size])
                assert (answer.status, answer.code) == (200, "OK") and answer.body == LARGE[:size], (size, target)
    assert len(application.requests) == 12


def test_a_refused_body_goes_nowhere(site, agents, application):
    for size in (1, 100000):
        assert site.get("/app", method="POST", body=LARGE[:size]).status == 401
    assert application.requests == []


class Gate:
    """An agent's server that answers when it is told to."""

    def __init__(self, agents, agent):
        self.asked, self.open, self.answered = threading.Event(), threading.Event(), threading.Event()
        self.answer, agents.answers[agent.agent_id] = agents.answers[agent.agent_id], self

    def __call__(self, handler):
        self.asked.set()
        assert self.open.wait(10)
        self.answer(handler)
        self.answered.set()


def with_write_events(site):
    """A connection of which nginx is told that it can be written to, since once it could not."""
    (site.folder / "html" / "large").write_bytes(bytes(8 << 20))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.connect(("127.0.0.1", site.port))
    sock.settimeout(10)
    sock.sendall(b"GET /large HTTP/1.1\r\nHost: pub.example.com\r\n\r\n")
    time.sleep(0.2)
    head, left = b"", 8 << 20
    while b"\r\n\r\n" not in head:
        head += sock.recv(1)
    while left:
        left -= len(sock.recv(min(left, 1 << 20)))
    return sock


def head_of(agent, target, size):
    lines = [f"POST {target} HTTP/1.1", "Host: pub.example.com", f"Content-Length: {size}", "Connection: close",
             *(f"{name}: {value}" for name, value in sign(agent, target))]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("target", ["/app", "/unbuffered"])
@pytest.mark.parametrize("admitted", [True, False])
def test_a_body_that_comes_with_the_manifest(site, agents, application, admitted, target):
    """One turn of the event loop has the end of the fetch and bytes of the client: the phases must go on once."""
    agent = agents.agent()
    if not admitted:
        agents.publish(agent, key=agents.agent())
    gate = Gate(agents, agent)
    sock, (worker,) = with_write_events(site), site.workers()
    sock.sendall(head_of(agent, target, len(LARGE)))
    assert gate.asked.wait(10)
    os.kill(worker, signal.SIGSTOP)
    gate.open.set()
    assert gate.answered.wait(10)
    time.sleep(0.1)
    sock.sendall(LARGE[:1000])
    time.sleep(0.1)
    os.kill(worker, signal.SIGCONT)
    time.sleep(0.2)
    try:
        sock.sendall(LARGE[1000:])
    except OSError:
        assert not admitted
    answer = b""
    try:
        while data := sock.recv(65536):
            answer += data
    except ConnectionResetError:
        assert not admitted
    sock.close()
    if admitted:
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n" + LARGE)
        assert application.requests == [("POST", target, LARGE)]
    else:
        assert answer.startswith(b"HTTP/1.1 403") and b"IDENTITY_UNVERIFIED" in answer
        time.sleep(0.2)
        assert application.requests == []


def test_http2(site, agents, application):
    """The body is sent while the manifest is fetched."""
    agent = agents.agent()
    gate = Gate(agents, agent)
    sock = socket.create_connection(("127.0.0.1", site.port2), 10)
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    connection.send_headers(1, [(":method", "POST"), (":scheme", "https"), (":authority", "pub.example.com"), (":path", "/app"),
                                *sign(agent, "/app")])
    sock.sendall(connection.data_to_send())
    assert gate.asked.wait(10)
    left, got, status, ended = LARGE, b"", None, False
    while not ended:
        while left and (room := min(connection.local_flow_control_window(1), connection.max_outbound_frame_size, len(left))):
            connection.send_data(1, left[:room], end_stream=room == len(left))
            left = left[room:]
        sock.sendall(connection.data_to_send())
        gate.open.set()
        for event in connection.receive_data(sock.recv(65536)):
            if isinstance(event, ResponseReceived):
                status = dict(event.headers)[":status"]
            elif isinstance(event, DataReceived):
                got += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, 1)
            ended |= isinstance(event, StreamEnded)
    sock.close()
    assert status == "200" and got == LARGE and application.requests == [("POST", "/app", LARGE)]


def test_an_absolute_target(site, agents):
    """RFC 9112, section 3.2.2: nginx takes it apart, and the signature is about its path."""
    for host, target, expected in (("pub.example.com", "/a", "200"), ("other.example.com", "/a?b=1", "200"), ("pub.example.com", "/b", "403")):
        lines = [f"GET http://{host}{target} HTTP/1.1", f"Host: {host}", "Connection: close",
                 *(f"{name}: {value}" for name, value in sign(agents.agent(), "/a" + target[2:] if expected == "200" else "/a"))]
        with socket.create_connection(("127.0.0.1", site.port), 10) as sock:
            sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
            assert sock.makefile().readline().split()[1] == expected, (host, target)
