"""The documents of one publisher: fetched once for all who want the same, and put into its key cache."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Callable, NamedTuple, Optional

from . import _ffi
from ._budget import Pending
from ._fork import on_fork
from ._keys import Fetched, KeyCache, Wanted
from .agent import now_ms
from .fetch import Fetcher

log = logging.getLogger("imagxp.publisher")

# Landings that are remembered: forgetting one costs a fetch.
_LANDED_MAX = 1_024
# Called after each fetch, with what was wanted, what came, and when; the document's SHA-256 in the evidence.
Record = Callable[[Wanted, Fetched, int], bytes]


class Landing(NamedTuple):
    """What a decision had to wait for."""

    wanted: Wanted
    fetched: Fetched
    asked_ms: int
    answered_ms: int
    sha256: bytes


class Documents:
    def __init__(self, keys: KeyCache, fetcher: Fetcher, record: Record) -> None:
        self._keys, self._fetcher, self._record = keys, fetcher, record
        self._in_child()
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Future[Optional[Landing]]] = {}
        # The generation of the cache with which a flight has landed.
        self._landed: dict[str, int] = {}
        self._threads: Optional[ThreadPoolExecutor] = None

    def wait(self, wanted: Wanted, client: Optional[str], generation: int, landings: list[Landing]) -> bool:
        """Fetches and supplies; `generation` is that of the cache which lacked the document. False: not now."""
        try:
            landing = self._join(wanted, client, generation).result(self._patience)
        except (Pending, FutureTimeout):
            return False
        landings += [landing] if landing else []
        return True

    async def await_(self, wanted: Wanted, client: Optional[str], generation: int, landings: list[Landing]) -> bool:
        try:
            flight = asyncio.wrap_future(self._join(wanted, client, generation))
            # Whoever gives up must not end it for the others.
            landing = await asyncio.wait_for(asyncio.shield(flight), self._patience)
        except (Pending, asyncio.TimeoutError):
            return False
        landings += [landing] if landing else []
        return True

    def refresh(self, wanted: Wanted) -> None:
        """Behind the visitor's back. What cannot be done now is asked for again by the next visitor."""
        try:
            self._join(wanted, None, None)
        except Pending:
            pass

    def prepare(self, hint: int) -> None:
        """Gives the key of a busy agent a table, behind the visitor's back."""
        with self._lock:
            self._pool().submit(self._keys.prepare, hint)

    @property
    def _patience(self) -> float:
        return max(self._fetcher.limits.whole, self._fetcher.limits.failure) + 0.1

    def _join(self, wanted: Wanted, client: Optional[str], generation: Optional[int]) -> Future[Optional[Landing]]:
        """The flight that is under way, or a new one; without a generation the document is known, and due again."""
        with self._lock:
            flight = self._flights.get(wanted.url)
            if flight is None and generation is not None and self._landed.get(wanted.url, 0) > generation:
                # It came between the caller's look at the cache and this one.
                flight = Future()
                flight.set_result(None)
            if flight is None:
                if not wanted.configured:
                    self._fetcher.budget.begin(client, known=generation is None)
                flight = self._flights[wanted.url] = self._pool().submit(self._fly, wanted, generation is None)
            return flight

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            # As many as may fetch, and a few for the operator's own documents and for tables.
            self._threads = ThreadPoolExecutor(self._fetcher.limits.fetches + 4, thread_name_prefix="imagxp")
        return self._threads

    def _fly(self, wanted: Wanted, known: bool) -> Optional[Landing]:
        """It has landed once the cache has the document: who comes later finds it there. Raises `Pending`."""
        asked_ms, began = now_ms(), time.monotonic()
        try:
            fetched = self._fetcher.get(wanted)
            if fetched.reason and not wanted.configured and not known:
                time.sleep(max(began + self._fetcher.limits.failure - time.monotonic(), 0))
            answered_ms = now_ms()
            # Recorded first: no decision may rest on a document that the evidence has not.
            sha256 = self._record(wanted, fetched, answered_ms)
            self._keys.supply(wanted, fetched)
            with self._lock:
                if len(self._landed) >= _LANDED_MAX:
                    self._landed.clear()
                self._landed[wanted.url] = self._keys.snapshot.generation
            self._warn(wanted, fetched)
            return Landing(wanted, fetched, asked_ms, answered_ms, sha256)
        finally:
            if not wanted.configured:
                self._fetcher.budget.end()
            with self._lock:
                self._flights.pop(wanted.url, None)

    def _warn(self, wanted: Wanted, fetched: Fetched) -> None:
        if fetched.reason:
            log.warning("%s: %s", wanted.url, fetched.reason)
        if wanted.kind == _ffi.NEED_JWKS and self._keys.exposes_private_key(wanted.url):
            log.error("%s publishes a private key: tell its owner", wanted.url)
