"""A publisher: verifies requests and decides by its policy.

>>> publisher = Publisher({"allowRAG": True, "strategy": "STRICT"}, origin="https://pub.example.com")
>>> verdict = publisher.check(Request.of_url("https://pub.example.com/a", {"User-Agent": "curl/8"}))
>>> bool(verdict), verdict.status, verdict.code
(False, 401, 'IDENTITY_REQUIRED')

The loop is that of include/imagxp.h: verify, fetch what is missing, verify again, admit. Verification takes no lock and holds
no GIL; the key cache is a snapshot, and the replay store is one for all.
"""

from __future__ import annotations

import ctypes
import json
import logging
from collections.abc import Container, Iterable, Mapping
from ctypes import byref, c_size_t
from typing import Any, Callable, Optional, Union

from . import _ffi, story
from ._budget import Failures
from ._documents import Documents, Landing
from ._ffi import Memory, lib, lib_gil
from ._keys import Fetched, KeyCache, Sizes, Wanted
from .agent import now_ms, write
from .errors import StoreError, number_of, raise_for
from .evidence import EvidenceLog
from .fetch import Fetcher
from .request import VOUCHED, Request, pack, raw
from .stores import INSTEAD, MemoryStore, Store
from .verdict import Verdict
from .words import HEADER_BROKER, HEADER_PRICE

__all__ = ["Publisher", "Request", "Sizes", "Verdict"]

log = logging.getLogger("imagxp.publisher")

Policy = Union[str, bytes, Mapping[str, Any]]
ClientAddr = Callable[[Mapping[str, str], Optional[str]], Optional[str]]

# A request of usual size takes so much; what takes more gets SCRATCH_LEN.
_USUAL_LEN = 2_048
_NEEDS_MAX = 3
_POOL_MAX = 64
_TOO_SMALL, _HOST_MISTAKES = number_of("BUFFER_TOO_SMALL"), range(-199, -99)
_PENDING, _NO_KEY_SET, _FULL = number_of("IDENTITY_PENDING"), number_of("JWKS_UNAVAILABLE"), number_of("REPLAY_CACHE_FULL")
_BUSY = number_of("BUSY")
_PAYMENT = frozenset(range(number_of("JWK_PRIVATE_EXPOSED"), number_of("VISITOR_REFUSED")))


class _Frame:
    """The memory of one check, used by one check at a time."""

    __slots__ = (
        "client",
        "fields",
        "generation",
        "landings",
        "needs",
        "packed",
        "packed_ref",
        "received_ms",
        "scratch",
        "verified",
        "verified_ref",
        "verified_view",
        "wide",
    )

    def __init__(self) -> None:
        self.packed, self.verified = _ffi.new(_ffi.Packed), _ffi.new(_ffi.Verified)
        self.packed_ref, self.verified_ref = byref(self.packed), byref(self.verified)
        self.verified_view = memoryview(self.verified).cast("B")
        self.scratch, self.wide = Memory(_USUAL_LEN), False
        self.client: Optional[str] = None
        self.fields, self.generation, self.received_ms, self.needs = b"", 0, 0, 0
        self.landings: list[Landing] = []

    def load(self, request: Request) -> None:
        fields, count = pack(request)
        packed, self.fields, self.landings, self.needs = self.packed, fields, [], 0
        self.client = request.client
        packed.fields, packed.len, packed.count, packed.vouched = fields, len(fields), count, request.vouched

    def widen(self) -> None:
        self.scratch, self.wide = Memory(_ffi.SCRATCH_LEN), True

    def need(self) -> Wanted:
        return self.wanted(self.verified.need)

    def wanted(self, need: _ffi.Need) -> Wanted:
        text = self.scratch.text
        return Wanted(need.kind, text(need.url), text(need.host), bool(need.configured), need.max_len)


class Publisher:
    """Decides about requests, for one policy. Thread-safe; after a `fork` it works on, if its store does.

    `policy` is the JSON of docs/protocol.md section 6 or a mapping; what is no policy raises `HostError`
    (``POLICY_INVALID``). `origin` is the public scheme and host of this site, or several: a request signed for another one
    is refused, whatever ``Host`` it came with. `whitelist` has agents of whom no payment is wanted, `edge` (``cloudflare``,
    ``vercel``, ``cloudfront``) vouches for a CDN that every request comes through. `evidence` records what was decided.

    `client_addr` takes a request's headers (names in lower case) and the peer's address, and gives the client's: for a site
    behind a proxy, such as ``lambda headers, peer: headers.get("x-real-ip", peer)``. Budgets are per client, and an address
    that is not public is nobody's: without it all who come through a proxy share those of the whole site.
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
        evidence: Optional[EvidenceLog] = None,
        client_addr: Optional[ClientAddr] = None,
    ) -> None:
        if isinstance(whitelist, (str, bytes)):
            raise TypeError(
                "whitelist is a collection of agents, such as {'bot.example.com'}: in a text every part of it would be"
            )
        self._policy = _parse(policy)
        self._pointer = self._policy.address
        self.development, self._payment_headers = self._terms()
        self.origins = [_split(text, self.development) for text in ([origin] if isinstance(origin, str) else origin)]
        if not self.origins:
            raise ValueError("give at least one origin, such as https://pub.example.com")
        self.store = store if store is not None else MemoryStore()
        self._whitelist, self.vouched = whitelist, VOUCHED[edge] if edge else 0
        self._keys, self._evidence = KeyCache(sizes), evidence
        self.fetcher = fetcher or Fetcher(development=self.development)
        self._client_addr = client_addr
        self._failures = Failures(self.fetcher.limits)
        self._documents = Documents(self._keys, self.fetcher, self._record)
        self._frames: list[_Frame] = []
        if self.development:
            log.warning("imagxp is in development mode: localhost names and plain http are good. Never on a public site")

    def check(self, request: Request) -> Verdict:
        """Admits or refuses; fetches what is missing, 1.5 s at most for each of three documents.

        Raises `StoreError` when the replay store does not fit the server, and `HostError` for this host's own mistakes.
        """
        frame = self._take()
        try:
            status = self._begin(frame, request)
            while status == _ffi.NEED:
                there = self._documents.wait(frame.need(), request.client, frame.generation, frame.landings)
                status = self._go_on(frame, there)
            if status != _ffi.VERIFIED:
                return self._conclude(frame, status, None)
            status = self.store.admit(frame.verified_ref, frame.scratch.buf, now_ms())
            return self._conclude(frame, status, frame.verified_ref)
        finally:
            self._give(frame)

    async def acheck(self, request: Request) -> Verdict:
        """As `check`, without blocking the event loop. Verification itself takes microseconds and runs on it."""
        frame = self._take()
        try:
            status = self._begin(frame, request)
            while status == _ffi.NEED:
                there = await self._documents.await_(frame.need(), request.client, frame.generation, frame.landings)
                status = self._go_on(frame, there)
            if status != _ffi.VERIFIED:
                return self._conclude(frame, status, None)
            status = await self.store.aadmit(frame.verified_ref, frame.scratch.buf, now_ms())
            return self._conclude(frame, status, frame.verified_ref)
        finally:
            self._give(frame)

    def warm_up(self) -> None:
        """Fetches the key sets of the configured issuers, so that the first visitor need not wait."""
        scratch, need, index = Memory(_ffi.SCRATCH_LEN), _ffi.Need(), 0
        while lib.policy_document(self._pointer, index, scratch.buf, byref(need)) == _ffi.NEED:
            wanted = Wanted(need.kind, scratch.text(need.url), scratch.text(need.host), True, need.max_len)
            self._documents.refresh(wanted)
            index += 1

    def discovery(self) -> str:
        """The JSON to serve at ``/.well-known/imagxp-policy.json``, to everybody: what is admitted, what it costs, and where
        to buy it. The middlewares serve it."""
        return write(lambda out, needed: lib.policy_discovery(self._pointer, out, needed), _ffi.SCRATCH_LEN)

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
        else:
            # By its host: whoever ends TLS before this server hides the scheme. Another site equals no signed resource.
            ours = [origin for origin in self.origins if origin[1] == _usual(origin[0], host.lower())] or [("", "")]
            scheme, authority = next((origin for origin in ours if origin[0] == scheme), ours[0])
        if isinstance(method, bytes):
            return Request(method, scheme.encode(), raw(authority), target, headers, client=client, vouched=self.vouched)
        return Request(method, scheme, authority, target, headers, client=client, vouched=self.vouched)

    def client_of(self, peer: Optional[str], headers: Iterable[tuple[Union[str, bytes], Union[str, bytes]]]) -> Optional[str]:
        """Whose budget a request uses: as `client_addr` says, else the peer's."""
        if self._client_addr is None:
            return peer
        texts: dict[str, str] = {}
        for row in headers:
            name, value = (part if isinstance(part, str) else part.decode("latin-1") for part in row)
            name = name.lower()
            texts[name] = f"{texts[name]}, {value}" if name in texts else value
        return self._client_addr(texts, peer)

    def require_shared_store(self, why: str) -> None:
        """For a server that knows that it has several processes. Raises `StoreError` if the store is one process's own."""
        if not self.store.shared:
            raise StoreError(f"{why}: {INSTEAD}")

    def _begin(self, frame: _Frame, request: Request) -> int:
        frame.load(request)
        return self._verify(frame)

    def _go_on(self, frame: _Frame, there: bool) -> int:
        """After a need: whether the document is there now, whatever it says."""
        kind = frame.verified.need.kind
        frame.needs += 1
        if there and frame.needs <= _NEEDS_MAX:
            return self._verify(frame)
        return _PENDING if kind == _ffi.NEED_MANIFEST else _NO_KEY_SET

    def _verify(self, frame: _Frame) -> int:
        if self._failures.are_too_many(frame.client) and b"x-imagxp-" in frame.fields.lower():
            return _BUSY
        # Held until the call returns: a swap must not free what is read.
        snapshot = self._keys.snapshot
        frame.generation, now = snapshot.generation, now_ms()
        if not frame.landings:
            frame.received_ms = now
        status: int = lib.request_verify_packed(
            frame.packed_ref, self._pointer, snapshot.pointer, now, frame.scratch.buf, frame.verified_ref
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

    def _conclude(self, frame: _Frame, status: int, verified: Any) -> Verdict:
        """`verified`: of a request that was verified, and then admitted or refused by the store."""
        if self._evidence is not None or story.is_wanted():
            self._report(frame, status, verified)
        if status != _ffi.OK:
            return self._refuse(frame, status, verified)
        found = frame.verified
        if found.refresh.kind:
            self._documents.refresh(frame.wanted(found.refresh))
        if found.prepare:
            self._documents.prepare(found.prepare)
        return Verdict(_ffi.OK, bytes(frame.verified_view), bytes(frame.scratch.view))

    def _refuse(self, frame: _Frame, status: int, verified: Any) -> Verdict:
        if status in _HOST_MISTAKES:
            raise_for(status)
        if status != _BUSY and (frame.needs or lib_gil.status_is_behind_signature(status)):
            # It spent no nonce: the same message would cost as much again and again.
            self._failures.count(frame.client)
        out, needed = Memory(_ffi.BODY_LEN), c_size_t()
        raise_for(lib_gil.refusal_write(status, self._pointer, verified, out.buf, byref(needed)))
        headers = {"content-type": "application/json"}
        retry_after_s = self.store.retry_after_s if status == _FULL else lib_gil.status_retry_after_s(status)
        if retry_after_s:
            headers["retry-after"] = str(retry_after_s)
        if lib_gil.status_http(status) == 402:
            headers.update(self._payment_headers)
        texts = (bytes(frame.verified_view), bytes(frame.scratch.view)) if verified else (b"", b"")
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

    def _record(self, wanted: Wanted, fetched: Fetched, at_ms: int) -> bytes:
        if self._evidence is None or fetched.kind != _ffi.FOUND:
            return bytes(32)
        return self._evidence.document(wanted.url, fetched.body, at_ms)

    def _report(self, frame: _Frame, status: int, verified: Any) -> None:
        """To the evidence, and to whoever listens to the story. What was refused by the host's own mistake is neither's."""
        if status in _HOST_MISTAKES or (verified is None and status >= 0):
            return
        fetches = (_ffi.Fetch * len(frame.landings))(*[_fetch(landing) for landing in frame.landings])
        decision = _ffi.new(
            _ffi.Decision,
            status=status,
            received_ms=frame.received_ms,
            decided_ms=now_ms(),
            fetches=fetches,
            fetches_len=len(fetches),
        )
        visit, keep = unpacked(frame.fields)
        visit.vouched = frame.packed.vouched
        if self._evidence is not None:
            signed = verified is not None and bool(frame.verified.flags & _ffi.SIGNED)
            self._evidence.decision(byref(visit), verified, byref(decision), status, signed=signed)
        if story.is_wanted():
            scratch = frame.scratch if verified else Memory(_ffi.SCRATCH_LEN)
            story.tell(
                lambda form, out, needed: lib.story_publisher(
                    byref(visit), self._pointer, verified, scratch.buf, byref(decision), form, out, needed
                )
            )
        del keep


def _fetch(landing: Landing) -> _ffi.Fetch:
    wanted, fetched, asked_ms, answered_ms, sha256 = landing
    url, name = _ffi.text(wanted.url), (ctypes.c_uint8 * 32)(*sha256)
    return _ffi.Fetch(wanted.kind, fetched.kind, url, len(fetched.body), asked_ms, answered_ms, name)


def unpacked(packed: bytes) -> tuple[_ffi.Visit, Any]:
    """The visit that a packed one is, and what must live as long."""
    fields = packed.split(b"\0")
    rows = [_ffi.Header(_ffi.text(name), _ffi.text(value)) for name, value in zip(fields[4::2], fields[5::2])]
    headers = (_ffi.Header * len(rows))(*rows)
    visit = _ffi.new(_ffi.Visit, headers=headers, headers_len=len(rows))
    visit.method, visit.scheme, visit.authority, visit.target = [_ffi.text(field) for field in fields[:4]]
    return visit, (fields, rows, headers)


def claimed(packed: bytes) -> str:
    """Who claims to have signed; empty when that is in doubt. Unproven."""
    visit, keep = unpacked(packed)
    scratch, unproven = Memory(_ffi.SCRATCH_LEN), _ffi.new(_ffi.Unproven)
    status = lib.request_parse(byref(visit), scratch.buf, byref(unproven))
    del keep
    return scratch.text(unproven.agent_id) if status == _ffi.OK else ""


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
    return scheme, _usual(scheme, authority)


def _usual(scheme: str, authority: str) -> str:
    """Without the port that the scheme has anyway (RFC 9110 section 4.2.3).

    >>> _usual("https", "pub.example.com:443"), _usual("http", "localhost:8000")
    ('pub.example.com', 'localhost:8000')
    """
    return authority.removesuffix({"https": ":443", "http": ":80"}.get(scheme, ""))
