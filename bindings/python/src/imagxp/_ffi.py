"""include/imagxp.h through ctypes: its structs, its functions, and nothing else.

The names are those of the header without ``imagxp_``. `lib` gives the GIL up during a call: for calls that verify, sign,
copy or fetch. `lib_gil` keeps it: for calls that take less than the hand-over of the GIL does.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p, sizeof
from pathlib import Path
from typing import Any, TypeVar

ABI = 1
OK, NEED, VERIFIED = 0, 1, 2
FOUND, NOT_THERE, UNREACHABLE = 1, 2, 3
NEED_MANIFEST, NEED_JWKS = 1, 2
SIGNED, ADS_DISPLAYED, TOKEN_BOUND, SINGLE_USE, CLOCK_STEPPED_BACK = 1, 2, 4, 8, 16
VOUCHED_CLOUDFLARE, VOUCHED_VERCEL, VOUCHED_CLOUDFRONT, VOUCHED_WHITELISTED = 1, 2, 4, 256
TERMS_DEVELOPMENT = 128
FORMAT_TEXT, FORMAT_PEM, FORMAT_DER, FORMAT_JWK, FORMAT_KID = 1, 2, 3, 4, 5
SIGN_CHECK = 1
MODE_PRODUCTION, MODE_DEVELOPMENT = 0, 1
STORY_TEXT, STORY_JSON = 0, 1
SCRATCH_LEN, SIGNED_LEN, POLICY_WORDS, BODY_LEN = 12_288, 4_348, 512, 128
STORY_LEN, DECISION_LEN, CHECKPOINT_LEN, FEEDBACK_LEN, VISA_LEN = 16_384, 24_576, 512, 2_048, 4_096

S = TypeVar("S", bound=Structure)


class Str(Structure):
    _fields_ = [("ptr", c_char_p), ("len", c_size_t)]


class Buf(Structure):
    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]


class Span(Structure):
    _fields_ = [("at", c_uint32), ("len", c_uint32)]


class Need(Structure):
    _fields_ = [
        ("kind", c_int32),
        ("configured", c_int32),
        ("max_len", c_uint32),
        ("check", c_uint32),
        ("url", Span),
        ("host", Span),
    ]


class Terms(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("strategy", c_int32),
        ("window_ms", c_uint32),
        ("skew_ms", c_uint32),
        ("price_micros", c_int64),
        ("price", Span),
        ("broker_url", Span),
        ("payment_pointer", Span),
    ]


class Sizes(Structure):
    _fields_ = [("names", c_uint32), ("issuers", c_uint32), ("tables", c_uint32), ("table_kib", c_uint32)]


class View(Structure):
    """A key cache or a replay cache."""

    _fields_ = [("words", c_void_p), ("len", c_size_t)]


class Answer(Structure):
    _fields_ = [("kind", c_int32), ("max_age_s", c_int32), ("body", Str)]


class ReplayStats(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("slots", c_uint64),
        ("live", c_uint64),
        ("live_of_new_names", c_uint64),
        ("admitted", c_uint64),
        ("refused_used", c_uint64),
        ("refused_full", c_uint64),
        ("refused_quota", c_uint64),
        ("clock_steps_back", c_uint64),
        ("clock_ms", c_int64),
    ]


class Header(Structure):
    _fields_ = [("name", Str), ("value", Str)]


class Visit(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("method", Str),
        ("scheme", Str),
        ("authority", Str),
        ("target", Str),
        ("headers", POINTER(Header)),
        ("headers_len", c_size_t),
        ("vouched", c_uint32),
        ("reserved", c_uint32),
    ]


class Packed(Structure):
    _fields_ = [("size", c_size_t), ("fields", c_char_p), ("len", c_size_t), ("count", c_uint32), ("vouched", c_uint32)]


class Unproven(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("purpose", c_int32),
        ("agent_id", Span),
        ("resource", Span),
        ("nonce", Span),
        ("payload", Span),
        ("ts_ms", c_int64),
    ]


class Verified(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("status", c_int32),
        ("flags", c_uint32),
        ("visitor", c_int32),
        ("purpose", c_int32),
        ("bound", c_int32),
        ("proof", c_int32),
        ("need", Need),
        ("refresh", Need),
        ("agent_id", Span),
        ("resource", Span),
        ("nonce", Span),
        ("payload", Span),
        ("kid", Span),
        ("issuer", Span),
        ("jti", Span),
        ("ts_ms", c_int64),
        ("amount_micros", c_int64),
        ("expires_s", c_int64),
        ("window_ms", c_uint32),
        ("check", c_uint32),
        ("key", c_uint64),
        ("prepare", c_uint64),
        ("manifest_sha256", c_uint8 * 32),
        ("jwks_sha256", c_uint8 * 32),
        ("token_key", c_uint8 * 64),
    ]


class Tag(Structure):
    _fields_ = [("bytes", c_uint8 * 16), ("expiry_s", c_int64)]


class Key(Structure):
    _fields_ = [("opaque", c_uint64 * 16)]


class Claims(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("agent_id", Str),
        ("resource", Str),
        ("purpose", c_int32),
        ("ads_displayed", c_int32),
    ]


class Signed(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("needed", c_size_t),
        ("payload", Span),
        ("signature", Span),
        ("public_key", Span),
    ]


class ListedKey(Structure):
    _fields_ = [("public_key", Str), ("nbf_s", c_int64), ("exp_s", c_int64)]


class RevokedKey(Structure):
    _fields_ = [("kid", Str), ("at_s", c_int64)]


class Manifest(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("agent_id", Str),
        ("public_key", Str),
        ("contact_email", Str),
        ("keys", POINTER(ListedKey)),
        ("keys_len", c_size_t),
        ("revoked", POINTER(RevokedKey)),
        ("revoked_len", c_size_t),
    ]


class Fetch(Structure):
    _fields_ = [
        ("kind", c_int32),
        ("found", c_int32),
        ("url", Str),
        ("len", c_uint64),
        ("asked_ms", c_int64),
        ("answered_ms", c_int64),
        ("sha256", c_uint8 * 32),
    ]


class Decision(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("status", c_int32),
        ("reserved", c_uint32),
        ("received_ms", c_int64),
        ("decided_ms", c_int64),
        ("fetches", POINTER(Fetch)),
        ("fetches_len", c_size_t),
    ]


class Sent(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("signed_ms", c_int64),
        ("sent_ms", c_int64),
        ("answered_ms", c_int64),
        ("error", Str),
        ("http_status", c_uint32),
        ("reserved", c_uint32),
    ]


class Head(Structure):
    _fields_ = [("hash", c_uint8 * 32), ("count", c_uint64)]


class Feedback(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("agent_id", Str),
        ("url", Str),
        ("audience", Str),
        ("jti", Str),
        ("visa", Str),
        ("payload", Str),
        ("score", c_uint32),
        ("reason", c_int32),
    ]


class Visa(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("issuer", Str),
        ("audience", Str),
        ("agent_id", Str),
        ("public_key", Str),
        ("jti", Str),
        ("currency", Str),
        ("amount_micros", c_int64),
        ("lifetime_s", c_uint32),
        ("purpose", c_int32),
    ]


class PublishedKey(Structure):
    _fields_ = [("kid", Str), ("public_key", Str)]


_VIEW, _KEY, _NEEDED, _STATUS = POINTER(View), POINTER(Key), POINTER(c_size_t), c_int32

# Result, then arguments. Pointers to words are plain addresses.
_FUNCTIONS: dict[str, list[Any]] = {
    "abi_version": [c_uint32],
    "status_name": [Str, c_int32],
    "status_help": [Str, c_int32],
    "status_http": [c_int32, c_int32],
    "status_is_behind_signature": [c_int32, c_int32],
    "status_public": [c_int32, c_int32],
    "status_retry_after_s": [c_uint32, c_int32],
    "policy_parse": [_STATUS, Str, c_void_p, c_size_t],
    "policy_document": [_STATUS, c_void_p, c_size_t, Buf, POINTER(Need)],
    "policy_terms": [_STATUS, c_void_p, Buf, POINTER(Terms)],
    "key_cache_words": [c_size_t, Sizes],
    "key_cache_new": [_STATUS, _VIEW, Sizes, c_char_p],
    "key_cache_supply": [_STATUS, _VIEW, POINTER(Need), Buf, Answer, c_int64],
    "key_cache_prepare": [_STATUS, _VIEW, c_uint64, c_int64],
    "key_cache_alarm": [_STATUS, _VIEW, Str],
    "replay_cache_words": [c_size_t, c_size_t],
    "replay_cache_new": [_STATUS, _VIEW, c_char_p, c_int64],
    "replay_cache_retry_after_s": [c_uint32, _VIEW],
    "replay_cache_stats": [_STATUS, _VIEW, POINTER(ReplayStats)],
    "header_matters": [c_int32, Str],
    "request_parse": [_STATUS, POINTER(Visit), Buf, POINTER(Unproven)],
    "request_verify_packed": [_STATUS, POINTER(Packed), c_void_p, _VIEW, c_int64, Buf, POINTER(Verified)],
    "request_admit": [_STATUS, POINTER(Verified), Buf, _VIEW, c_int64],
    "request_tags": [_STATUS, POINTER(Verified), Buf, c_char_p, POINTER(Tag)],
    "refusal_write": [_STATUS, c_int32, c_void_p, POINTER(Verified), Buf, _NEEDED],
    "key_from_random": [_STATUS, c_char_p, _KEY],
    "key_from_text": [_STATUS, Str, _KEY],
    "key_from_der": [_STATUS, Str, _KEY],
    "key_public": [_STATUS, _KEY, c_int32, Buf, _NEEDED],
    "key_export": [_STATUS, _KEY, c_int32, Buf, _NEEDED],
    "key_wipe": [None, _KEY],
    "request_sign": [
        _STATUS,
        _KEY,
        POINTER(Claims),
        c_char_p,
        c_char_p,
        c_uint32,
        c_int64,
        Buf,
        POINTER(Signed),
    ],
    "manifest_write": [_STATUS, POINTER(Manifest), Buf, _NEEDED],
    "policy_discovery": [_STATUS, c_void_p, Buf, _NEEDED],
    "story_publisher": [_STATUS, POINTER(Visit), c_void_p, POINTER(Verified), Buf, POINTER(Decision), c_int32, Buf, _NEEDED],
    "story_agent": [_STATUS, POINTER(Claims), Str, POINTER(Sent), c_int32, Buf, _NEEDED],
    "evidence_document": [_STATUS, Str, Str, c_int64, POINTER(Head), Buf, _NEEDED, c_void_p],
    "evidence_decision": [_STATUS, POINTER(Visit), POINTER(Verified), POINTER(Decision), POINTER(Head), Buf, _NEEDED],
    "evidence_checkpoint": [_STATUS, _KEY, c_char_p, c_uint32, c_int64, POINTER(Head), Buf, _NEEDED],
    "evidence_wants_checkpoint": [c_int32, POINTER(Head), POINTER(Head), c_int64],
    "feedback_sign": [_STATUS, _KEY, POINTER(Feedback), c_char_p, c_uint32, c_int64, Buf, _NEEDED],
    "visa_issue": [_STATUS, _KEY, Str, POINTER(Visa), c_char_p, c_uint32, c_int64, Buf, _NEEDED],
    "jwks_write": [_STATUS, POINTER(PublishedKey), c_size_t, Buf, _NEEDED],
    "host_check_agent_id": [_STATUS, Str, c_int32],
    "host_may_connect": [_STATUS, c_char_p, c_size_t],
    "jcs": [_STATUS, Str, Buf, _NEEDED],
}


class _Functions:
    """The functions of one way to call: attributes without the prefix ``imagxp_``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(library, f"imagxp_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def _load() -> tuple[_Functions, _Functions]:
    path = str(Path(__file__).with_name("libimagxp.so"))
    try:
        functions = _Functions(ctypes.CDLL(path)), _Functions(ctypes.PyDLL(path))
    except OSError as error:
        raise ImportError(f"imagxp's library cannot be loaded ({error}): install a wheel, or build one with cargo") from error
    found = functions[0].abi_version()
    if found < ABI:
        raise ImportError(f"{path} has interface {found}, this package needs {ABI}: install both anew")
    return functions


lib, lib_gil = _load()


def text(value: str | bytes) -> Str:
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return Str(data, len(data))


def new(kind: type[S], **members: Any) -> S:
    """What IMAGXP_INIT does."""
    return kind(size=sizeof(kind), **members)


class Memory:
    """Zeroed bytes at an 8-byte alignment, as a buffer for the library and as a view for Python."""

    __slots__ = ("_owner", "address", "buf", "view")

    def __init__(self, size: int) -> None:
        self._owner = (c_uint64 * ((size + 7) // 8))()
        self.address = ctypes.addressof(self._owner)
        self.buf = Buf(self.address, size)
        self.view = memoryview(self._owner).cast("B")[:size]

    def text(self, span: Span) -> str:
        """Texts that the library wrote are UTF-8."""
        return str(self.view[span.at : span.at + span.len], "utf-8")


def string(found: Str) -> str:
    """A text that lives for ever."""
    return ctypes.string_at(found.ptr, found.len).decode() if found.len else ""
