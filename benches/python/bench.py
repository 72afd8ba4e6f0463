"""`Publisher.check` beside PyJWT: CPU time, minima of interleaved rounds, every request used once.

Also printed: what the call costs over the C functions that it makes, and a bare call across the border.
"""

import json
import platform
import statistics
import sys
import time
from ctypes import byref

import cryptography
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

import imagxp
from imagxp import Agent, MemoryStore, Publisher, Request, Sizes, _ffi
from imagxp._keys import Fetched, Wanted

AGENTS, ROUNDS, EACH = 4, 60, 100
ORIGIN, BROKER = "https://pub.example.com", "https://broker.example.com"
URL = f"{ORIGIN}/articles/2026/01/26/an-article?page=2"
# What a request has beside ours.
USUAL = [("host", "pub.example.com"), ("user-agent", "bot/1.0 IMAGXP/1.1"), ("accept", "*/*"), ("accept-encoding", "gzip")]
# Of this thread: what else the machine does does not count, for either side.
clock = time.thread_time_ns
issuer_key = ec.generate_private_key(ec.SECP256R1())


def token(agent_id):
    now = int(time.time())
    claims = {"payment_status": "paid", "amount": 0.001, "ver": "1.1", "iat": now, "exp": now + 3600}
    return jwt.encode({**claims, "iss": BROKER, "aud": "pub.example.com", "sub": agent_id}, issuer_key, "ES256", {"kid": "1"})


def publisher(agents, policy):
    found = Publisher(policy, origin=ORIGIN, store=MemoryStore(65_536, accept_from_ms=0), sizes=Sizes(64, 2, 8, 64))
    for agent in agents:
        found.learn(agent.agent_id, agent.manifest())
    jwk = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(issuer_key.public_key())), "kid": "1"}
    wanted = Wanted(_ffi.NEED_JWKS, f"{BROKER}/.well-known/jwks.json", "broker.example.com", True, 65_536)
    found._keys.supply(wanted, Fetched(_ffi.FOUND, json.dumps({"keys": [jwk]}).encode()))
    return found


def requests(agents, count, visas):
    def one(agent):
        visa = [("x-imagxp-credential", visas[agent.agent_id])] if visas else []
        return Request.of_url(URL, [*USUAL, *agent.sign(URL, "RAG_RETRIEVAL").items(), *visa])

    return [one(agents[index % len(agents)]) for index in range(count)]


def check(found, batch):
    begun = clock()
    verdicts = [found.check(request) for request in batch]
    spent = clock() - begun
    assert all(verdicts), verdicts[0]
    return spent


def decode(tokens, key):
    decode = jwt.decode
    begun = clock()
    for text in tokens:
        decode(text, key, algorithms=["ES256"], audience="pub.example.com", issuer=BROKER)
    return clock() - begun


def c_calls(found, batch):
    """The same C functions with the same arguments, and as little as possible around them."""
    lib, gil, pointer, now = _ffi.lib, _ffi.lib_gil, found._pointer, time.time_ns() // 1_000_000
    keys, words, calls = found._keys.snapshot, found.store._words.pointer, []
    for request in batch:
        frame = type(found._take())()
        frame.load(request)
        calls.append((frame, frame.packed_ref, frame.scratch.buf, frame.verified_ref))
    begun = clock()
    for _, packed, scratch, verified in calls:
        lib.request_verify_packed(packed, pointer, keys.pointer, now, scratch, verified)
        gil.request_admit(verified, scratch, words, now)
    spent = clock() - begun
    assert all(frame.verified.status == _ffi.OK for frame, *_ in calls)
    return spent


def main(path):
    agents = [Agent.generate(f"bot{index}.example.com") for index in range(AGENTS)]
    visas = {agent.agent_id: token(agent.agent_id) for agent in agents}
    free = publisher(agents, {"allowRAG": True})
    paid = publisher(agents, {"allowRAG": True, "audiences": ["pub.example.com"], "monetization": {"brokerUrl": BROKER}})
    for found, sold in ((free, None), (paid, visas)):
        # Past the eighth request an agent has a table; it is made by another thread.
        check(found, requests(agents, 20 * AGENTS, sold))
        found._documents._pool().submit(lambda: None).result()
    time.sleep(0.5)
    tokens, key = list(visas.values()) * (EACH // AGENTS), issuer_key.public_key()

    rounds = {name: [] for name in ("check", "visa", "pyjwt", "c")}
    for _ in range(ROUNDS):
        # Signed in the round that uses them: none is near the end of its window.
        plain, bought, bare = (requests(agents, EACH, sold) for sold in (None, visas, None))
        rounds["check"].append(check(free, plain) / EACH / 1e3)
        rounds["visa"].append(check(paid, bought) / EACH / 1e3)
        rounds["pyjwt"].append(decode(tokens, key) / EACH / 1e3)
        rounds["c"].append(c_calls(free, bare) / EACH / 1e3)

    write(path, rounds)
    least = {name: min(values) for name, values in rounds.items()}
    print(f"  Publisher.check over its C calls: {least['check'] - least['c']:.2f} us (aim: 10)")
    print(f"  a bare call: {bare_call():.2f} us (aim: 2)")


def bare_call():
    """A call with the hot call's arguments, of a visitor whose request is refused at the first look."""
    packed, verified = _ffi.new(_ffi.Packed), _ffi.new(_ffi.Verified)
    scratch = _ffi.Memory(2048)
    policy = _ffi.Memory(4096)
    arguments = (byref(packed), policy.address, byref(_ffi.View()), 1, scratch.buf, byref(verified))
    call, least = _ffi.lib.request_verify_packed, float("inf")
    for _ in range(200):
        begun = clock()
        for _ in range(100):
            call(*arguments)
        least = min(least, (clock() - begun) / 100 / 1e3)
    return least


def write(path, rounds):
    base = rounds["pyjwt"]
    name = f"PyJWT {jwt.__version__} + cryptography {cryptography.__version__}"
    rows = {"run": {"python": platform.python_version(), "imagxp": imagxp.__version__, "peer": name}}
    for row, ours in (("python_vs_pyjwt", rounds["check"]), ("python_visa_vs_pyjwt", rounds["visa"])):
        spread = max(statistics.median(values) / min(values) - 1 for values in (ours, base))
        rows[row] = {
            "ours": round(min(ours), 3),
            "baseline": round(min(base), 3),
            "ratio": round(min(base) / min(ours), 3),
            "unit": "us",
            "baseline_name": name,
            "spread": round(spread, 3),
        }
        print(f"  {row:<24} {min(ours):7.2f} us  {name} {min(base):7.2f} us  ratio {min(base) / min(ours):.2f}")
    with open(path, "w") as file:
        json.dump(rows, file, indent=2)


main(sys.argv[1])
