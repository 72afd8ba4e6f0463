"""An agent: a key and a domain. It signs requests and writes the manifest that its domain publishes.

>>> agent = Agent.generate("bot.example.com")
>>> sorted(agent.sign("https://pub.example.com/a?b=c", Purpose.RAG_RETRIEVAL))
['x-imagxp-key', 'x-imagxp-payload', 'x-imagxp-public-key', 'x-imagxp-signature']
>>> json.loads(agent.manifest(contact_email="security@example.com"))["agent_id"]
'bot.example.com'
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from ctypes import byref, c_size_t
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Callable, Optional, Union

from . import _ffi
from ._ffi import Memory, lib, lib_gil, text
from .errors import HostError, error_of, number_of, raise_for
from .words import HEADER_KEY, HEADER_PAYLOAD, HEADER_PUBLIC_KEY, HEADER_SIGNATURE, Purpose, Reason

__all__ = ["Agent", "ListedKey", "RevokedKey", "now_ms"]


@dataclass(frozen=True)
class ListedKey:
    """A key that a manifest lists beside the current one: SPKI text or PEM, good from and until seconds since 1970."""

    public_key: str
    nbf: int = 0
    exp: int = 0


@dataclass(frozen=True)
class RevokedKey:
    """A key that is good no more from a second on; `kid` is its RFC 7638 thumbprint."""

    kid: str
    at: int


class Agent:
    """Signs requests as `agent_id`, the domain that publishes the key.

    Thread-safe, and safe over `fork`. The key never shows in `repr`, is wiped when the agent goes, and cannot be pickled.
    With ``development=True`` the name may be ``localhost:8080``; only publishers in development mode on the same machine
    admit it.
    """

    def __init__(self, agent_id: str, private_key: str | bytes, *, development: bool = False) -> None:
        """`private_key`: PEM, base64 of PKCS#8 (``IMAGXP_PRIVATE_KEY``), JWK or hex of the scalar as text; DER as bytes.

        Raises `IdentityError` or `MalformedError` (``AGENT_ID_INVALID``) and `HostError` (``PRIVKEY_INVALID``).
        """
        self._key = _ffi.Key()
        mode = _ffi.MODE_DEVELOPMENT if development else _ffi.MODE_PRODUCTION
        raise_for(lib.host_check_agent_id(text(agent_id), mode), _why_not(agent_id, development))
        if isinstance(private_key, bytes) and not private_key.lstrip().startswith(b"-----BEGIN"):
            status = lib.key_from_der(text(private_key), byref(self._key))
        else:
            status = lib.key_from_text(text(private_key), byref(self._key))
        raise_for(status)
        self.agent_id, self.development = agent_id, development
        self.public_key = self._public(_ffi.FORMAT_TEXT)
        self.kid = self._public(_ffi.FORMAT_KID)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, *, development: bool = False) -> Agent:
        """From ``IMAGXP_AGENT_ID``, the domain, and ``IMAGXP_PRIVATE_KEY``, which ``imagxp keygen`` prints."""
        missing = [name for name in ("IMAGXP_AGENT_ID", "IMAGXP_PRIVATE_KEY") if not environ.get(name)]
        if missing:
            raise HostError(number_of("ABI_ARGUMENT"), f"{' and '.join(missing)} not set: `imagxp keygen` makes a key")
        return cls(environ["IMAGXP_AGENT_ID"], environ["IMAGXP_PRIVATE_KEY"], development=development)

    @classmethod
    def from_pem(cls, agent_id: str, pem: str | bytes | os.PathLike[str], *, development: bool = False) -> Agent:
        """From a PEM text, or from the file that a `pathlib.Path` names."""
        if isinstance(pem, os.PathLike):
            with open(pem, "rb") as file:
                pem = file.read(4096)
        return cls(agent_id, pem, development=development)

    @classmethod
    def generate(cls, agent_id: str, *, development: bool = False) -> Agent:
        """With a new key: `private_pem` gives it, to be kept."""
        key = _ffi.Key()
        while lib.key_from_random(secrets.token_bytes(32), byref(key)) != _ffi.OK:
            pass  # once in 2^32
        try:
            return cls(agent_id, _export(key, _ffi.FORMAT_TEXT), development=development)
        finally:
            lib_gil.key_wipe(byref(key))

    def sign(self, url: str, purpose: Purpose | str, *, ads_displayed: bool = False) -> dict[str, str]:
        """The headers of one request for an absolute URL. Each is good once: sign every retry and redirect anew.

        Raises `MalformedError` (``RESOURCE_INVALID``, ``PAYLOAD_TOO_LARGE``), and `ValueError` for a purpose that is none.
        """
        if not url.startswith(("https://", "http://")):
            raise error_of(number_of("RESOURCE_INVALID"), f"{url[:200]!r} is not an absolute URL")
        claims = _ffi.new(
            _ffi.Claims,
            agent_id=text(self.agent_id),
            resource=text(url),
            purpose=Purpose(purpose).number,
            ads_displayed=ads_displayed,
        )
        out, headers, random = Memory(_ffi.SIGNED_LEN), _ffi.new(_ffi.Signed), secrets.token_bytes(48)
        status = lib.request_sign(
            byref(self._key), byref(claims), random[:16], random[16:], 0, now_ms(), out.buf, byref(headers)
        )
        raise_for(status)
        public_key = out.text(headers.public_key)
        return {
            HEADER_PAYLOAD: out.text(headers.payload),
            HEADER_SIGNATURE: out.text(headers.signature),
            HEADER_PUBLIC_KEY: public_key,
            HEADER_KEY: public_key,
        }

    def manifest(self, *, contact_email: str = "", keys: Sequence[ListedKey] = (), revoked: Sequence[RevokedKey] = ()) -> str:
        """The JSON to serve at ``https://{agent_id}/.well-known/imagxp-agent.json``, status 200, ``application/json``.

        Raises `IdentityError` (``MANIFEST_INVALID``: more than 4 keys or 16 revocations) and those of a wrong key.
        """
        listed = (_ffi.ListedKey * len(keys))(*[_ffi.ListedKey(text(key.public_key), key.nbf, key.exp) for key in keys])
        gone = (_ffi.RevokedKey * len(revoked))(*[_ffi.RevokedKey(text(key.kid), key.at) for key in revoked])
        manifest = _ffi.new(
            _ffi.Manifest,
            agent_id=text(self.agent_id),
            public_key=text(self.public_key),
            contact_email=text(contact_email),
            keys=listed,
            keys_len=len(keys),
            revoked=gone,
            revoked_len=len(revoked),
        )
        return write(lambda out, needed: lib.manifest_write(byref(manifest), out, needed), 8_192)

    def feedback(
        self,
        url: str,
        score: Union[float, Decimal, str],
        reason: Union[Reason, str],
        *,
        audience: str,
        visa: str = "",
        payload: str = "",
        jti: Optional[str] = None,
    ) -> str:
        """A signed word on a page that was fetched: for the broker's ``/feedback``, or the header ``x-imagxp-feedback``.

        `score` is 0 to 1: above 0.5 releases the payment, below withholds it. `audience` is the broker's URL, or the
        publisher; `visa` the ``jti`` of the visa that paid, `payload` the ``x-imagxp-payload`` of the request judged.

        Raises `MalformedError` (``FEEDBACK_INVALID``).
        """
        said = _ffi.new(
            _ffi.Feedback,
            agent_id=text(self.agent_id),
            url=text(url),
            audience=text(audience),
            jti=text(jti or secrets.token_urlsafe(16)),
            visa=text(visa),
            payload=text(payload),
            score=micros(score),
            reason=Reason(reason).number,
        )
        hedge, key = secrets.token_bytes(32), byref(self._key)
        return write(
            lambda out, needed: lib.feedback_sign(key, byref(said), hedge, 0, now_ms(), out, needed), _ffi.FEEDBACK_LEN
        )

    @property
    def public_pem(self) -> str:
        return self._public(_ffi.FORMAT_PEM)

    @property
    def public_jwk(self) -> dict[str, str]:
        return dict(json.loads(self._public(_ffi.FORMAT_JWK)))

    @property
    def private_pem(self) -> str:
        """The private key. Python cannot wipe it: write it to a file of mode 600, and forget it."""
        return _export(self._key, _ffi.FORMAT_PEM)

    def _public(self, form: int) -> str:
        return write(lambda out, needed: lib.key_public(byref(self._key), form, out, needed), 240)

    def __repr__(self) -> str:
        return f"Agent({self.agent_id!r}, kid={self.kid!r})"

    def __copy__(self) -> Agent:
        """Itself: it never changes, and there is one key."""
        return self

    def __deepcopy__(self, _: Any) -> Agent:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("an Agent holds a private key, and is not pickled: make it where it is needed, from_env or from_pem")

    def __del__(self) -> None:
        key = getattr(self, "_key", None)
        if key is not None and lib_gil is not None:
            lib_gil.key_wipe(byref(key))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def micros(amount: Union[float, Decimal, str]) -> int:
    """Millionths, exactly. Raises `ValueError` for what has more than six decimals, is negative, or is no number.

    >>> micros("0.001"), micros(0.5)
    (1000, 500000)
    """
    try:
        exact = Decimal(str(amount)) * 1_000_000
    except InvalidOperation:
        exact = Decimal(-1)
    if not exact.is_finite() or exact < 0 or exact != exact.to_integral_value() or exact >= 2**32 * 10**6:
        raise ValueError(f"{amount!r} is not a decimal of 0 or more with at most six places")
    return int(exact)


def write(call: Callable[[_ffi.Buf, Any], int], length: int) -> str:
    """What a call writes into a buffer of this length."""
    out, needed = Memory(length), c_size_t()
    raise_for(call(out.buf, byref(needed)))
    return str(out.view[: needed.value], "utf-8")


def _export(key: _ffi.Key, form: int) -> str:
    out, needed = Memory(260), c_size_t()
    status = lib.key_export(byref(key), form, out.buf, byref(needed))
    if status != _ffi.OK:
        raise error_of(status)
    exported = str(out.view[: needed.value], "utf-8")
    out.view[:] = bytes(len(out.view))
    return exported


def _why_not(agent_id: str, development: bool) -> str:
    if not development and agent_id.split(":", maxsplit=1)[0] == "localhost":
        return "localhost is no public name: pass development=True to try things out on this machine"
    return ""
