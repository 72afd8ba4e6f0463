"""Evidence: an append-only log of documents and decisions, a line each, chained, with signed checkpoints
(docs/protocol.md section 9). ``imagxp evidence verify LOG --publisher KEY`` verifies it offline.

One chain a writer: each process writes a file of its own into the folder, and a child that was forked begins a new one.
"""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import threading
import time
from ctypes import byref, c_size_t
from pathlib import Path
from typing import Any, Callable, Union

from . import _ffi
from ._ffi import Memory, lib
from ._fork import on_fork
from .agent import Agent, now_ms
from .errors import number_of, raise_for

__all__ = ["EvidenceLog"]

log = logging.getLogger("imagxp.evidence")

# Documents that are kept, to begin a child's log with: those of the key cache.
_DOCUMENTS_MAX = 4_096
# A checkpoint for a second with news.
_INTERVAL_S = 1.0
# What is refused after its signature was verified.
_BEHIND_THE_SIGNATURE = frozenset(
    [number_of(code) for code in ("REPLAY_DETECTED", "RESTART_GUARD", "REPLAY_CACHE_FULL", "AGENT_QUOTA", "REPLAY_STORE_DOWN")]
    + [number_of("PURPOSE_REFUSED")]
    + list(range(number_of("JWK_PRIVATE_EXPOSED"), number_of("VISITOR_REFUSED")))
)


class EvidenceLog:
    """In `folder`, signed with the publisher's `private_key` (forms as of `imagxp.Agent`).

    Signed requests that were admitted are recorded, and those refused after a valid signature; with ``everything=True``
    every visit. A line is appended in one piece; where that fails (a full disk) the chain stays whole, and the failure is
    logged: evidence never refuses a visitor.
    """

    def __init__(
        self, folder: Union[str, os.PathLike[str]], private_key: Union[str, bytes], *, everything: bool = False
    ) -> None:
        # A key is a key: the name that an agent has is not used.
        self._signer = Agent("localhost", private_key, development=True)
        self.public_key = self._signer.public_key
        self._folder, self._everything = Path(folder), everything
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._documents: dict[str, tuple[bytes, int]] = {}
        self._begin()
        on_fork(self._in_child)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._head, self._sealed, self._sealed_at = _ffi.Head(), _ffi.Head(), time.monotonic()
        self.path = self._folder / f"{now_ms()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._timer: Union[threading.Timer, None] = None

    def _in_child(self) -> None:
        if self._file < 0:
            return
        os.close(self._file)
        self._begin()
        for url, (body, at_ms) in list(self._documents.items()):
            self.document(url, body, at_ms)

    def document(self, url: str, body: bytes, at_ms: int) -> bytes:
        """Records a document once a fetch; its SHA-256, or zeros where it could not be recorded."""
        with self._lock:
            if len(self._documents) >= _DOCUMENTS_MAX:
                self._documents.pop(next(iter(self._documents)))
            self._documents[url] = (body, at_ms)
        sha256 = (ctypes.c_uint8 * 32)()
        named, text = _ffi.text(url), _ffi.text(body)
        length = 1_024 + len(url) + len(body) * 4 // 3
        done = self._append(
            length, lambda out, needed: lib.evidence_document(named, text, at_ms, byref(self._head), out, needed, sha256)
        )
        return bytes(sha256) if done else bytes(32)

    def decision(self, visit: Any, verified: Any, decision: Any, status: int, *, signed: bool) -> None:
        """Records a decision, by the pointers of imagxp_evidence_decision, if it is one of those that are recorded."""
        if not (self._everything or (signed and status == _ffi.OK) or status in _BEHIND_THE_SIGNATURE):
            return
        self._append(
            _ffi.DECISION_LEN,
            lambda out, needed: lib.evidence_decision(visit, verified, decision, byref(self._head), out, needed),
        )

    def checkpoint(self) -> None:
        """Seals what was written, if there is news."""
        with self._lock:
            self._seal()

    def close(self) -> None:
        """Seals, and lets go of the file."""
        with self._lock:
            self._seal()
            if self._timer is not None:
                self._timer.cancel()
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _append(self, length: int, write: Callable[[Any, Any], int]) -> bool:
        with self._lock:
            done = self._write(length, write)
            elapsed_ms = int((time.monotonic() - self._sealed_at) * 1000)
            if lib.evidence_wants_checkpoint(byref(self._head), byref(self._sealed), elapsed_ms):
                self._seal()
            elif self._timer is None:
                self._timer = threading.Timer(_INTERVAL_S, self._tick)
                self._timer.daemon = True
                self._timer.start()
            return done

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
            self._seal()

    def _seal(self) -> None:
        if self._head.count == self._sealed.count or self._file < 0:
            return
        key, hedge = byref(self._signer._key), secrets.token_bytes(32)
        if self._write(
            _ffi.CHECKPOINT_LEN,
            lambda out, needed: lib.evidence_checkpoint(key, hedge, 0, now_ms(), byref(self._head), out, needed),
        ):
            self._sealed, self._sealed_at = _copy(self._head), time.monotonic()

    def _write(self, length: int, write: Callable[[Any, Any], int]) -> bool:
        """In one piece, or not at all: then the chain goes on from where it was."""
        before, out, needed = _copy(self._head), Memory(length), c_size_t()
        try:
            size = os.fstat(self._file).st_size
            raise_for(write(out.buf, byref(needed)))
            line = out.view[: needed.value]
            written = os.write(self._file, line)
            if written == len(line):
                return True
            self._take_back(size)
            raise OSError(f"the disk took {written} bytes of {len(line)}")
        except Exception as error:
            self._head = before
            log.error("%s: not recorded: %s", self.path, error)
            return False

    def _take_back(self, size: int) -> None:
        """A line that is not whole would end the chain for whoever reads on; so what cannot be taken back is the last."""
        try:
            os.ftruncate(self._file, size)
        except OSError:
            os.close(self._file)
            self._file = -1
            raise


def _copy(head: _ffi.Head) -> _ffi.Head:
    return _ffi.Head.from_buffer_copy(head)
