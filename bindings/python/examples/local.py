"""An agent and a publisher on this machine, without a domain: `python examples/local.py`."""

import http.server
import threading
import urllib.error
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

from imagxp import Agent, Publisher
from imagxp.wsgi import Middleware

# The agent's domain is localhost and a port. Somebody must serve its manifest there.
manifest = b""


class Domain(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/.well-known/imagxp-agent.json" else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(manifest)

    def log_message(self, *arguments):
        pass


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


def site(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"hello {environ['imagxp'].agent_id}\n".encode()]


domain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Domain)
agent = Agent.generate(f"localhost:{domain.server_port}", development=True)
manifest = agent.manifest().encode()

server = make_server("127.0.0.1", 0, site, handler_class=Quiet)
origin = f"http://localhost:{server.server_port}"
server.set_app(Middleware(site, Publisher({"development": True, "allowRAG": True, "strategy": "STRICT"}, origin=origin)))
for running in (domain, server):
    threading.Thread(target=running.serve_forever, daemon=True).start()

headers = agent.sign(f"{origin}/a", "RAG_RETRIEVAL")
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for what, sent in (("signed", headers), ("sent again", headers), ("not signed", {})):
    try:
        with opener.open(urllib.request.Request(f"{origin}/a", headers=sent)) as answer:
            print(f"{what}: {answer.status} {answer.read().decode().strip()}")
    except urllib.error.HTTPError as refused:
        print(f"{what}: {refused.code} {refused.read().decode()}")
