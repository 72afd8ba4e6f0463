"""What an agent's visit takes, step by step, without I/O: the same for every HTTP client.

`Visits.visit` yields either the headers of the visit itself, to be sent anew each time, or an `Errand`: a request of its own
(discovery, buying a visa). Each is answered with a `Reply`; when the generator ends, the last answer of the visit stands.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Generator, Mapping
from decimal import Decimal
from typing import NamedTuple, Optional, Union
from urllib.parse import urlsplit

from . import story
from ._fork import on_fork
from .agent import Agent, now_ms
from .broker import Declined, Wallet
from .words import HEADER_BROKER, HEADER_CREDENTIAL, HEADER_PRICE, POLICY_PATH, Purpose, user_agent_of

__all__ = ["Errand", "Reply", "Steps", "Visits", "reads_body"]

log = logging.getLogger("imagxp.agent")

# What the answer to an errand may be, bytes and seconds; and how long a discovery is good.
ERRAND_MAX, ERRAND_S = 65_536, 10.0
# A refusal is shorter (IMAGXP_BODY_LEN); of what is longer no more is read than its reader wants.
PEEK_MAX = 4_096
_DISCOVERED_S, _UNDISCOVERED_S, _DISCOVERED_MAX = 3_600, 60, 4_096
# What a new visa mends.
_STALE_VISA = frozenset(["VISA_USED", "JWT_EXPIRED", "JWT_KEY_UNKNOWN", "VISA_BINDING", "JWT_SUBJECT", "JWT_AUDIENCE"])


class Errand(NamedTuple):
    """A request beside the visit. Redirects are not to be followed."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


class Reply(NamedTuple):
    """An answer: of the visit itself the body is wanted where `reads_body` says so, of an errand always."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


# No answer to an errand: it may have been carried out; or it was never sent.
UNHEARD, UNSENT = Reply(0, {}), Reply(-1, {})

Steps = Generator[Union[Errand, "dict[str, str]"], Reply, None]


def reads_body(status: int) -> bool:
    return status in (401, 402, 403)


class Visits:
    """`agent` visits for a `purpose`, and pays from `wallet` where it is asked to. With ``discover=True`` it signs only where
    the site serves ``/.well-known/imagxp-policy.json``. Thread-safe: one for a whole program."""

    def __init__(
        self,
        agent: Agent,
        purpose: Union[Purpose, str],
        *,
        wallet: Optional[Wallet] = None,
        discover: bool = False,
        ads_displayed: bool = False,
    ) -> None:
        self.agent, self.purpose, self.wallet, self.discover = agent, Purpose(purpose), wallet, discover
        self._ads_displayed = ads_displayed
        self._speaks: dict[str, tuple[bool, float]] = {}
        self._in_child()
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._lock = threading.Lock()

    def headers(self, url: str, credential: Optional[str] = None) -> dict[str, str]:
        """Freshly signed, and the visa."""
        headers = self.agent.sign(_without_fragment(url), self.purpose, ads_displayed=self._ads_displayed)
        if credential:
            headers[HEADER_CREDENTIAL] = credential
        return headers

    def visit(self, url: str) -> Steps:
        if self.discover and not (yield from self._discover(url)):
            yield {}
            return
        # A visa goes to no other scheme or port than it was bought for, and over TLS.
        origin = _origin_of(url)
        wallet = self.wallet if self.agent.development or origin.startswith("https://") else None
        credential = wallet.take(origin) if wallet else None
        reply = yield from self._visit(url, credential)
        code = code_in(reply)
        if wallet is None or not (reply.status == 402 or (credential and code in _STALE_VISA)):
            return
        wallet.drop(origin, credential, used=code == "VISA_USED")
        # Somebody else may have bought one meanwhile.
        bought = wallet.take(origin) or (yield from self._buy(wallet, url, reply))
        if bought:
            yield from self._visit(url, bought)

    def _visit(self, url: str, credential: Optional[str]) -> Generator[dict[str, str], Reply, Reply]:
        headers, signed_ms = self.headers(url, credential), now_ms()
        reply = yield headers
        if story.is_wanted():
            times_ms, answer = (signed_ms, signed_ms, now_ms()), (reply.status, code_in(reply))
            story.of_agent(self.agent, _without_fragment(url), self.purpose, times_ms, answer, self._ads_displayed)
        return reply

    def _discover(self, url: str) -> Generator[Errand, Reply, bool]:
        origin = _origin_of(url)
        with self._lock:
            speaks, until = self._speaks.get(origin, (False, 0.0))
        if time.monotonic() < until:
            return speaks
        reply = yield Errand("GET", origin + POLICY_PATH, {"Accept": "application/json"})
        speaks = reply.status == 200 and "version" in _object(reply.body)
        # No answer, or one that something broken gives, says little of the site, and so not for long.
        answered = speaks or 400 <= reply.status < 500
        with self._lock:
            if len(self._speaks) >= _DISCOVERED_MAX:
                self._speaks.clear()
            self._speaks[origin] = (speaks, time.monotonic() + (_DISCOVERED_S if answered else _UNDISCOVERED_S))
        return speaks

    def _buy(self, wallet: Wallet, url: str, reply: Reply) -> Generator[Errand, Reply, Optional[str]]:
        """The price stays set aside unless the broker has refused for certain: an answer that was lost may have cost it."""
        publisher, broker = _publisher_of(url), reply.headers.get(HEADER_BROKER) or self._only_broker()
        try:
            price = wallet.price(broker, reply.headers.get(HEADER_PRICE))
            wallet.reserve(price)
        except Declined as why:
            log.warning("no visa for %s: %s", publisher, why)
            return None
        order = self._order(broker.rstrip("/"), publisher, price)
        answer = yield order
        if answer.status == UNHEARD.status or answer.status >= 500:
            # The same order, nonce and all: so it is the same sale.
            answer = yield order
        try:
            if answer.status == UNSENT.status or 400 <= answer.status < 500:
                wallet.release(price)
            if answer.status != 200:
                raise Declined(f"{broker} answered {max(answer.status, 0)} {code_in(answer)}")
            token = wallet.keep(_origin_of(url), _object(answer.body).get("token")).token
        except Declined as why:
            log.warning("no visa for %s: %s", publisher, why)
            return None
        log.info("bought a visa for %s from %s at %s", publisher, broker, price)
        return token

    def _order(self, broker: str, publisher: str, price: Decimal) -> Errand:
        """The order is itself a signed request: so the broker knows whose account pays."""
        url = f"{broker}/issue-visa"
        headers = {"Content-Type": "application/json", "User-Agent": user_agent_of(), **self.headers(url)}
        # Exact: the number's own digits.
        body = f'{{"publisher":{json.dumps(publisher)},"amount":{price:f}}}'
        return Errand("POST", url, headers, body.encode())

    def _only_broker(self) -> str:
        """Where the publisher names none: the broker that is meant, if there is one alone."""
        assert self.wallet is not None
        return next(iter(self.wallet.brokers)) if len(self.wallet.brokers) == 1 else ""


def code_in(reply: Reply) -> str:
    """The public code of a refusal; empty for what is not one."""
    code = _object(reply.body).get("error") if reply.status >= 400 else None
    return code if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() else ""


def _object(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body[:ERRAND_MAX])
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _origin_of(url: str) -> str:
    """
    >>> _origin_of("https://Pub.example.com:443/a"), _origin_of("http://localhost:8000/a")
    ('https://pub.example.com', 'http://localhost:8000')
    """
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")


def _publisher_of(url: str) -> str:
    """The name that a broker sells visas for: without a port, but for this machine's own in development.

    >>> _publisher_of("https://Pub.example.com:443/a"), _publisher_of("http://localhost:8000/a")
    ('pub.example.com', 'localhost:8000')
    """
    parts = urlsplit(url)
    name = parts.hostname or ""
    return parts.netloc.lower() if name == "localhost" else name


def _without_fragment(url: str) -> str:
    """The part that a request carries (RFC 9110 section 4.2.5), and at least ``/`` as the path."""
    url = url.partition("#")[0]
    parts = urlsplit(url)
    return url if parts.path else parts._replace(path="/").geturl()
