import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parents[2] / "ffi" / "tests")]

from agents import Agents  # noqa: E402
from application import Server  # noqa: E402
from publisher import Nginx  # noqa: E402


@pytest.fixture(scope="session")
def agents(tmp_path_factory):
    world = Agents(tmp_path_factory.mktemp("world"))
    yield world
    world.stop()


@pytest.fixture
def start(agents, tmp_path):
    """Starts publishers; at the end none may have left an alert, a crash or a sanitizer's report."""
    started = []

    def begin(**settings):
        folder = tmp_path / f"nginx{len(started)}"
        folder.mkdir()
        started.append(Nginx(folder, agents, **settings))
        return started[-1]

    begin.alerts = False  # True: the test provokes them
    yield begin
    bad = [line for nginx in started for line in nginx.stop()]
    assert begin.alerts or bad == []


@pytest.fixture
def application():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def site(agents, tmp_path_factory):
    """A publisher for tests that do not disturb each other."""
    nginx = Nginx(tmp_path_factory.mktemp("site"), agents)
    yield nginx
    assert nginx.stop() == []


def pytest_report_header():
    return f"nginx: {os.environ.get('NGINX_BINARY', 'as installed')}"
