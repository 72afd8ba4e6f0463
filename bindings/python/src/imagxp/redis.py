"""A replay store for several machines: Redis, through the package `redis` (``pip install imagxp[redis]``).

It is trusted for availability only: it holds keyed tags, neither names nor nonces. It fails closed: without an answer in
50 ms the request is refused with ``REPLAY_STORE_DOWN``, 503. Asynchronous replication can lose a write at a fail-over, and so
can a restart without ``appendfsync always``: then a message can pass twice. Redis must evict nothing (``maxmemory-policy
noeviction``): one that does is refused at the start.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.backoff
import redis.retry

from . import _ffi
from ._ffi import lib_gil
from .errors import StoreError, number_of
from .stores import _DOWN

__all__ = ["RedisStore"]

log = logging.getLogger("imagxp.stores")

_OK = _ffi.OK
# What it means if the nonce is known, and if the visa of single use is.
_USED = (number_of("REPLAY_DETECTED"), number_of("VISA_USED"))
# How far the clock of Redis may run ahead of this one's.
_SKEW_MS = 2_000
_TIMEOUT_S = 0.05
# Once a connection, not once a request.
_CONNECT_S = 0.25
# More would not be faster: Redis answers one after the other.
_CONNECTIONS = 16


class RedisStore:
    """`secret` is 32 random bytes, the same on all machines. Further arguments go to `redis.Redis.from_url`.

    The nonce is taken first, and the visa in a command of its own: a replay must not use up a visa, and a Redis that stalls has
    mostly not been asked for the visa. One script for both would be run by a Redis that wakes up after the client has left.
    """

    shared = True

    def __init__(self, url: str, secret: bytes, *, prefix: str = "imagxp:", **arguments: Any) -> None:
        if len(secret) != 32:
            raise ValueError("the secret is 32 random bytes, the same on all machines: secrets.token_bytes(32)")
        self.retry_after_s = 0
        self._secret, self._prefix = secret, prefix.encode()
        self._url = url
        self._arguments = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _CONNECT_S, **arguments}
        # One try: a second would double the wait, and a SET that was carried out unheard would look like a replay.
        self._client = redis.Redis.from_url(url, **self._arguments, retry=_no_retry(redis.retry.Retry))
        self._check()
        self._loops: weakref.WeakKeyDictionary[Any, redis.asyncio.Redis] = weakref.WeakKeyDictionary()

    def admit(self, verified: Any, scratch: Any, now_ms: int) -> int:
        tags = self._tags(verified, scratch, now_ms)
        if isinstance(tags, int):
            return tags
        try:
            for (key, left_ms), used in zip(tags, _USED):
                if not self._client.set(key, b"1", nx=True, px=left_ms):
                    return used
        except redis.RedisError:
            return _DOWN
        return _OK

    async def aadmit(self, verified: Any, scratch: Any, now_ms: int) -> int:
        tags = self._tags(verified, scratch, now_ms)
        if isinstance(tags, int):
            return tags
        client = self._of_this_loop()
        try:
            for (key, left_ms), used in zip(tags, _USED):
                if not await client.set(key, b"1", nx=True, px=left_ms):
                    return used
        except redis.RedisError:
            return _DOWN
        return _OK

    def _of_this_loop(self) -> redis.asyncio.Redis:
        loop = asyncio.get_running_loop()
        client = self._loops.get(loop)
        if client is None:
            retry = _no_retry(redis.asyncio.retry.Retry)
            waits = {"max_connections": _CONNECTIONS, "timeout": self._arguments["socket_connect_timeout"]}
            pool = redis.asyncio.BlockingConnectionPool.from_url(self._url, **{**waits, **self._arguments, "retry": retry})
            client = redis.asyncio.Redis.from_pool(pool)
            self._loops[loop] = client
        return client

    def _tags(self, verified: Any, scratch: Any, now_ms: int) -> list[tuple[bytes, int]] | int:
        """Key and milliseconds to live: of the nonce, then of a single-use visa. None for a visitor without headers."""
        tags = (_ffi.Tag * 2)()
        status = int(lib_gil.request_tags(verified, scratch, self._secret, tags))
        if status != _OK:
            return status
        # As package redisstore for Go writes them: a site may have both.
        rows = [(bytes(tag.bytes).hex().encode(), tag.expiry_s * 1000 - now_ms + _SKEW_MS) for tag in tags if tag.expiry_s]
        return [(self._prefix + key, max(left, 1)) for key, left in rows] or _OK

    def _check(self) -> None:
        """Raises `StoreError` for a Redis that would forget nonces when its memory is full: all of them have a time to live."""
        try:
            memory: Any = self._client.info("memory")
        except redis.RedisError as error:
            log.warning("Redis did not say whether it evicts: maxmemory-policy must be noeviction (%s)", error)
            return
        policy = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory") and policy != "noeviction":
            raise StoreError(f"this Redis forgets when it is full (maxmemory-policy {policy}): set noeviction")


def _no_retry(kind: Any) -> Any:
    return kind(redis.backoff.NoBackoff(), 0)
