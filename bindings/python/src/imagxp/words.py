"""The protocol's own words, and the names of the wire (include/imagxp.h)."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

HEADER_PAYLOAD = "x-imagxp-payload"
HEADER_SIGNATURE = "x-imagxp-signature"
HEADER_PUBLIC_KEY = "x-imagxp-public-key"
HEADER_KEY = "x-imagxp-key"
HEADER_CREDENTIAL = "x-imagxp-credential"
HEADER_BROKER = "x-imagxp-broker"
HEADER_PRICE = "x-imagxp-price"
HEADER_FEEDBACK = "x-imagxp-feedback"
# What a client sends with a visit, and takes away before it signs anew.
OURS = (HEADER_PAYLOAD, HEADER_SIGNATURE, HEADER_PUBLIC_KEY, HEADER_KEY, HEADER_CREDENTIAL)
MANIFEST_PATH = "/.well-known/imagxp-agent.json"
POLICY_PATH = "/.well-known/imagxp-policy.json"
PRODUCT = "IMAGXP/1.1"


class Word(str, Enum):
    """A word that the library knows by number."""

    number: int

    def __new__(cls, value: str, number: int = -1) -> Word:
        word = str.__new__(cls, value)
        word._value_, word.number = value, number
        return word

    def __str__(self) -> str:
        return str(self.value)


class Purpose(Word):
    """What an agent wants the content for."""

    CRAWL_TRAINING = "CRAWL_TRAINING", 1
    RAG_RETRIEVAL = "RAG_RETRIEVAL", 2
    SUMMARY = "SUMMARY", 3
    QUOTATION = "QUOTATION", 4
    EMBEDDING = "EMBEDDING", 5


class Visitor(Word):
    """Who came."""

    VERIFIED_AGENT = "VERIFIED_AGENT", 1
    LIKELY_HUMAN = "LIKELY_HUMAN", 2
    UNIDENTIFIED_BOT = "UNIDENTIFIED_BOT", 3


class Bound(Word):
    """What of the request the signature binds."""

    NOTHING = "none", 0
    AUTHORITY = "authority", 1
    EXACT = "exact", 2


class Proof(Word):
    """What it was paid with."""

    NONE = "NONE", 0
    VISA = "VISA", 1
    WHITELIST = "WHITELIST", 2
    AD_PROOF = "AD_PROOF", 3


class Reason(Word):
    """Why a page was good or bad."""

    SEO_SPAM = "SEO_SPAM", 1
    INACCURATE = "INACCURATE", 2
    HATE_SPEECH = "HATE_SPEECH", 3
    HIGH_QUALITY = "HIGH_QUALITY", 4
    LOW_QUALITY_SPAM = "LOW_QUALITY_SPAM", 5


W = TypeVar("W", bound=Word)


def by_number(words: type[W]) -> dict[int, W]:
    return {word.number: word for word in words}


PURPOSES, VISITORS, BOUNDS, PROOFS = by_number(Purpose), by_number(Visitor), by_number(Bound), by_number(Proof)


def user_agent_of(existing: str = "") -> str:
    """The product token of protocol.md section 2, behind what is there already.

    >>> user_agent_of("curl/8"), user_agent_of(user_agent_of())
    ('curl/8 IMAGXP/1.1', 'IMAGXP/1.1')
    """
    return existing if PRODUCT in existing.split() else f"{existing} {PRODUCT}".lstrip()
