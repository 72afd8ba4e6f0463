"""How much fetching there may be: in all, a second, for one client, and towards one network (SSRF-9)."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional, Union

from ._fork import on_fork

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class Limits:
    """Times in seconds, and numbers: those of docs/threats.md sections 5 and 8."""

    resolve: float = 0.5
    connect: float = 0.5
    tls: float = 0.8
    first_byte: float = 1.0
    whole: float = 1.5
    # How long a stranger's fetch takes at least that brings no document: no failure is told from another by its time.
    failure: float = 1.5
    header_bytes: int = 16 * 1024
    fetches: int = 64
    per_network: int = 8
    names_per_s: int = 20
    per_client_per_s: int = 2
    failures_per_s: int = 20
    failures_burst: int = 40


class Pending(Exception):
    """The budget is used up, or somebody else's fetch takes too long: says nothing about the document."""


class Crowded(Exception):
    """Too many connections to this part of the network, or look-ups, are under way."""


# Clients remembered at a time. When there are more, those with a full bucket are forgotten: they lose nothing.
_CLIENTS_MAX = 4_096


class _Bucket:
    """So many a second, and at most `burst` at once."""

    __slots__ = ("_at", "_burst", "_per_s", "_tokens")

    def __init__(self, per_s: int, burst: int, now: float) -> None:
        self._per_s, self._burst, self._tokens, self._at = per_s, burst, float(burst), now

    def level(self, now: float) -> float:
        return min(self._tokens + (now - self._at) * self._per_s, self._burst)

    def take(self, now: float) -> bool:
        self._tokens, self._at = self.level(now), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Clients:
    """A bucket for each client address. True while there is one that is not full. Every call wants its owner's lock."""

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: dict[Address, _Bucket] = {}

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def has_one(self, client: Optional[str], now: float) -> bool:
        bucket = self._buckets.get(address) if (address := _client_of(client)) is not None else None
        return bucket is None or bucket.level(now) >= 1

    def take(self, client: Optional[str], now: float) -> bool:
        address = _client_of(client)
        if address is None:
            return True
        if len(self._buckets) >= _CLIENTS_MAX:
            full = self._burst
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if bucket.level(now) < full}
        if address not in self._buckets and len(self._buckets) < _CLIENTS_MAX:
            self._buckets[address] = _Bucket(self._per_s, self._burst, now)
        bucket = self._buckets.get(address)
        return bucket is None or bucket.take(now)


class Budget:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_child()
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._all = _Bucket(self._limits.names_per_s, self._limits.names_per_s, time.monotonic())
        self._clients = Clients(self._limits.per_client_per_s, self._limits.per_client_per_s)
        self._networks: dict[Address, int] = {}

    def begin(self, client: Optional[str], *, known: bool) -> None:
        """Leave to fetch a stranger's document, to be given back with `end`. A known one that is due again costs no name.

        Raises `Pending`.
        """
        with self._lock:
            if self._under_way >= self._limits.fetches or not (known or self._new(client, time.monotonic())):
                raise Pending
            self._under_way += 1

    def end(self) -> None:
        with self._lock:
            self._under_way -= 1

    def _new(self, client: Optional[str], now: float) -> bool:
        """The client's own bucket first: who floods must not empty everybody's."""
        return self._clients.take(client, now) and self._all.take(now)

    @contextmanager
    def place(self, address: Address) -> Iterator[None]:
        """A place among the connections to an address's network. Raises `Crowded`."""
        network = network_of(address)
        with self._lock:
            if self._networks.get(network, 0) >= self._limits.per_network:
                raise Crowded
            self._networks[network] = self._networks.get(network, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._networks[network] -= 1
                if not self._networks[network]:
                    del self._networks[network]


class Failures:
    """Requests verified in vain, by client: one costs as much as hundreds of refusals by text, and anybody can send it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_child()
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._lock = threading.Lock()
        self._clients = Clients(self._limits.failures_per_s, self._limits.failures_burst)

    def are_too_many(self, client: Optional[str]) -> bool:
        if not self._clients:
            return False
        with self._lock:
            return not self._clients.has_one(client, time.monotonic())

    def count(self, client: Optional[str]) -> None:
        with self._lock:
            self._clients.take(client, time.monotonic())


# RFC 6052 section 2.1.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def canonical(address: Address) -> Address:
    """An IPv4 address written as IPv6, mapped or for NAT64, is the IPv4 address.

    >>> canonical(ipaddress.ip_address("64:ff9b::a83f:8110"))
    IPv4Address('168.63.129.16')
    """
    if isinstance(address, ipaddress.IPv6Address):
        inside = address in _NAT64
        return ipaddress.IPv4Address(address.packed[12:]) if inside else address.ipv4_mapped or address
    return address


def network_of(address: Address) -> Address:
    """The network that shares a budget: /24 of IPv4, /48 of IPv6.

    >>> network_of(ipaddress.ip_address("203.0.113.9"))
    IPv4Address('203.0.113.0')
    """
    return _prefix(address, 24, 48)


def _client_of(client: Optional[str]) -> Optional[Address]:
    """The client that shares a budget: an IPv4 address, a /64 of IPv6; none for what is no address (a socket's path).

    None either for an address that is not public: a proxy of this site, behind which everybody is.
    """
    try:
        address = canonical(ipaddress.ip_address(client)) if client else None
    except ValueError:
        return None
    return _prefix(address, 32, 64) if address is not None and address.is_global else None


def _prefix(address: Address, bits4: int, bits6: int) -> Address:
    address = canonical(address)
    bits = bits4 if address.version == 4 else bits6
    return ipaddress.ip_network((address, bits), strict=False).network_address
