"""The key cache: a snapshot that is never written while it is read. A writer clones it, writes, swaps; readers take no lock."""

from __future__ import annotations

import ctypes
import secrets
import threading
from ctypes import byref
from typing import Any, Callable, NamedTuple

from . import _ffi
from ._ffi import Memory, lib
from ._fork import on_fork
from .agent import now_ms
from .errors import raise_for


class Sizes(NamedTuple):
    """What a key cache is to hold: agents, issuers, prepared keys of `table_kib` KiB each (2, 8, 16, 32, 64, 320)."""

    names: int = 4096
    issuers: int = 4
    tables: int = 32
    table_kib: int = 64


class Wanted(NamedTuple):
    """A document that is wanted. `configured`: its URL is the operator's own, else its host came from a stranger."""

    kind: int
    url: str
    host: str
    configured: bool
    max_len: int


class Fetched(NamedTuple):
    """What came of a fetch: `kind` is ``FOUND``, ``NOT_THERE`` or ``UNREACHABLE`` of the header; `reason` is for logs only."""

    kind: int
    body: bytes = b""
    max_age_s: int = -1
    reason: str = ""


class Snapshot:
    """Words that nobody writes any more, once they are the cache's."""

    __slots__ = ("_memory", "generation", "pointer", "view")

    def __init__(self, words: int, generation: int = 0) -> None:
        self.generation = generation
        self._memory = Memory(words * 8)
        self.view = _ffi.View(self._memory.address, words)
        # Whoever holds the pointer holds the memory: a call that has given the GIL up, while the cache is swapped.
        self.view.memory = self._memory
        self.pointer: Any = byref(self.view)

    def clone(self) -> Snapshot:
        clone = Snapshot(self.view.len, self.generation + 1)
        ctypes.memmove(clone._memory.address, self._memory.address, self.view.len * 8)
        return clone


class KeyCache:
    """`snapshot` is to be read once for each call, and held on to until it returns."""

    def __init__(self, sizes: Sizes = Sizes()) -> None:
        words = lib.key_cache_words(_ffi.Sizes(*sizes))
        if words == 0:
            raise ValueError(f"there is no key cache of {sizes}: table_kib is one of 2, 8, 16, 32, 64, 320")
        self.snapshot = Snapshot(words)
        raise_for(lib.key_cache_new(self.snapshot.pointer, _ffi.Sizes(*sizes), secrets.token_bytes(32)))
        self._in_child()
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._writer = threading.Lock()

    def supply(self, wanted: Wanted, fetched: Fetched) -> None:
        url, host = wanted.url.encode(), wanted.host.encode()
        scratch = Memory(len(url) + len(host))
        scratch.view[:] = url + host
        need = _ffi.Need(
            wanted.kind,
            wanted.configured,
            wanted.max_len,
            0,
            _ffi.Span(0, len(url)),
            _ffi.Span(len(url), len(host)),
        )
        answer = _ffi.Answer(fetched.kind, fetched.max_age_s, _ffi.text(fetched.body))
        self._write(lambda keys: lib.key_cache_supply(keys, byref(need), scratch.buf, answer, now_ms()))

    def prepare(self, hint: int) -> None:
        self._write(lambda keys: lib.key_cache_prepare(keys, hint, now_ms()))

    def exposes_private_key(self, jwks_url: str) -> bool:
        snapshot = self.snapshot
        return bool(lib.key_cache_alarm(snapshot.pointer, _ffi.text(jwks_url)) != _ffi.OK)

    def _write(self, change: Callable[[Any], int]) -> None:
        with self._writer:
            clone = self.snapshot.clone()
            raise_for(change(clone.pointer))
            self.snapshot = clone
