"""A replay store for the workers of one machine: a file that they all map, under a lock that the kernel releases when its
holder dies (`flock`; a semaphore, or `multiprocessing.shared_memory`, would stay held after a kill)."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import mmap
import os
import stat
import threading
import time
from typing import Any, Optional, Union

from ._ffi import lib, lib_gil
from ._fork import on_fork
from .agent import now_ms as clock_ms
from .errors import HostError, StoreError
from .stores import _DOWN, _FULL, ReplayStats, Words

__all__ = ["FileStore"]


# Seconds to wait for the lock: a stopped process (SIGSTOP, a debugger) that holds it must not stop all others; least of all
# those who share a loop with many requests.
_OPEN_S, _ADMIT_S, _LOOP_S = 5.0, 1.0, 0.05
_PAUSE_S = 0.0005
_HEADER = 512


def _locked(file: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_S)


class FileStore:
    """In a file, best on a RAM disk (``/dev/shm`` or ``/run``): made with mode 600 by the first process that comes, and kept.

    What it remembers outlives every worker, so a restart forgets nothing. `slots` are verified requests a second times 450;
    all who share the file must say the same. If the file is removed or cut short while in use, the store refuses
    (``REPLAY_STORE_DOWN``, 503) instead of forgetting.
    """

    shared = True

    def __init__(self, path: Union[str, os.PathLike[str]], slots: int = 450_000) -> None:
        self.path = os.fspath(path)
        self._count = lib.replay_cache_words(slots)
        self.retry_after_s = 0
        self._open()
        on_fork(self._in_child)

    def _open(self) -> None:
        """A description of its own for each process: `flock` would not part those who share one."""
        self._lock = threading.Lock()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not _locked(self._file, time.monotonic() + _OPEN_S):
                raise StoreError(f"{self.path} is locked by a process that does not go on")
            try:
                fresh = self._fit()
                self._map = mmap.mmap(self._file, self._count * 8)
                self._words = Words(ctypes.addressof(ctypes.c_char.from_buffer(self._map)), self._count)
                # Nothing but zeros: who made it was killed before it was a store. Its header is never zero.
                if fresh or not any(self._map[:_HEADER]):
                    self._words.new(clock_ms())
                self._words.stats()
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        except HostError as error:
            self.close()
            raise StoreError(f"{self.path} is no replay store ({error.code}): remove it while no worker runs") from None
        except BaseException:
            self.close()
            raise

    def _fit(self) -> bool:
        """Whether the file is new, and now as long as it must be."""
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise StoreError(f"{self.path} is not a regular file of this user")
        if found.st_mode & 0o077:
            raise StoreError(f"{self.path} is open to others: chmod 600")
        if found.st_size == 0:
            # Taken from the disk now: a full one must not end a worker later.
            os.posix_fallocate(self._file, 0, self._count * 8)
            return True
        if found.st_size != self._count * 8:
            raise StoreError(
                f"{self.path} was made for another number of slots: give the same, or remove it while no worker runs"
            )
        return False

    def _in_child(self) -> None:
        """The parent's description stays the parent's."""
        if self._file < 0:
            return
        os.close(self._file)
        try:
            self._open()
        except (OSError, StoreError):
            self._file = -1

    def admit(self, verified: Any, scratch: Any, now_ms: int) -> int:
        deadline = time.monotonic() + _ADMIT_S
        if not self._lock.acquire(timeout=_ADMIT_S):
            return _DOWN
        try:
            while (status := self._try(verified, scratch, now_ms)) is None:
                if time.monotonic() >= deadline:
                    return _DOWN
                time.sleep(_PAUSE_S)
            return status
        finally:
            self._lock.release()

    async def aadmit(self, verified: Any, scratch: Any, now_ms: int) -> int:
        deadline = time.monotonic() + _LOOP_S
        while True:
            if self._lock.acquire(blocking=False):
                try:
                    status = self._try(verified, scratch, now_ms)
                finally:
                    self._lock.release()
                if status is not None:
                    return status
            if time.monotonic() >= deadline:
                return _DOWN
            await asyncio.sleep(_PAUSE_S)

    def _try(self, verified: Any, scratch: Any, now_ms: int) -> Optional[int]:
        """None while another process has the file."""
        try:
            found = os.fstat(self._file)
            if found.st_nlink == 0 or found.st_size < self._count * 8:
                return _DOWN
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        except OSError:
            return _DOWN
        try:
            status = int(lib_gil.request_admit(verified, scratch, self._words.pointer, now_ms))
            if status == _FULL:
                self.retry_after_s = lib_gil.replay_cache_retry_after_s(self._words.pointer)
            return status
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def stats(self) -> ReplayStats:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                return self._words.stats()
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Lets go of the file; what it remembers stays."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()
