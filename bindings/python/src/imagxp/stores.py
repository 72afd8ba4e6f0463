"""Replay stores: where a request's nonce is remembered, once for all who might admit it.

| the server is | the store |
| --- | --- |
| one process, with any number of threads | `MemoryStore` |
| several processes of one machine (gunicorn, uvicorn ``--workers``) | `FileStore` |
| several machines | `imagxp.redis.RedisStore` |
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import threading
from ctypes import byref
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from . import _ffi
from ._ffi import Memory, lib, lib_gil
from ._fork import on_fork
from .agent import now_ms as clock_ms
from .errors import StoreError, number_of, raise_for

__all__ = ["MemoryStore", "ReplayStats", "Store"]

_FULL, _DOWN = number_of("REPLAY_CACHE_FULL"), number_of("REPLAY_STORE_DOWN")


class Store(Protocol):
    """Answers ``OK`` (0) once for each request, and the number of a refusal ever after. Never blocks for long.

    `verified` and `scratch` are the pointers that imagxp_request_admit and imagxp_request_tags take.
    """

    retry_after_s: int
    shared: bool
    """Whether several processes may use it."""

    def admit(self, verified: Any, scratch: Any, now_ms: int) -> int: ...

    async def aadmit(self, verified: Any, scratch: Any, now_ms: int) -> int: ...


class ReplayStats(NamedTuple):
    """Counts, for dashboards (imagxp_replay_stats)."""

    slots: int
    live: int
    live_of_new_names: int
    admitted: int
    refused_used: int
    refused_full: int
    refused_quota: int
    clock_steps_back: int
    clock_ms: int


class Words:
    """A replay cache in words that somebody else owns. Every call wants the owner's lock."""

    def __init__(self, address: int, count: int) -> None:
        self._view = _ffi.View(address, count)
        self.pointer = byref(self._view)

    def new(self, accept_from_ms: int) -> None:
        raise_for(lib.replay_cache_new(self.pointer, secrets.token_bytes(32), accept_from_ms))

    def stats(self) -> ReplayStats:
        """Raises `HostError` (``ABI_STATE``) if the words are no replay cache."""
        stats = _ffi.new(_ffi.ReplayStats)
        raise_for(lib_gil.replay_cache_stats(self.pointer, byref(stats)))
        return ReplayStats(*[getattr(stats, name) for name in ReplayStats._fields])


class MemoryStore:
    """In this process alone.

    Another process would not know what this one has admitted, and a message could pass once in each: so it refuses to work
    after a `fork`, and in a worker that a server has started beside others, unless ``single_worker=True`` says that there
    is only one. `slots` are verified requests a second times 450. What was signed before `accept_from_ms`, by default this
    moment, is refused with ``RESTART_GUARD``: an earlier process may have admitted it.
    """

    shared = False

    def __init__(self, slots: int = 65_536, *, single_worker: bool = False, accept_from_ms: int | None = None) -> None:
        count = lib.replay_cache_words(slots)
        self._memory = Memory(count * 8)
        self._words = Words(self._memory.address, count)
        self._words.new(clock_ms() if accept_from_ms is None else accept_from_ms)
        self._lock = threading.Lock()
        self._refusal = "" if single_worker else _sibling()
        self.retry_after_s = 0
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._refusal = "this MemoryStore was made before a fork"
        self._lock = threading.Lock()

    def admit(self, verified: Any, scratch: Any, now_ms: int) -> int:
        """Raises `StoreError` where the store cannot hold its promise."""
        if self._refusal:
            raise StoreError(f"{self._refusal}: {INSTEAD}")
        # The GIL is kept: who waited for it inside the lock would keep everybody else waiting, too.
        with self._lock:
            status = int(lib_gil.request_admit(verified, scratch, self._words.pointer, now_ms))
            if status == _FULL:
                self.retry_after_s = lib_gil.replay_cache_retry_after_s(self._words.pointer)
        return status

    async def aadmit(self, verified: Any, scratch: Any, now_ms: int) -> int:
        return self.admit(verified, scratch, now_ms)

    def stats(self) -> ReplayStats:
        with self._lock:
            return self._words.stats()


INSTEAD = (
    "a message could pass once in each process. Use FileStore(path) for the workers of one machine, RedisStore for several "
    "machines, or MemoryStore(single_worker=True) if there is one worker only"
)


def _sibling() -> str:
    """Why there may be another process beside this one, if so."""
    if multiprocessing.parent_process() is not None:
        return "this process is a worker that another has started (uvicorn --workers or --reload, multiprocessing)"
    # A pre-fork server's worker (gunicorn with any worker class, uWSGI): whatever it calls itself.
    return "this process is a worker that its server has forked" if _forked() and _is_program(os.getppid()) else ""


# Of the flags in /proc/*/stat (include/linux/sched.h): has forked, and not called exec since.
_PF_FORKNOEXEC = 0x40


def _forked() -> bool:
    try:
        # Behind the name, which may have spaces and brackets, the flags are the seventh field (proc(5)).
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        return bool(int(fields[6]) & _PF_FORKNOEXEC)
    except (OSError, IndexError, ValueError):
        return False


def _is_program(pid: int) -> bool:
    """Whether a process runs what this one does; so it is taken where that is not to be seen (a master of another user)."""
    try:
        return os.path.samefile(f"/proc/{pid}/exe", "/proc/self/exe")
    except OSError:
        return True
