"""The C library through ctypes: as much of include/imagxp.h as the tests in Python need."""

import ctypes
import os
from ctypes import POINTER, Structure, byref, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64

lib = ctypes.CDLL(os.environ["IMAGXP_LIB"], mode=os.RTLD_NOW)

OK, NEED, VERIFIED = 0, 1, 2
FOUND, NOT_THERE, UNREACHABLE = 1, 2, 3
SCRATCH_LEN, POLICY_WORDS = 12288, 512


class Str(Structure):
    _fields_ = [("ptr", c_char_p), ("len", c_size_t)]


class Buf(Structure):
    _fields_ = [("ptr", POINTER(c_uint8)), ("len", c_size_t)]


class Span(Structure):
    _fields_ = [("at", c_uint32), ("len", c_uint32)]


class Header(Structure):
    _fields_ = [("name", Str), ("value", Str)]


class Visit(Structure):
    _fields_ = [("size", c_size_t), ("method", Str), ("scheme", Str), ("authority", Str), ("target", Str),
                ("headers", POINTER(Header)), ("headers_len", c_size_t), ("vouched", c_uint32), ("reserved", c_uint32)]


class Need(Structure):
    _fields_ = [("kind", c_int32), ("configured", c_int32), ("max_len", c_uint32), ("check", c_uint32),
                ("url", Span), ("host", Span)]


class Answer(Structure):
    _fields_ = [("kind", c_int32), ("max_age_s", c_int32), ("body", Str)]


class View(Structure):
    _fields_ = [("words", POINTER(c_uint64)), ("len", c_size_t)]


class Sizes(Structure):
    _fields_ = [("names", c_uint32), ("issuers", c_uint32), ("tables", c_uint32), ("table_kib", c_uint32)]


class Verified(Structure):
    _fields_ = [("size", c_size_t), ("status", c_int32), ("flags", c_uint32), ("visitor", c_int32),
                ("purpose", c_int32), ("bound", c_int32), ("proof", c_int32), ("need", Need), ("refresh", Need),
                ("agent_id", Span), ("resource", Span), ("nonce", Span), ("payload", Span), ("kid", Span),
                ("issuer", Span), ("jti", Span), ("ts_ms", c_int64), ("amount_micros", c_int64),
                ("expires_s", c_int64), ("window_ms", c_uint32), ("check", c_uint32), ("key", c_uint64),
                ("prepare", c_uint64), ("manifest_sha256", c_uint8 * 32), ("jwks_sha256", c_uint8 * 32),
                ("token_key", c_uint8 * 64)]


class Token(Structure):
    _fields_ = [("size", c_size_t), ("status", c_int32), ("flags", c_uint32), ("need", Need), ("refresh", Need),
                ("issuer", Span), ("jti", Span), ("amount_micros", c_int64), ("expires_s", c_int64)]


class Judgement(Structure):
    _fields_ = [("size", c_size_t), ("score", c_uint32), ("outcome", c_int32), ("reasons", c_uint32),
                ("reserved", c_uint32), ("ts_ms", c_int64), ("url", Span), ("jti", Span), ("visa", Span),
                ("request", c_uint8 * 32)]


class Key(Structure):
    _fields_ = [("opaque", c_uint64 * 16)]


class Claims(Structure):
    _fields_ = [("size", c_size_t), ("agent_id", Str), ("resource", Str), ("purpose", c_int32),
                ("ads_displayed", c_int32)]


class Signed(Structure):
    _fields_ = [("size", c_size_t), ("needed", c_size_t), ("payload", Span), ("signature", Span),
                ("public_key", Span)]


class Manifest(Structure):
    _fields_ = [("size", c_size_t), ("agent_id", Str), ("public_key", Str), ("contact_email", Str),
                ("keys", ctypes.c_void_p), ("keys_len", c_size_t), ("revoked", ctypes.c_void_p),
                ("revoked_len", c_size_t)]


lib.imagxp_status_name.restype = Str
lib.imagxp_status_name.argtypes = [c_int32]
lib.imagxp_key_cache_words.restype = c_size_t
lib.imagxp_key_cache_words.argtypes = [Sizes]
lib.imagxp_replay_cache_words.restype = c_size_t
lib.imagxp_replay_cache_words.argtypes = [c_size_t]
lib.imagxp_policy_parse.argtypes = [Str, POINTER(c_uint64), c_size_t]
lib.imagxp_key_cache_new.argtypes = [POINTER(View), Sizes, c_char_p]
lib.imagxp_key_cache_supply.argtypes = [POINTER(View), POINTER(Need), Buf, Answer, c_int64]
lib.imagxp_replay_cache_new.argtypes = [POINTER(View), c_char_p, c_int64]
lib.imagxp_request_verify.argtypes = [POINTER(Visit), POINTER(c_uint64), POINTER(View), c_int64, Buf, POINTER(Verified)]
lib.imagxp_request_admit.argtypes = [POINTER(Verified), Buf, POINTER(View), c_int64]
lib.imagxp_host_may_connect.argtypes = [c_char_p, c_size_t]
lib.imagxp_host_check_agent_id.argtypes = [Str, c_int32]
lib.imagxp_jcs.argtypes = [Str, Buf, POINTER(c_size_t)]
lib.imagxp_key_from_text.argtypes = [Str, POINTER(Key)]
lib.imagxp_key_public.argtypes = [POINTER(Key), c_int32, Buf, POINTER(c_size_t)]
lib.imagxp_request_sign.argtypes = [POINTER(Key), POINTER(Claims), c_char_p, c_char_p, c_uint32, c_int64, Buf,
                                    POINTER(Signed)]
lib.imagxp_manifest_write.argtypes = [POINTER(Manifest), Buf, POINTER(c_size_t)]
lib.imagxp_key_export.argtypes = [POINTER(Key), c_int32, Buf, POINTER(c_size_t)]
lib.imagxp_policy_document.argtypes = [POINTER(c_uint64), c_size_t, Buf, POINTER(Need)]
lib.imagxp_visa_verify.argtypes = [Str, c_int32, Str, Str, POINTER(c_uint64), POINTER(View), c_int64, Buf, POINTER(Token)]
lib.imagxp_feedback_verify.argtypes = [Str, Str, Str, POINTER(Str), c_size_t, c_int64, Buf, POINTER(Judgement)]
lib.imagxp_provenance_verify.argtypes = [Str, Str, Str, Str, c_int64, c_uint32, c_uint32, POINTER(c_int32),
                                         POINTER(c_int64)]


def text(value):
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return Str(data, len(data))


def buf(size):
    return Buf((c_uint8 * size)(), size)


def span(memory, where):
    return bytes(memory.ptr[where.at:where.at + where.len])


def name(status):
    found = lib.imagxp_status_name(status)
    return ctypes.string_at(found.ptr, found.len).decode()


def words(count):
    return View((c_uint64 * count)(), count)


def make(kind, **members):
    return kind(size=ctypes.sizeof(kind), **members)


def manifest_url(agent_id):
    return f"https://{agent_id}/.well-known/imagxp-agent.json"


class Agent:
    def __init__(self, agent_id, scalar):
        self.agent_id, self.key = agent_id, Key()
        assert lib.imagxp_key_from_text(text(scalar), byref(self.key)) == OK
        out = buf(124)
        assert lib.imagxp_key_public(byref(self.key), 1, out, None) == OK
        self.spki = bytes(out.ptr[:124]).decode()

    def sign(self, resource, nonce, now_ms, purpose=2):
        out, headers = buf(4348), make(Signed)
        claims = make(Claims, agent_id=text(self.agent_id), resource=text(resource), purpose=purpose)
        status = lib.imagxp_request_sign(byref(self.key), byref(claims), nonce, None, 0, now_ms, out, byref(headers))
        assert status == OK, name(status)
        return [("x-imagxp-payload", span(out, headers.payload)),
                ("x-imagxp-signature", span(out, headers.signature)),
                ("x-imagxp-public-key", span(out, headers.public_key))]


class Refused(Exception):
    pass


class Site:
    """A publisher in a closed world: its policy, its caches, and the only documents that can be fetched."""

    def __init__(self, policy_json):
        self.policy = words(POLICY_WORDS)
        status = lib.imagxp_policy_parse(text(policy_json), self.policy.words, POLICY_WORDS)
        if status != OK:
            raise Refused(name(status))
        sizes = Sizes(64, 2, 0, 0)
        self.keys = words(lib.imagxp_key_cache_words(sizes))
        assert lib.imagxp_key_cache_new(byref(self.keys), sizes, bytes([7]) * 32) == OK
        self.replay = words(lib.imagxp_replay_cache_words(256))
        assert lib.imagxp_replay_cache_new(byref(self.replay), bytes([9]) * 32, 0) == OK
        self.documents = {}

    def supply(self, need, scratch, found, now_ms):
        if found is None:
            answer = Answer(UNREACHABLE, -1, text(b""))
        elif found is False:
            answer = Answer(NOT_THERE, -1, text(b""))
        else:
            answer = Answer(FOUND, -1, text(found[:need.max_len + 1]))
        status = lib.imagxp_key_cache_supply(byref(self.keys), byref(need), scratch, answer, now_ms)
        assert status == OK, name(status)

    def learn(self, agent_id, manifest, now_ms):
        scratch, url = buf(2048), manifest_url(agent_id).encode()
        ctypes.memmove(scratch.ptr, url, len(url))
        need = Need(1, 0, 8192, 0, Span(0, len(url)), Span(8, len(agent_id)))
        self.supply(need, scratch, manifest, now_ms)

    def judge(self, headers, now_ms, vouched=0, target="/posts/a"):
        rows = (Header * len(headers))(*[Header(text(key), text(value)) for key, value in headers])
        visit = make(Visit, method=text("GET"), scheme=text("https"), authority=text("pub.example.com"),
                     target=text(target), headers=rows, headers_len=len(headers), vouched=vouched)
        self.scratch, self.verified, needs = buf(SCRATCH_LEN), make(Verified), 0
        while True:
            status = lib.imagxp_request_verify(byref(visit), self.policy.words, byref(self.keys), now_ms,
                                               self.scratch, byref(self.verified))
            if status != NEED:
                break
            needs += 1
            assert needs <= 3, "more than three needs"
            need = self.verified.need
            url = span(self.scratch, need.url).decode()
            self.supply(need, self.scratch, self.documents.get(url), now_ms)
        if status == VERIFIED:
            status = lib.imagxp_request_admit(byref(self.verified), self.scratch, byref(self.replay), now_ms)
        return name(status)
