"""Processes that were forked, as gunicorn does it: a key cache each, one replay cache in shared memory under a lock
that the kernel releases when its holder dies."""

import fcntl
import mmap
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from clib import OK, Agent, Site, View, byref, ctypes, lib, manifest_url, name  # noqa: E402

NOW, WORKERS, REQUESTS = 1769428800000, 4, 64
agent = Agent("bot.example.com", "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81")


class Locked:
    """`lib` with a lock around `imagxp_request_admit`."""

    def __init__(self, inner, lock):
        self.inner, self.lock = inner, lock

    def __getattr__(self, attribute):
        return getattr(self.inner, attribute)

    def imagxp_request_admit(self, *arguments):
        fcntl.lockf(self.lock, fcntl.LOCK_EX)
        try:
            return self.inner.imagxp_request_admit(*arguments)
        finally:
            fcntl.lockf(self.lock, fcntl.LOCK_UN)


def main():
    count = lib.imagxp_replay_cache_words(1024)
    shared = mmap.mmap(-1, count * 8)
    replay = View(ctypes.cast((ctypes.c_uint64 * count).from_buffer(shared), ctypes.POINTER(ctypes.c_uint64)), count)
    assert lib.imagxp_replay_cache_new(byref(replay), bytes(32), 0) == OK
    site = Site('{"allowRAG":true}')
    site.replay = replay
    site.documents[manifest_url(agent.agent_id)] = (
        '{"agent_id":"%s","public_key":"%s"}' % (agent.agent_id, agent.spki)).encode()
    requests = [agent.sign("https://pub.example.com/posts/a", bytes([i]) * 16, NOW) for i in range(REQUESTS)]

    path = tempfile.mkstemp()[1]
    children = []
    for _ in range(WORKERS):
        read, write = os.pipe()
        if os.fork() == 0:
            import clib
            clib.lib = Locked(lib, open(path, "r+b"))
            codes = [site.judge(headers, NOW) for headers in requests]
            os.write(write, ",".join(codes).encode())
            os._exit(0)
        os.close(write)
        children.append(read)
    answers = []
    for read in children:
        with os.fdopen(read, "rb") as pipe:
            answers.append(pipe.read().decode().split(","))
        assert os.wait()[1] == 0
    os.unlink(path)
    for number, codes in enumerate(zip(*answers)):
        assert sorted(codes) == ["OK"] + ["REPLAY_DETECTED"] * (WORKERS - 1), (number, codes)


main()
