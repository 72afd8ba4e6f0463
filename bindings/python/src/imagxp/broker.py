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
import threading
import time
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple, Optional, Union

from ._fork import on_fork

__all__ = ["Declined", "Visa", "Wallet"]

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

    def keep(self, publisher: str, token: object) -> Visa:
        """Keeps a visa that was bought, until it expires. Raises `Declined` for what is no visa."""
        visa = read_visa(token)
        with self._lock:
            self._visas[publisher] = visa
        return visa

    def take(self, publisher: str) -> Optional[str]:
        """The visa to send, if there is one. Where visas are single-use it is taken out."""
        with self._lock:
            visa = self._visas.get(publisher)
            if visa is None:
                return None
            if publisher in self._single_use or visa.expires_s <= time.time() + _MARGIN_S:
                del self._visas[publisher]
            return visa.token if visa.expires_s > time.time() + _MARGIN_S else None

    def drop(self, publisher: str, token: Optional[str], *, used: bool) -> None:
        """A visa that was refused; `used`: this publisher's visas are good once."""
        with self._lock:
            if used:
                self._single_use.add(publisher)
            held = self._visas.get(publisher)
            if held is not None and held.token == token:
                del self._visas[publisher]


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
