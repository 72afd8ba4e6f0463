"""The middlewares under the servers that people run them under, over real HTTP."""

import pytest

httpx = pytest.importorskip("httpx", reason="the servers are tested where their packages are installed")
pytest.importorskip("uvicorn", reason="the servers are tested where their packages are installed")

UVICORN = ("python", "-m", "uvicorn", "--factory", "--port", "{port}", "--log-level", "warning")
GUNICORN = ("python", "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning")
FLASK = ("python", "-m", "flask", "--app", "apps:flask_app()", "run", "--port", "{port}")


def get(server, path, agent, headers=None):
    headers = agent.sign(f"{server.origin}{path}", "SUMMARY") if headers is None else headers
    return httpx.get(f"{server.origin}{path}", headers=headers, timeout=20, trust_env=False)


@pytest.mark.parametrize(
    "command",
    [
        (*UVICORN, "apps:asgi_app"),
        (*UVICORN, "apps:fastapi_app"),
        (*UVICORN, "apps:django_asgi"),
        (*GUNICORN, "apps:wsgi_app()"),
        (*GUNICORN, "apps:django_wsgi()"),
        FLASK,
    ],
    ids=["asgi", "fastapi", "django-asgi", "wsgi", "django-wsgi", "flask"],
)
def test_one_worker(serve, local_agent, command):
    # gunicorn's one worker is forked: it is said that it is alone.
    server = serve(*command, SINGLE="1")
    for path in ("/a?b=c", "/caf%C3%A9/%2e%2E%2f?q=%20a+b&c", "/"):
        if path == "/" and command is FLASK:
            continue
        url = f"{server.origin}{path}"
        if "%2e" in path:
            # Dot segments are refused in a signed resource, however they are spelt.
            path, url = path.replace("%2e%2E%2f", "%7Ex"), url.replace("%2e%2E%2f", "%7Ex")
        headers = local_agent.sign(url, "SUMMARY")
        admitted = get(server, path, local_agent, headers)
        assert admitted.status_code == 200 and local_agent.agent_id in admitted.text, (path, admitted.text)
        again = get(server, path, local_agent, headers)
        assert (again.status_code, again.json()["error"]) == (403, "REPLAY_DETECTED")
        assert again.headers["content-type"] == "application/json"
    terms = get(server, "/.well-known/imagxp-policy.json", local_agent, {})
    assert terms.status_code == 200 and "version" in terms.json() and terms.headers["content-type"] == "application/json"
    stranger = get(server, "/a", local_agent, {})
    assert (stranger.status_code, stranger.json()["error"]) == (401, "IDENTITY_REQUIRED")
    elsewhere = get(server, "/b", local_agent, local_agent.sign(f"{server.origin}/a", "SUMMARY"))
    assert elsewhere.json()["error"] == "RESOURCE_MISMATCH"


@pytest.mark.parametrize(
    "command",
    [(*GUNICORN, "--workers", "3", "apps:wsgi_app()"), (*GUNICORN, "--workers", "3", "--preload", "apps:wsgi_app()"),
     (*UVICORN, "--workers", "3", "apps:asgi_app")],
    ids=["gunicorn", "gunicorn-preload", "uvicorn"],
)  # fmt: skip
def test_several_workers(serve, local_agent, command, tmp_path):
    server = serve(*command, STORE=str(tmp_path / "replay"))
    # It listens before its workers are there: what was signed before they remember is not admitted.
    assert any(get(server, "/a", local_agent).status_code == 200 for _ in range(100))
    for _ in range(8):
        headers = local_agent.sign(f"{server.origin}/a", "SUMMARY")
        codes = [get(server, "/a", local_agent, headers).status_code for _ in range(8)]
        assert sorted(codes) == [200] + [403] * 7

    unshared = serve(*command)
    assert get(unshared, "/a", local_agent).status_code == 500
    assert "FileStore(path)" in unshared.log.read_text()


def test_a_worker_of_any_class_is_found(serve, local_agent):
    """Whatever it calls itself (setproctitle), and though it is none of multiprocessing's."""
    pytest.importorskip("setproctitle", reason="it changes the names that workers have")
    server = serve(*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "--workers", "2", "apps:asgi_app()")
    assert get(server, "/a", local_agent).status_code == 500
    assert "FileStore(path)" in server.log.read_text()
    alone = serve(*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "apps:asgi_app()", SINGLE="1")
    assert get(alone, "/a", local_agent).status_code == 200


def test_a_dependency_guards_its_routes_only(serve, local_agent):
    server = serve(*UVICORN, "apps:fastapi_app")
    assert get(server, "/open", local_agent, {}).json() == {"open": True}
    assert get(server, "/closed", local_agent, {}).status_code == 401


def test_what_another_publisher_admits_counts_for_nothing(serve, local_agent):
    server = serve(*UVICORN, "apps:partly_paid_app")
    assert get(server, "/free", local_agent, {}).status_code == 200
    assert get(server, "/paid", local_agent, {}).status_code == 401
    assert get(server, "/paid", local_agent).json()["error"] == "VISA_REQUIRED"
