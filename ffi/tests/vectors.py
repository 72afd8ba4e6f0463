"""The shared cases (vectors/README.md) through the C ABI: the same codes as in Rust."""

import base64
import datetime
import ipaddress
import json
import os
import sys

from clib import (NEED, OK, VERIFIED, Agent, Judgement, Key, Manifest, Need, Refused, Site, Token, buf, byref, c_int32, c_int64,
                  c_size_t, lib, make, manifest_url, name, span, text)

OWN = os.path.join(os.path.dirname(__file__), "../../vectors")
ROOT = os.environ.get("IMAGXP_VECTORS") or OWN
OWN_ROWS = {}
AGENT, KEY = "bot.example.com", "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"
FEEDBACK_LEN = 4096
NONCE = bytes(range(15, -1, -1))
VISITORS = {"VERIFIED_AGENT": 1, "LIKELY_HUMAN": 2, "UNIDENTIFIED_BOT": 3}
passed = failed = 0


def load(file, root=ROOT):
    path = os.path.join(root, file)
    if not os.path.exists(path):
        print(f"{file}: not there, skipped")
        return {}
    with open(path, encoding="utf-8") as stream:
        document = json.load(stream)
    return document if isinstance(document, dict) else {"vectors": document, "tests": document}


def rows(document):
    for place, row in enumerate(document.get("vectors") or document.get("tests") or []):
        yield row.get("id", f"#{place}"), row


CODES = load("interop_codes.json", OWN)
# The agent of a set has the key `key-agent` of that set.
agent = Agent(AGENT, dict(rows(load("interop/keys.json"))).get("key-agent", {}).get("private_scalar_hex", KEY))


def check_row(file, row_id, row, step, got):
    """The recorded code of a row of ours; of any other row, whether it is admitted."""
    own = OWN_ROWS.setdefault(file, dict(rows(load(file, OWN)))).get(row_id.split("#")[0])
    if own == row and row_id in CODES.get(file, {}):
        check(file, row_id, got, CODES[file][row_id])
    else:
        check(file, row_id, "accept" if got == "OK" else "reject", step["expect"])


def check(file, row_id, got, wanted):
    global passed, failed
    if got == wanted:
        passed += 1
    else:
        failed += 1
        print(f"{file} {row_id}: got {got}, wanted {wanted}", file=sys.stderr)


# ---- requests that the reference sent ----

def policy_of(row):
    policy = dict(row["policy"]) if isinstance(row.get("policy"), dict) else {}
    policy.update(strategy=row.get("strategy") or "PASSIVE", resource_binding="off", window=300000, skew=300000,
                  audiences=[row.get("expected_audience") or "nytimes.com"])
    return json.dumps(policy, ensure_ascii=False)


def document(answer, any_type=False):
    """None: not reached. False: not there."""
    media = (answer.get("headers") or {}).get("content-type")
    essence = (media or "application/json").split(";")[0].strip().lower()
    good = any_type or essence == "application/json" or essence.endswith("+json")
    status = answer.get("status")
    if status == 200 and good:
        return (answer.get("body") or "").encode("utf-8", "surrogatepass")
    return None if status is None or status == 429 or status >= 500 else False


def manifest_of(agent_id, spki):
    return json.dumps({"agent_id": agent_id, "public_key": spki}).encode()


def site_of(row, now_ms):
    site = Site(policy_of(row))
    for agent_id, spki in (row.get("identity_cache") or {}).items():
        site.learn(agent_id, manifest_of(agent_id, spki), now_ms - 60000)
    for url, answer in (row.get("fetch_table") or {}).items():
        if isinstance(answer, dict):
            site.documents[url] = document(answer)
    return site


def headers_of(row):
    def raw(value):
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    return [(key, raw(value)) for key, value in row["headers"].items()]


def judge(row):
    now_ms = row.get("now_ms") or 1
    try:
        site = site_of(row, now_ms)
    except Refused as refused:
        return str(refused), None
    vouched = 256 if row.get("check_payment_returns") == "true" else 0
    return site.judge(headers_of(row), now_ms, vouched), site


def requests(file):
    for row_id, row in rows(load(file)):
        got, site = judge(row)
        check_row(file, row_id, row, row, got)
        if got == "OK" and row.get("visitor_type"):
            check(file, row_id, site.verified.visitor, VISITORS[row["visitor_type"]])


def sequences(file):
    for row_id, row in rows(load(file)):
        site = site_of(row, row["steps"][0]["now_ms"])
        for place, step in enumerate(row["steps"]):
            check_row(file, f"{row_id}#{place}", row, step, site.judge(headers_of(step), step["now_ms"]))


def visas(file):
    for row_id, row in rows(load(file)):
        policy = {"allowTraining": True, "allowRAG": True, "requiresPayment": True, "resource_binding": "off",
                  "audiences": [row.get("expected_audience") or "nytimes.com"],
                  "monetization": {"brokerUrl": row["broker_url"]}}
        try:
            site = Site(json.dumps(policy))
        except Refused as refused:
            check_row(file, row_id, row, row, str(refused))
            continue
        site.documents[manifest_url(AGENT)] = manifest_of(AGENT, agent.spki)
        jwks, answer = row.get("jwks"), row.get("jwks_http")
        if not isinstance(answer, dict) and jwks is not None:
            answer = {"status": 200, "body": jwks if isinstance(jwks, str) else json.dumps(jwks)}
        if isinstance(answer, dict):
            site.documents[row["jwks_url"]] = document(answer, any_type=True)
        headers = agent.sign("https://pub.example.com/posts/a", NONCE, row["now_ms"])
        headers.append(("x-imagxp-credential", row["token"]))
        check_row(file, row_id, row, row, site.judge(headers, row["now_ms"]))


# ---- what else the reference signs ----

def accepted(status):
    return "accept" if status == OK else "reject"


def said_at(document):
    """Rows of tokens have no clock: they are read when they were written."""
    try:
        said = json.loads(document)["signal"]["timestamp"]
        return int(datetime.datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp() * 1000)
    except (ValueError, KeyError, TypeError):
        return 1000


def signed_object(result):
    return f'{{"signal":{result["signed_string"]},"signature":{json.dumps(result["signature"])}}}'


def feedback(file):
    for row_id, row in rows(load(file)):
        result = row["reference_result"]
        document = row["token"] if "token" in row else signed_object(result)
        now_ms = row["now_ms"] if "now_ms" in row else said_at(document)
        agent_id = (row.get("inputs") or {}).get("agent_id") or AGENT
        judgement, scratch = make(Judgement), buf(FEEDBACK_LEN)
        status = lib.imagxp_feedback_verify(text(document), text(agent_id), text(result.get("public_key") or agent.spki), None, 0,
                                            now_ms, scratch, byref(judgement))
        check(file, row_id, accepted(status), row["expect"])
        if status == OK and "inputs" in row:
            check(file, row_id, span(scratch, judgement.url).decode(), row["inputs"]["resource"])


def provenance(file):
    for row_id, row in rows(load(file)):
        result, now_ms = row["reference_result"], row.get("now_ms") or 0
        sent = [text(result.get("headers", {}).get(f"x-imagxp-{header}") or "") for header in ("content-origin", "provenance-sig")]
        ts, origin = c_int64(), c_int32()
        status = lib.imagxp_provenance_verify(text(result.get("public_key") or ""), *sent, text(str(now_ms)), now_ms, 0, 0, byref(origin),
                                              byref(ts))
        check(file, row_id, accepted(status), row["expect"])
        if status == OK:
            said = {1: "HUMAN", 2: "SYNTHETIC", 3: "HYBRID"}[origin.value]
            check(file, row_id, f'{{"origin":"{said}","ts":{ts.value}}}', result["signed_string"])


def keys(file):
    """Every form of a key is the same pair, and is written as the reference writes it."""
    for row_id, row in rows(load(file)):
        forms = [row["private_scalar_hex"].zfill(64), row["pkcs8_b64"], row["pkcs8_without_public_b64"], json.dumps(row["jwk"])]
        for form in forms:
            key, out, needed = Key(), buf(260), c_size_t()
            check(file, row_id, name(lib.imagxp_key_from_text(text(form), byref(key))), "OK")
            assert lib.imagxp_key_public(byref(key), 1, out, byref(needed)) == OK
            wanted = row["reference_result"].get("exportPublicKey") or row["spki_b64"]
            check(file, row_id, bytes(out.ptr[:needed.value]).decode(), wanted)
            assert lib.imagxp_key_export(byref(key), 1, out, byref(needed)) == OK
            wanted = row["reference_result"].get("exportPrivateKey") or row["pkcs8_b64"]
            check(file, row_id, bytes(out.ptr[:needed.value]).decode(), wanted)


def tokens(file):
    """The token layer: an issuer of ad proofs, whose tokens are without payment."""
    document = load(file)
    if not document:
        return
    monetization = {"adNetwork": {"jwksUrl": "https://keys.example.com/jwks", "issuer": document["iss"]}}
    site = Site(json.dumps({"audiences": [document["aud"]], "monetization": monetization}))
    need, scratch, now_ms = Need(), buf(8192), document["now_ms"]
    assert lib.imagxp_policy_document(site.policy.words, 0, scratch, byref(need)) == NEED
    site.supply(need, scratch, json.dumps(document["jwks"]).encode(), now_ms)
    for row_id, row in rows(document):
        token = make(Token)
        status = lib.imagxp_visa_verify(text(row["jwt"]), 2, text(""), text(""), site.policy.words, byref(site.keys), now_ms,
                                        scratch, byref(token))
        check(file, row_id, "OK" if status == VERIFIED else name(status), row["expect"])


# ---- the strict profile ----

def spoilt(now_ms, window=300000, skew=60000, **members):
    """A request whose signature is somebody else's: whatever is judged before the signature is told, and the rest is
    SIGNATURE_INVALID."""
    payload = {"v": "1.1", "ts": "2026-01-26T12:00:00.000Z", "nonce": "0f0e0d0c-0b0a-4908-8706-050403020100",
               "agent_id": AGENT, "resource": "https://pub.example.com/posts/a", "purpose": "RAG_RETRIEVAL"}
    payload.update(members)
    headers = agent.sign("https://pub.example.com/posts/a", NONCE, 1769428800000)
    encoded = base64.b64encode(json.dumps(payload, ensure_ascii=True).encode())
    headers[0] = ("x-imagxp-payload", encoded)
    site = Site(json.dumps({"allowRAG": True, "window": window, "skew": skew}))
    return site.judge(headers, now_ms)


def told(code):
    return "SIGNATURE_INVALID" if code == "OK" else code


def profile():
    for row_id, row in rows(load("profile/ssrf_address.json")):
        address = ipaddress.ip_address(row["in"]).packed
        check("ssrf_address", row_id, name(lib.imagxp_host_may_connect(address, len(address))), row["expect"])
    for row_id, row in rows(load("profile/agent_id.json")):
        check("agent_id", row_id, name(lib.imagxp_host_check_agent_id(text(row["in"]), 0)), row["expect"])
    for row_id, row in rows(load("profile/json_strict.json")):
        out, needed = buf(1 << 16), c_size_t()
        got = name(lib.imagxp_jcs(text(bytes.fromhex(row["in_hex"])), out, byref(needed)))
        check("json_strict", row_id, got, row["expect"])
        if got == "OK":
            check("json_strict", row_id, bytes(out.ptr[:needed.value]).hex(), row["out_hex"])
    for row_id, row in rows(load("profile/spki.json")):
        encoded = base64.b64encode(bytes.fromhex(row["spki"]))
        manifest = make(Manifest, agent_id=text(AGENT), public_key=text(encoded))
        got = name(lib.imagxp_manifest_write(byref(manifest), buf(1024), None))
        # In a text, what is not the one form is told before what is not on the curve.
        check("spki", row_id, "KEY_INVALID" if got == "KEY_FORMAT" else got, row["expect"])
    now_ms = 1769428800000
    for field in ("nonce", "timestamp"):
        member = "ts" if field == "timestamp" else field
        for row_id, row in rows(load(f"profile/{field}.json")):
            if len(row["in"]) > 2048:
                continue  # no header holds it
            # By the clock of the row: what is a time is fresh.
            got = spoilt(max(row.get("ms", now_ms), 1), **{member: row["in"]})
            check(field, row_id, got, told(row["expect"]))
    epoch = datetime.datetime(1970, 1, 1)
    for row_id, row in rows(load("profile/time_window.json")):
        now, ts, window, skew = row["in"]
        moment = epoch + datetime.timedelta(milliseconds=ts)
        ts_text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
        if now > 0 and moment.year >= 1970:
            check("time_window", row_id, spoilt(now, window, skew, ts=ts_text.zfill(24)), told(row["expect"]))


if __name__ == "__main__":
    for area in ("requests_accepted", "requests_rejected", "requests_encoding_quirks", "manifests", "policy",
                 "heuristics"):
        requests(f"interop/{area}.json")
    for area in ("replay", "replay_profile"):
        sequences(f"interop/{area}.json")
    for area in ("visas_accepted", "visas_rejected"):
        visas(f"interop/{area}.json")
    feedback("interop/feedback.json")
    provenance("interop/provenance.json")
    keys("interop/keys.json")
    tokens("profile/jwt.json")
    profile()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)
