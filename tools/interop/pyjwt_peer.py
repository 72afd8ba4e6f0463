"""Visas and key sets made with PyJWT verify with `imagxp`, and the other way round."""

import json
import os
import subprocess
import sys
import tempfile
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER, AUDIENCE = "https://your-broker-domain.com", "nytimes.com"
FOLDER = tempfile.mkdtemp(prefix="imagxp-interop-")
COUNT = {"passed": 0, "failed": 0}


def file(name, contents):
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(contents)
    os.chmod(path, 0o600)
    return path


def imagxp(*args):
    done = subprocess.run([os.environ["IMAGXP"], *args], capture_output=True, text=True, env={}, check=False)
    assert done.stdout, done.stderr
    return done.stdout.strip()


def check(name, test):
    try:
        test()
        COUNT["passed"] += 1
    except Exception as error:  # a check that fails in any way has failed
        COUNT["failed"] += 1
        print(f"FAILED {name}: {error!r}")


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def spki(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def jwk(key, kid):
    return {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": kid}


def changed(token):
    """The same token with one character changed, in the middle of each part."""
    parts = token.split(".")
    for at, part in enumerate(parts):
        middle = len(part) // 2
        other = "B" if part[middle] == "A" else "A"
        yield at, ".".join([*parts[:at], part[:middle] + other + part[middle + 1 :], *parts[at + 1 :]])


BROKER, OTHER, AGENT = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
THEIRS = file("theirs.json", json.dumps({"keys": [jwk(BROKER, "1")]}))


def visa(key=BROKER, headers=None, algorithm="ES256", **changes):
    now = int(time.time())
    claims = {"payment_status": "paid", "amount": 0.001, "ver": "1.1", "iat": now, "iss": ISSUER, "aud": AUDIENCE}
    claims = {**claims, "exp": now + 3600, **changes}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "1", **(headers or {})})


def verdict(token, jwks=THEIRS):
    wanted = ["--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", jwks, "--json"]
    return json.loads(imagxp("visa", "verify", token, *wanted))


def admits(token):
    report = verdict(token)
    assert (report["code"], report["amount"]) == ("OK", "0.001"), report


def refuses(codes, token, jwks=THEIRS):
    code = verdict(token, jwks)["code"]
    assert code in codes, code


def theirs_here():
    now = int(time.time())
    check("their visa", lambda: admits(visa()))
    check("their visa, without typ", lambda: admits(visa(headers={"typ": None})))
    check("their visa, several audiences", lambda: admits(visa(aud=["example.org", AUDIENCE])))
    for at, token in changed(visa()):
        codes = ["SIGNATURE_INVALID", "JWT_FORMAT", "JWT_HEADER", "JWT_ALG", "JWT_CLAIMS", "JWT_KEY_UNKNOWN"]
        check(f"changed byte in part {at}", lambda token=token: refuses(codes, token))
    for name, code, token in [
        ("wrong audience", "JWT_AUDIENCE", visa(aud="nytimes.org")),
        ("expired", "JWT_EXPIRED", visa(iat=now - 7200, exp=now - 3600)),
        ("not yet", "JWT_NOT_YET", visa(nbf=now + 600)),
        ("too long", "JWT_LIFETIME", visa(exp=now + 7200)),
        ("unpaid", "VISA_UNPAID", visa(payment_status="open")),
        ("foreign issuer", "JWT_ISSUER", visa(iss="https://evil.example")),
        ("another key", "SIGNATURE_INVALID", visa(OTHER)),
        ("foreign typ", "JWT_HEADER", visa(headers={"typ": "at+jwt"})),
        ("header with jku", "JWT_HEADER", visa(headers={"jku": "https://evil.example"})),
    ]:
        check(name, lambda code=code, token=token: refuses([code], token))
    for name, key, algorithm in [("none", None, "none"), ("HMAC", "s" * 32, "HS256")]:
        token = visa(key, algorithm=algorithm)
        check(name, lambda token=token: refuses(["JWT_ALG", "JWT_FORMAT"], token))


def ours_there():
    broker, agent = file("broker.pem", pem(BROKER)), file("agent.pub", spki(AGENT))
    public = file("broker.pub", spki(BROKER))
    keys = jwt.PyJWKSet.from_json(imagxp("jwks", "write", f"1={public}", f"2={file('other.pub', spki(OTHER))}"))
    issue = ["visa", "issue", "--issuer", ISSUER, "--audience", AUDIENCE, "--amount", "0.001", "--kid", "1"]
    bound = ["--agent-id", "bot.example.com", "--agent-key", agent]
    token = imagxp(*issue, "--key", broker, *bound)
    old = imagxp(*issue, "--key", broker, *bound, "--now", "2026-01-26T12:00:00Z")

    def decode(token, kid="1", **changes):
        wanted = {"audience": AUDIENCE, "issuer": ISSUER, **changes}
        options = {"require": ["exp", "iat", "iss", "aud", "sub", "jti"]}
        return jwt.decode(token, keys[kid].key, algorithms=["ES256"], options=options, **wanted)

    def good():
        claims = decode(token)
        wanted = {"payment_status": "paid", "amount": 0.001, "ver": "1.1", "sub": "bot.example.com"}
        assert wanted.items() <= claims.items() and claims["exp"] - claims["iat"] == 3600, claims
        assert jwt.get_unverified_header(token)["kid"] == "1"

    def fails(kind, *args, **changes):
        try:
            decode(*args, **changes)
        except kind:
            return
        raise AssertionError("it was admitted")

    check("our visa", good)
    for at, broken in changed(token):
        check(f"our visa, changed byte in part {at}", lambda broken=broken: fails(jwt.InvalidTokenError, broken))
    check("our visa, wrong audience", lambda: fails(jwt.InvalidAudienceError, token, audience="nytimes.org"))
    check("our visa, foreign issuer", lambda: fails(jwt.InvalidIssuerError, token, issuer="https://evil.example"))
    check("our visa, another key", lambda: fails(jwt.InvalidSignatureError, token, "2"))
    check("our visa, expired", lambda: fails(jwt.ExpiredSignatureError, old))


theirs_here()
ours_there()
print(f"{COUNT['passed']} passed, {COUNT['failed']} failed")
sys.exit(COUNT["failed"] > 0)
