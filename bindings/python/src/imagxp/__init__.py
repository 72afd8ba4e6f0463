"""IMAGXP: agents sign their requests, publishers verify them, brokers sell visas.

>>> from imagxp import Agent, Publisher, Purpose, Request
>>> agent = Agent.generate("bot.example.com")
>>> url = "https://pub.example.com/a"
>>> publisher = Publisher({"allowRAG": True}, origin="https://pub.example.com")
>>> publisher.learn(agent.agent_id, agent.manifest())
>>> headers = agent.sign(url, Purpose.RAG_RETRIEVAL)
>>> publisher.check(Request.of_url(url, headers))
<Verdict OK VERIFIED_AGENT, agent_id='bot.example.com'>
>>> publisher.check(Request.of_url(url, headers)).code
'REPLAY_DETECTED'
"""

from .agent import Agent, ListedKey, RevokedKey
from .errors import (
    AuthenticityError,
    HostError,
    IdentityError,
    ImagxpError,
    MalformedError,
    PolicyError,
    StoreError,
)
from .fetch import Fetcher, Limits
from .publisher import Publisher, Request, Sizes, Verdict
from .stores import MemoryStore
from .words import Bound, Proof, Purpose, Visitor

__version__ = "0.1.0"
__all__ = [
    "Agent",
    "AuthenticityError",
    "Bound",
    "Fetcher",
    "HostError",
    "IdentityError",
    "ImagxpError",
    "Limits",
    "ListedKey",
    "MalformedError",
    "MemoryStore",
    "PolicyError",
    "Proof",
    "Publisher",
    "Purpose",
    "Request",
    "RevokedKey",
    "Sizes",
    "StoreError",
    "Verdict",
    "Visitor",
]
