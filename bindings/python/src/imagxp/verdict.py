"""What was decided about a request, and what to answer."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ctypes import sizeof
from decimal import Decimal
from typing import Any, Optional

from . import _ffi
from .errors import code_of, error_of, http_of
from .words import BOUNDS, PROOFS, PURPOSES, VISITORS, Bound, Proof, Purpose, Visitor

# imagxp_verified: its size and the status are passed over; the two needs are read by the publisher.
_VERIFIED = struct.Struct("=8x4xIiiii 32x32x 14I qqq IIQQ 128x")
assert _VERIFIED.size == sizeof(_ffi.Verified)
_SPANS = {"agent_id": 5, "resource": 7, "nonce": 9, "payload": 11, "kid": 13, "issuer": 15, "jti": 17}
_MICROS = Decimal(1_000_000)
_NO_HEADERS: Mapping[str, str] = {}


class Verdict:
    """Admitted or refused. True only when admitted.

    A refusal has everything for the answer: `status`, `headers`, `body`. `code` is the precise one, for the log; the body
    has the public one.
    """

    __slots__ = ("_texts", "_values", "_verified", "body", "headers", "number")

    def __init__(
        self,
        number: int,
        verified: bytes = b"",
        texts: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes = b"",
    ) -> None:
        self.number, self.headers, self.body = number, headers, body
        self._verified, self._texts = verified, texts
        self._values: Optional[tuple[int, ...]] = None

    def __bool__(self) -> bool:
        return self.number == _ffi.OK

    @property
    def admitted(self) -> bool:
        return self.number == _ffi.OK

    @property
    def code(self) -> str:
        """``OK``, or the precise code of the refusal: for logs, never for a remote client."""
        return code_of(self.number)

    @property
    def status(self) -> int:
        """The HTTP status: 200 if admitted."""
        return http_of(self.number)

    @property
    def visitor(self) -> Visitor:
        """Who came. Of a refused request: what is proven."""
        return VISITORS.get(self._value(1), Visitor.UNIDENTIFIED_BOT)

    @property
    def signed(self) -> bool:
        return bool(self._value(0) & _ffi.SIGNED)

    @property
    def agent_id(self) -> str:
        """Who signed: proven if `visitor` is ``VERIFIED_AGENT``, else a claim. Empty when nobody signed."""
        return self._text("agent_id")

    @property
    def purpose(self) -> Optional[Purpose]:
        return PURPOSES.get(self._value(2))

    @property
    def ads_displayed(self) -> bool:
        return bool(self._value(0) & _ffi.ADS_DISPLAYED)

    @property
    def bound(self) -> Bound:
        """What of the request the signature binds."""
        return BOUNDS.get(self._value(3), Bound.NOTHING)

    @property
    def proof(self) -> Proof:
        """What it was paid with."""
        return PROOFS.get(self._value(4), Proof.NONE)

    @property
    def resource(self) -> str:
        return self._text("resource")

    @property
    def nonce(self) -> str:
        return self._text("nonce")

    @property
    def kid(self) -> str:
        """The RFC 7638 thumbprint of the key that signed."""
        return self._text("kid")

    @property
    def issuer(self) -> str:
        """Who issued the visa or ad proof."""
        return self._text("issuer")

    @property
    def jti(self) -> str:
        return self._text("jti")

    @property
    def ts_ms(self) -> int:
        """When the agent signed."""
        return self._value(19)

    @property
    def amount(self) -> Decimal:
        """What the visa paid, exactly."""
        return Decimal(self._value(20)) / _MICROS

    @property
    def clock_stepped_back(self) -> bool:
        """This machine's clock was set back by more than two seconds: look at it."""
        return bool(self._value(0) & _ffi.CLOCK_STEPPED_BACK)

    def raise_for_refusal(self) -> None:
        """Raises the `ImagxpError` of a refusal."""
        if self.number != _ffi.OK:
            raise error_of(self.number)

    def _value(self, index: int) -> int:
        if self._values is None:
            self._values = _VERIFIED.unpack(self._verified) if self._verified else (0,) * 26
        return self._values[index]

    def _text(self, name: str) -> str:
        at = self._value(_SPANS[name])
        return str(self._texts[at : at + self._value(_SPANS[name] + 1)], "utf-8")

    def __repr__(self) -> str:
        who = f", agent_id={self.agent_id!r}" if self.agent_id else ""
        return f"<Verdict {self.code} {self.visitor}{who}>"

    def __reduce__(self) -> Any:
        return Verdict, (self.number, self._verified, self._texts, dict(self.headers), self.body)
