"""A broker as an agent sees it: where visas are bought, how much may be spent, and what is left of what was bought.

An agent must not pay whatever a stranger asks: a `Wallet` names the brokers that it pays, the most for one visa, and the
most in all. It does no I/O: `imagxp.visits` says what to send.

>>> wallet = Wallet(["https://broker.example.com"], max_price="0.01")
>>> wallet.price("https://broker.example.com", "0.001")
Decimal('0.001')
>>> wallet.price("https://elsewhere.example.com", "0.001")
Traceback (most recent call last):
    ...
imagxp.broker.Declined: https://elsewhere.example.com is not one of this wallet's brokers
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Iterable
from ctypes import byref
from decimal import Decimal
from typing import NamedTuple, Optional, Union

from . import _ffi
from ._fork import on_fork
from .agent import Agent, micros, now_ms, write

__all__ = ["Declined", "Issuer", "Visa", "Wallet"]

# As the library reads money: at most six decimals.
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TOKEN_MAX = 4_096
# A visa that ends so soon would not arrive in time.
_MARGIN_S = 5
_LIFETIME_S = 3_600


class Declined(Exception):
    """Not paid: why."""


class Visa(NamedTuple):
    token: str
    expires_s: int


class Wallet:
    """Pays `brokers` (their URLs) at most `max_price` for a visa, and at most `max_total` in all, if that is given.

    Where a publisher names no price, `amount` is offered. Thread-safe.
    """

    def __init__(
        self,
        brokers: Iterable[str],
        *,
        max_price: Union[str, Decimal],
        max_total: Union[str, Decimal, None] = None,
        amount: Union[str, Decimal] = "0.001",
    ) -> None:
        self.brokers = frozenset(broker.rstrip("/") for broker in brokers)
        self.max_price, self.amount = Decimal(max_price), Decimal(amount)
        self.max_total = None if max_total is None else Decimal(max_total)
        self.spent = Decimal(0)
        self._visas: dict[str, Visa] = {}
        self._single_use: set[str] = set()
        self._in_child()
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._lock = threading.Lock()

    def __deepcopy__(self, _: object) -> Wallet:
        """Itself: the limits hold for all who pay from it."""
        return self

    def price(self, broker: str, asked: Optional[str]) -> Decimal:
        """What to pay for a visa, if it is paid at all. Raises `Declined`."""
        if broker.rstrip("/") not in self.brokers:
            raise Declined(f"{broker[:200]} is not one of this wallet's brokers")
        if asked is not None and not _AMOUNT.fullmatch(asked):
            raise Declined("the price that was asked is not a decimal with at most six places")
        price = Decimal(asked) if asked is not None else self.amount
        if price > self.max_price:
            raise Declined(f"{price} is more than this wallet's max_price, {self.max_price}")
        return price

    def reserve(self, price: Decimal) -> None:
        """Sets the price aside, before it is spent. Raises `Declined`."""
        with self._lock:
            if self.max_total is not None and self.spent + price > self.max_total:
                raise Declined(f"{price} more would exceed this wallet's max_total, {self.max_total}")
            self.spent += price

    def release(self, price: Decimal) -> None:
        """It was not spent after all."""
        with self._lock:
            self.spent -= price

    def keep(self, origin: str, token: object) -> Visa:
        """Keeps a visa that was bought, until it expires; not where visas are single-use, for it is its buyer's alone.

        Raises `Declined` for what is no visa.
        """
        visa = read_visa(token)
        with self._lock:
            if origin not in self._single_use:
                self._visas[origin] = visa
        return visa

    def take(self, origin: str) -> Optional[str]:
        """The visa to send, if there is one that will arrive in time."""
        with self._lock:
            visa = self._visas.get(origin)
            if visa is None:
                return None
            if visa.expires_s > time.time() + _MARGIN_S:
                return visa.token
            del self._visas[origin]
            return None

    def drop(self, origin: str, token: Optional[str], *, used: bool) -> None:
        """A visa that was refused; `used`: this origin's visas are good once."""
        with self._lock:
            if used:
                self._single_use.add(origin)
            held = self._visas.get(origin)
            if held is not None and (used or held.token == token):
                del self._visas[origin]


def read_visa(token: object) -> Visa:
    """The token and its end, unverified: it is the publisher who verifies. Raises `Declined`."""
    if not isinstance(token, str) or len(token) > _TOKEN_MAX or not _TOKEN.fullmatch(token):
        raise Declined("the broker's token is not a compact JWS")
    part = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        expires_s = int(claims["exp"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise Declined("the broker's token has no exp") from None
    return Visa(token, min(expires_s, int(time.time()) + _LIFETIME_S))


class Issuer:
    """The other side: issues visas in the name of `url`, byte for byte as publishers configure it. The ledger is yours."""

    def __init__(self, url: str, private_key: Union[str, bytes]) -> None:
        """`private_key` as of `imagxp.Agent`. Raises `HostError` (``PRIVKEY_INVALID``)."""
        # A key is a key: the name that an agent has is not used.
        self._agent = Agent("localhost", private_key, development=True)
        self.url, self.kid = url, self._agent.kid

    def issue(
        self,
        audience: str,
        amount: Union[str, Decimal],
        *,
        agent_id: str = "",
        public_key: str = "",
        jti: Optional[str] = None,
        lifetime_s: int = _LIFETIME_S,
    ) -> str:
        """A visa, bound to the agent and key that the broker has verified; without both it is good for anybody.

        Raises `PolicyError` for what a verifier would refuse.
        """
        if bool(agent_id) != bool(public_key):
            raise ValueError("give both agent_id and public_key, to bind the visa to them, or neither")
        visa = _ffi.new(
            _ffi.Visa,
            issuer=_ffi.text(self.url),
            audience=_ffi.text(audience),
            agent_id=_ffi.text(agent_id),
            public_key=_ffi.text(public_key),
            jti=_ffi.text(secrets.token_urlsafe(16) if jti is None else jti),
            amount_micros=micros(amount),
            lifetime_s=lifetime_s,
        )
        key, kid, hedge = byref(self._agent._key), _ffi.text(self.kid), secrets.token_bytes(32)
        return write(
            lambda out, needed: _ffi.lib.visa_issue(key, kid, byref(visa), hedge, 0, now_ms(), out, needed), _ffi.VISA_LEN
        )

    def jwks(self) -> str:
        """The key set to serve at ``/.well-known/jwks.json``."""
        keys = (_ffi.PublishedKey * 1)(_ffi.PublishedKey(_ffi.text(self.kid), _ffi.text(self._agent.public_key)))
        return write(lambda out, needed: _ffi.lib.jwks_write(keys, 1, out, needed), 512)
