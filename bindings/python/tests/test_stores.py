import asyncio
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ORIGIN, URL, Server, free_port, knowing

from imagxp import Agent, MemoryStore, Publisher, Request, StoreError
from imagxp._keys import Fetched, Wanted
from imagxp.broker import Issuer
from imagxp.filestore import FileStore

WORKERS = 4


def visits(agent, count):
    return [Request.of_url(URL, agent.sign(URL, "SUMMARY")) for _ in range(count)]


def in_children(work, count=WORKERS):
    """The lines that so many forked children write."""
    pipes = []
    for _ in range(count):
        read, write = os.pipe()
        if os.fork() == 0:
            os.close(read)
            try:
                os.write(write, ",".join(work()).encode())
            except BaseException as error:
                os.write(write, repr(error).encode())
            os._exit(0)
        os.close(write)
        pipes.append(read)
    answers = []
    for read in pipes:
        with os.fdopen(read, "rb") as pipe:
            answers.append(pipe.read().decode().split(","))
        os.wait()
    return answers


def admitted_once(answers, count):
    for codes in zip(*answers):
        assert sorted(codes) == ["OK"] + ["REPLAY_DETECTED"] * (WORKERS - 1), codes
    assert len(answers) == WORKERS and all(len(codes) == count for codes in answers)


def test_memory_refuses_after_a_fork(agent, publisher):
    def work():
        return [str(publisher.check(visits(agent, 1)[0]))]

    (answer,) = in_children(work, 1)
    assert "StoreError" in answer[0] and "FileStore(path)" in ",".join(answer)
    assert publisher.check(visits(agent, 1)[0]), "the parent goes on"


def in_a_worker(queue):
    agent = Agent.generate("bot.example.com")
    outcomes = []
    for arguments in ({}, {"single_worker": True}):
        publisher = knowing(agent, store=MemoryStore(64, accept_from_ms=0, **arguments))
        try:
            outcomes.append(publisher.check(visits(agent, 1)[0]).code)
        except StoreError as error:
            outcomes.append(str(error))
    queue.put(outcomes)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_memory_refuses_beside_other_workers(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    worker = context.Process(target=in_a_worker, args=(queue,))
    worker.start()
    refused, alone = queue.get(timeout=30)
    worker.join()
    assert "FileStore(path)" in refused and alone == "OK"


def test_the_restart_guard(agent):
    publisher = Publisher({"allowRAG": True}, origin=ORIGIN)
    publisher.learn(agent.agent_id, agent.manifest())
    (request,) = visits(agent, 1)
    later = Publisher({"allowRAG": True}, origin=ORIGIN, store=MemoryStore(64, accept_from_ms=int(time.time() * 1000) + 5))
    later.learn(agent.agent_id, agent.manifest())
    assert later.check(request).code == "RESTART_GUARD"


def test_full_says_when_to_come_again(agent):
    publisher = knowing(agent, store=MemoryStore(16, accept_from_ms=0))
    codes = [publisher.check(request) for request in visits(agent, 40)]
    refused = [verdict for verdict in codes if not verdict]
    assert refused and all(verdict.code in ("REPLAY_CACHE_FULL", "AGENT_QUOTA") for verdict in refused)
    assert all("retry-after" in verdict.headers for verdict in refused if verdict.status == 503)
    assert publisher.store.stats().admitted == 40 - len(refused)


def test_file_is_one_for_all_workers(agent, tmp_path):
    publisher = knowing(agent, store=FileStore(tmp_path / "replay", 4096))
    requests = visits(agent, 50)
    admitted_once(in_children(lambda: [publisher.check(request).code for request in requests]), 50)


def test_file_outlives_a_restart(agent, tmp_path):
    (request,) = visits(agent, 1)
    time.sleep(0.01)
    first = FileStore(tmp_path / "replay", 1024)
    assert knowing(agent, store=first).check(request).code == "RESTART_GUARD"
    (request,) = visits(agent, 1)
    assert knowing(agent, store=first).check(request)
    first.close()
    again = knowing(agent, store=FileStore(tmp_path / "replay", 1024))
    assert again.check(request).code == "REPLAY_DETECTED"
    assert again.store.stats().admitted == 1


def test_file_is_freed_by_a_kill(agent, tmp_path):
    """A worker that is killed with the lock in its hand locks nobody out."""
    path = tmp_path / "replay"
    publisher = knowing(agent, store=FileStore(path, 1024))
    code = f"""
import fcntl, time
from imagxp.filestore import FileStore
store = FileStore({str(path)!r}, 1024)
fcntl.flock(store._file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert publisher.check(visits(agent, 1)[0])


@pytest.mark.parametrize("fault", ["removed", "cut short"])
def test_file_that_is_gone_refuses(agent, tmp_path, fault):
    path = tmp_path / "replay"
    publisher = knowing(agent, store=FileStore(path, 1024))
    if fault == "removed":
        path.unlink()
    else:
        os.truncate(path, 100)
    verdict = publisher.check(visits(agent, 1)[0])
    assert verdict.code == "REPLAY_STORE_DOWN" and verdict.status == 503


def test_files_that_are_no_store(tmp_path):
    FileStore(tmp_path / "replay", 1024).close()
    with pytest.raises(StoreError, match="another number of slots"):
        FileStore(tmp_path / "replay", 4096)
    (tmp_path / "open").touch(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        FileStore(tmp_path / "open", 1024)
    (tmp_path / "noise").touch(0o600)
    (tmp_path / "noise").write_bytes(b"x" * (tmp_path / "replay").stat().st_size)
    with pytest.raises(StoreError, match="ABI_STATE"):
        FileStore(tmp_path / "noise", 1024)
    (tmp_path / "link").symlink_to(tmp_path / "replay")
    with pytest.raises(OSError, match="symbolic"):
        FileStore(tmp_path / "link", 1024)


@pytest.fixture
def redis_server(tmp_path):
    pytest.importorskip("redis", reason="the package redis is not installed for this Python")
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is missing: apt-get install redis-server")
        pytest.skip("SKIPPED LOUDLY: redis-server is missing")
    command = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = Server(command, tmp_path / "redis.log")
    yield server
    server.stop()


def patient(server):
    """This machine has other things to do."""
    from imagxp.redis import RedisStore

    url = f"redis://127.0.0.1:{server.port}/0"
    return RedisStore(url, b"s" * 32, socket_timeout=5, socket_connect_timeout=5)


def test_redis_is_one_for_all_machines(agent, redis_server):
    requests = visits(agent, 30)

    def work():
        publisher = knowing(agent, store=patient(redis_server))
        return [publisher.check(request).code for request in requests]

    admitted_once(in_children(work), 30)


def test_redis_without_blocking_the_loop(agent, redis_server):
    publisher = knowing(agent, store=patient(redis_server))

    async def work():
        requests = visits(agent, 20) * 2
        return [verdict.code for verdict in await asyncio.gather(*[publisher.acheck(request) for request in requests])]

    codes = asyncio.run(work())
    assert codes.count("OK") == 20 and codes.count("REPLAY_DETECTED") == 20


def test_arguments_of_redis_are_its_users(agent, redis_server):
    from imagxp.redis import RedisStore

    url = f"redis://127.0.0.1:{redis_server.port}"
    store = RedisStore(url, b"s" * 32, max_connections=1, socket_timeout=5, socket_connect_timeout=5)
    assert asyncio.run(knowing(agent, store=store).acheck(visits(agent, 1)[0]))


def test_redis_forgets_no_sooner_than_it_may(agent, redis_server):
    import redis

    publisher = knowing(agent, store=patient(redis_server))
    assert publisher.check(visits(agent, 1)[0])
    with redis.Redis(port=redis_server.port) as client:
        (key,) = client.keys("imagxp:*")
        assert re.fullmatch(rb"imagxp:[0-9a-f]{32}", key), "as Go's package redisstore writes it"
        assert 297_000 < client.pttl(key) <= 304_000


def test_redis_fails_closed(agent, redis_server):
    from imagxp.redis import RedisStore

    store = RedisStore(f"redis://127.0.0.1:{redis_server.port}", b"s" * 32)
    publisher = knowing(agent, store=store)
    redis_server.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    verdict = publisher.check(visits(agent, 1)[0])
    redis_server.process.send_signal(signal.SIGCONT)
    assert verdict.code == "REPLAY_STORE_DOWN" and verdict.status == 503 and time.monotonic() - begun < 2
    nobody = knowing(agent, store=RedisStore(f"redis://127.0.0.1:{free_port()}", b"s" * 32))
    assert nobody.check(visits(agent, 1)[0]).code == "REPLAY_STORE_DOWN"
    with pytest.raises(ValueError, match="32 random bytes"):
        RedisStore("redis://127.0.0.1", b"short")


def test_redis_that_forgets_is_refused(redis_server):
    import redis

    with redis.Redis(port=redis_server.port) as client:
        client.config_set("maxmemory-policy", "volatile-ttl")
        patient(redis_server)
        client.config_set("maxmemory", "100mb")
        with pytest.raises(StoreError, match="noeviction"):
            patient(redis_server)


class Shop:
    """Publishers that sell requests one by one, and share a Redis."""

    def __init__(self, agent, *stores):
        broker = "https://broker.example.com"
        self.agent, self.issuer = agent, Issuer(broker, "1" * 64)
        policy = {"requiresPayment": True, "price": "0.001", "visa_single_use": True, "allowRAG": True,
                  "audiences": ["pub.example.com"], "monetization": {"brokerUrl": broker}}  # fmt: skip
        self.publishers = [knowing(agent, policy, store=store) for store in stores]
        wanted = Wanted(2, f"{broker}/.well-known/jwks.json", "broker.example.com", True, 65_536)
        for publisher in self.publishers:
            publisher._keys.supply(wanted, Fetched(1, self.issuer.jwks().encode()))

    def sell(self):
        return self.issuer.issue("pub.example.com", "0.001", agent_id=self.agent.agent_id, public_key=self.agent.public_key)

    def signed(self, visa):
        return Request.of_url(URL, {**self.agent.sign(URL, "SUMMARY"), "x-imagxp-credential": visa})


@pytest.mark.parametrize("kind", ["check", "acheck"])
def test_redis_leaves_the_visa_of_a_replay(agent, redis_server, kind):
    shop = Shop(agent, patient(redis_server), patient(redis_server))

    def codes(*visits):
        if kind == "check":
            return [publisher.check(visit).code for publisher, visit in visits]

        async def run():
            return [(await publisher.acheck(visit)).code for publisher, visit in visits]

        return asyncio.run(run())

    one, two = shop.publishers
    first, unused = shop.sell(), shop.sell()
    request = shop.signed(first)
    replay = Request.of_url(URL, {**dict(request.headers), "x-imagxp-credential": unused})
    visits = [(one, request), (two, replay), (two, shop.signed(first)), (two, shop.signed(unused))]
    assert codes(*visits) == ["OK", "REPLAY_DETECTED", "VISA_USED", "OK"]


def test_redis_that_stalls_takes_no_visa(agent, redis_server):
    from imagxp.redis import RedisStore

    shop = Shop(agent, patient(redis_server), RedisStore(f"redis://127.0.0.1:{redis_server.port}", b"s" * 32))
    patiently, in_haste = shop.publishers
    visa = shop.sell()
    redis_server.process.send_signal(signal.SIGSTOP)
    code = in_haste.check(shop.signed(visa)).code
    redis_server.process.send_signal(signal.SIGCONT)
    assert code == "REPLAY_STORE_DOWN"
    assert patiently.check(shop.signed(visa)), "it has read what it was sent before"


def test_a_file_that_was_never_a_store(agent, tmp_path):
    """Its maker was killed between the file's length and its first words."""
    path = tmp_path / "replay"
    length = len(FileStore(tmp_path / "other", 1024)._map)
    path.write_bytes(bytes(length))
    path.chmod(0o600)
    publisher = knowing(agent, store=FileStore(path, 1024))
    time.sleep(0.01)
    request = visits(agent, 1)[0]
    assert publisher.check(request) and publisher.check(request).code == "REPLAY_DETECTED"
    FileStore(path, 1024)
    assert publisher.check(request).code == "REPLAY_DETECTED"


async def _while_a_loop_turns(decision):
    """Others of the same loop have their turns meanwhile."""
    deciding, turns = asyncio.ensure_future(decision), 0
    while not deciding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    return deciding.result()


def test_a_file_whose_lock_is_held_for_ever(agent, tmp_path, monkeypatch):
    import fcntl

    monkeypatch.setattr("imagxp.filestore._OPEN_S", 0.05)
    path = tmp_path / "replay"
    publisher = knowing(agent, store=FileStore(path, 1024))
    time.sleep(0.01)
    with open(path, "rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert asyncio.run(_while_a_loop_turns(publisher.acheck(visits(agent, 1)[0]))).code == "REPLAY_STORE_DOWN"
        assert publisher.check(visits(agent, 1)[0]).code == "REPLAY_STORE_DOWN"
        with pytest.raises(StoreError, match="locked"):
            FileStore(path, 1024)
    assert publisher.check(visits(agent, 1)[0])
