"""A publisher: verifies requests and decides by its policy.

>>> publisher = Publisher({"allowRAG": True, "strategy": "STRICT"}, origin="https://pub.example.com")
>>> verdict = publisher.check(Request.of_url("https://pub.example.com/a", {"User-Agent": "curl/8"}))
>>> bool(verdict), verdict.status, verdict.code
(False, 401, 'IDENTITY_REQUIRED')

The loop is that of include/imagxp.h: verify, fetch what is missing, verify again, admit. Verification takes no lock and holds
no GIL; the key cache is a snapshot, and the replay store is one for all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Container, Mapping
from ctypes import byref, c_size_t
from typing import Any, Optional, Union

from . import _ffi
from ._budget import Pending
from ._documents import Documents
from ._ffi import Memory, lib, lib_gil
from ._keys import Fetched, KeyCache, Sizes, Wanted
from .agent import now_ms
from .errors import StoreError, number_of, raise_for
from .fetch import Fetcher
from .request import VOUCHED, Request, pack, raw
from .stores import INSTEAD, MemoryStore, Store
from .verdict import Verdict
from .words import HEADER_BROKER, HEADER_PRICE

__all__ = ["Publisher", "Request", "Sizes", "Verdict"]

log = logging.getLogger("imagxp.publisher")

Policy = Union[str, bytes, Mapping[str, Any]]

# A request of usual size takes so much; what takes more gets SCRATCH_LEN.
_USUAL_LEN = 2_048
_NEEDS_MAX = 3
_POOL_MAX = 64
_TOO_SMALL, _HOST_MISTAKES = number_of("BUFFER_TOO_SMALL"), range(-199, -99)
_PENDING, _NO_KEY_SET, _FULL = number_of("IDENTITY_PENDING"), number_of("JWKS_UNAVAILABLE"), number_of("REPLAY_CACHE_FULL")
_PAYMENT = frozenset(range(number_of("JWK_PRIVATE_EXPOSED"), number_of("VISITOR_REFUSED")))


class _Frame:
    """The memory of one check, used by one check at a time."""

    __slots__ = ("fields", "generation", "packed", "packed_ref", "scratch", "verified", "verified_ref", "verified_view", "wide")

    def __init__(self) -> None:
        self.packed, self.verified = _ffi.new(_ffi.Packed), _ffi.new(_ffi.Verified)
        self.packed_ref, self.verified_ref = byref(self.packed), byref(self.verified)
        self.verified_view = memoryview(self.verified).cast("B")
        self.scratch, self.wide = Memory(_USUAL_LEN), False
        self.fields, self.generation = b"", 0

    def load(self, request: Request) -> None:
        fields, count = pack(request)
        packed, self.fields = self.packed, fields
        packed.fields, packed.len, packed.count, packed.vouched = fields, len(fields), count, request.vouched

    def widen(self) -> None:
        self.scratch, self.wide = Memory(_ffi.SCRATCH_LEN), True

    def wanted(self, need: _ffi.Need) -> Wanted:
        text = self.scratch.text
        return Wanted(need.kind, text(need.url), text(need.host), bool(need.configured), need.max_len)


class Publisher:
    """Decides about requests, for one policy. Thread-safe; after a `fork` it works on, if its store does.

    `policy` is the JSON of docs/protocol.md section 6 or a mapping; what is no policy raises `HostError`
    (``POLICY_INVALID``). `origin` is the public scheme and host of this site, or several: a request signed for another one
    is refused, whatever ``Host`` it came with. `whitelist` has agents of whom no payment is wanted, `edge` (``cloudflare``,
    ``vercel``, ``cloudfront``) vouches for a CDN that every request comes through.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        origin: Union[str, list[str], tuple[str, ...]],
        store: Optional[Store] = None,
        fetcher: Optional[Fetcher] = None,
        sizes: Sizes = Sizes(),
        whitelist: Container[str] = (),
        edge: Optional[str] = None,
    ) -> None:
        self._policy = _parse(policy)
        self._pointer = self._policy.address
        self.development, self._payment_headers = self._terms()
        self.origins = [_split(text, self.development) for text in ([origin] if isinstance(origin, str) else origin)]
        if not self.origins:
            raise ValueError("give at least one origin, such as https://pub.example.com")
        self.store = store if store is not None else MemoryStore()
        self._whitelist, self.vouched = whitelist, VOUCHED[edge] if edge else 0
        self._keys = KeyCache(sizes)
        self.fetcher = fetcher or Fetcher(development=self.development)
        self._documents = Documents(self._keys, self.fetcher, self._told)
        self._frames: list[_Frame] = []
        if self.development:
            log.warning("imagxp is in development mode: localhost names and plain http are good. Never on a public site")

    def check(self, request: Request) -> Verdict:
        """Admits or refuses; fetches what is missing, 1.5 s at most for each of three documents.

        Raises `StoreError` when the replay store does not fit the server, and `HostError` for this host's own mistakes.
        """
        frame = self._take()
        try:
            frame.load(request)
            status = self._verify(frame)
            for _ in range(_NEEDS_MAX):
                if status != _ffi.NEED:
                    break
                wanted = frame.wanted(frame.verified.need)
                try:
                    self._documents.wait(wanted, request.client, frame.generation)
                except Pending:
                    status = _pending(wanted)
                    break
                status = self._verify(frame)
            if status != _ffi.VERIFIED:
                return self._refuse(status, None)
            return self._conclude(frame, self.store.admit(frame.verified_ref, frame.scratch.buf, now_ms()))
        finally:
            self._give(frame)

    async def acheck(self, request: Request) -> Verdict:
        """As `check`, without blocking the event loop. Verification itself takes microseconds and runs on it."""
        frame = self._take()
        try:
            frame.load(request)
            status = self._verify(frame)
            for _ in range(_NEEDS_MAX):
                if status != _ffi.NEED:
                    break
                wanted = frame.wanted(frame.verified.need)
                try:
                    await self._documents.await_(wanted, request.client, frame.generation)
                except Pending:
                    status = _pending(wanted)
                    break
                status = self._verify(frame)
            if status != _ffi.VERIFIED:
                return self._refuse(status, None)
            return self._conclude(frame, await self.store.aadmit(frame.verified_ref, frame.scratch.buf, now_ms()))
        finally:
            self._give(frame)

    def warm_up(self) -> None:
        """Fetches the key sets of the configured issuers, so that the first visitor need not wait."""
        scratch, need, index = Memory(_ffi.SCRATCH_LEN), _ffi.Need(), 0
        while lib.policy_document(self._pointer, index, scratch.buf, byref(need)) == _ffi.NEED:
            wanted = Wanted(need.kind, scratch.text(need.url), scratch.text(need.host), True, need.max_len)
            self._documents.refresh(wanted)
            index += 1

    def learn(self, agent_id: str, manifest: Union[str, bytes]) -> None:
        """Supplies a manifest that is at hand, as if it had just been fetched: for tests, and for agents known beforehand."""
        host = agent_id
        wanted = Wanted(_ffi.NEED_MANIFEST, f"https://{host}/.well-known/imagxp-agent.json", host, False, 8_192)
        if self.development and host.split(":")[0] == "localhost":
            wanted = wanted._replace(url=wanted.url.replace("https", "http", 1))
        self._keys.supply(wanted, Fetched(_ffi.FOUND, manifest.encode() if isinstance(manifest, str) else manifest))

    def request(
        self,
        method: Union[str, bytes],
        scheme: str,
        host: str,
        target: Union[str, bytes],
        headers: Any,
        client: Optional[str] = None,
    ) -> Request:
        """A request as a server hands it over: `host` is the ``Host`` header, and the origin replaces it."""
        if len(self.origins) == 1:
            scheme, authority = self.origins[0]
        elif (scheme, host.lower()) in self.origins:
            authority = host
        else:
            # Signed for another site: equals no signed resource.
            scheme = authority = ""
        if isinstance(method, bytes):
            return Request(method, scheme.encode(), raw(authority), target, headers, client=client, vouched=self.vouched)
        return Request(method, scheme, authority, target, headers, client=client, vouched=self.vouched)

    def require_shared_store(self, why: str) -> None:
        """For a server that knows that it has several processes. Raises `StoreError` if the store is one process's own."""
        if not self.store.shared:
            raise StoreError(f"{why}: {INSTEAD}")

    def _verify(self, frame: _Frame) -> int:
        # Held until the call returns: a swap must not free what is read.
        snapshot = self._keys.snapshot
        frame.generation = snapshot.generation
        status: int = lib.request_verify_packed(
            frame.packed_ref, self._pointer, snapshot.pointer, now_ms(), frame.scratch.buf, frame.verified_ref
        )
        if status >= 0:
            return status
        if status == _TOO_SMALL and not frame.wide:
            frame.widen()
            return self._verify(frame)
        if status in _PAYMENT and self._whitelist and not frame.packed.vouched & _ffi.VOUCHED_WHITELISTED:
            if claimed(frame.fields) in self._whitelist:
                # The name must still be proven: identity is judged before payment.
                frame.packed.vouched |= _ffi.VOUCHED_WHITELISTED
                return self._verify(frame)
        return status

    def _conclude(self, frame: _Frame, status: int) -> Verdict:
        if status != _ffi.OK:
            return self._refuse(status, frame)
        verified = frame.verified
        if verified.refresh.kind:
            self._documents.refresh(frame.wanted(verified.refresh))
        if verified.prepare:
            self._documents.prepare(verified.prepare)
        return Verdict(_ffi.OK, bytes(frame.verified_view), bytes(frame.scratch.view))

    def _refuse(self, status: int, frame: Optional[_Frame]) -> Verdict:
        """`frame`: of a request that was verified, and refused by the store."""
        if status in _HOST_MISTAKES:
            raise_for(status)
        out, needed = Memory(_ffi.BODY_LEN), c_size_t()
        verified = frame.verified_ref if frame else None
        raise_for(lib_gil.refusal_write(status, self._pointer, verified, out.buf, byref(needed)))
        headers = {"content-type": "application/json"}
        retry_after_s = self.store.retry_after_s if status == _FULL else lib_gil.status_retry_after_s(status)
        if retry_after_s:
            headers["retry-after"] = str(retry_after_s)
        if lib_gil.status_http(status) == 402:
            headers.update(self._payment_headers)
        texts = (bytes(frame.verified_view), bytes(frame.scratch.view)) if frame else (b"", b"")
        return Verdict(status, *texts, headers, bytes(out.view[: needed.value]))

    def _take(self) -> _Frame:
        try:
            return self._frames.pop()
        except IndexError:
            return _Frame()

    def _give(self, frame: _Frame) -> None:
        if not frame.wide and len(self._frames) < _POOL_MAX:
            self._frames.append(frame)

    def _terms(self) -> tuple[bool, dict[str, str]]:
        """Whether this is for development; and what a 402 says of where to pay, and how much."""
        scratch, terms = Memory(_ffi.SCRATCH_LEN), _ffi.new(_ffi.Terms)
        raise_for(lib.policy_terms(self._pointer, scratch.buf, byref(terms)))
        headers = {HEADER_BROKER: scratch.text(terms.broker_url), HEADER_PRICE: scratch.text(terms.price)}
        return bool(terms.flags & _ffi.TERMS_DEVELOPMENT), {name: value for name, value in headers.items() if value}

    def _told(self, asked_ms: int, wanted: Wanted, fetched: Fetched) -> None:
        """For the evidence log and the story."""


def claimed(packed: bytes) -> str:
    """Who claims to have signed; empty when that is in doubt. Unproven."""
    fields = packed.split(b"\0")
    rows = [_ffi.Header(_ffi.text(name), _ffi.text(value)) for name, value in zip(fields[4::2], fields[5::2])]
    texts = [_ffi.text(field) for field in fields[:4]]
    visit = _ffi.new(_ffi.Visit, headers=(_ffi.Header * len(rows))(*rows), headers_len=len(rows))
    visit.method, visit.scheme, visit.authority, visit.target = texts
    scratch, unproven = Memory(_ffi.SCRATCH_LEN), _ffi.new(_ffi.Unproven)
    if lib.request_parse(byref(visit), scratch.buf, byref(unproven)) != _ffi.OK:
        return ""
    return scratch.text(unproven.agent_id)


def _parse(policy: Policy) -> Memory:
    words = Memory(_ffi.POLICY_WORDS * 8)
    data = json.dumps(policy) if isinstance(policy, Mapping) else policy
    why = "an unknown member, a wrong type, or a value outside its bounds: `imagxp policy check FILE` says which"
    raise_for(lib.policy_parse(_ffi.text(data), words.address, _ffi.POLICY_WORDS), why)
    return words


def _split(origin: str, development: bool) -> tuple[str, str]:
    scheme, _, authority = origin.lower().partition("://")
    if scheme not in ("http", "https") or not authority or any(byte in authority for byte in "/?#@ "):
        raise ValueError(f"{origin!r} is not an origin such as https://pub.example.com")
    if scheme == "http" and not development:
        raise ValueError(f"{origin!r} is an origin of plain http: that is for development mode")
    return scheme, authority


def _pending(wanted: Wanted) -> int:
    return _PENDING if wanted.kind == _ffi.NEED_MANIFEST else _NO_KEY_SET
