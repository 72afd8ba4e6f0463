/*
 * imagxp.h - who is that agent, and has it paid?
 *
 * The C interface of libimagxp: a publisher verifies the signed requests of AI agents, an agent signs
 * them, a broker sells the visas that pay for them. Link with `pkg-config --libs imagxp`, or with libimagxp.a and nothing else.
 *
 *
 * CONTRACT
 * ========
 *
 * Memory    The library allocates nothing, keeps no pointer after a call returns and has no state of
 *           its own, so there is nothing to free. What it returns lies in the buffer that the caller
 *           gave to the same call. An argument of length 0 may have a NULL pointer; no other may,
 *           unless its comment says so. Inputs and outputs of one call do not overlap.
 * Outputs   Written only when the call succeeds, except where the comment names a status. A scratch is
 *           not an output: it is working memory, and any call that is given one may fill it.
 * Threads   A pointer to const is only read: calls that only read the same memory may run at once. A
 *           call that takes it non-const must have it alone: no other call, reading or writing, on
 *           that memory meanwhile. For a view (imagxp_key_cache, imagxp_replay_cache) this is said of
 *           the words that it names.
 * Time      `*_ms` is milliseconds since 1970-01-01T00:00:00Z, `*_s` seconds. There is no clock here.
 * Random    Passed in as bytes. There is no random source here.
 * Text      UTF-8, with a length, not NUL-terminated. Texts of HTTP are the bytes of the wire.
 * Structs   What may grow begins with `size_t size`: IMAGXP_INIT(&x) sets it and zeroes the rest.
 *           Do that before every first use; a struct that was filled by one call may be given to the
 *           next as it is. A library takes the sizes of every header since the first release, and reads
 *           and writes no byte beyond; a longer one is of a newer header: IMAGXP_ABI_VERSION.
 * Status    0 done, > 0 go on as the call says, < 0 refused: enum imagxp_code has every number, with the HTTP
 *           status. The hundreds say whose fault it is. Numbers are never reused, and a newer library
 *           may have more of them.
 *
 *
 * A PUBLISHER
 * ===========
 *
 * At start, once:
 *
 *     static uint64_t policy_words[IMAGXP_POLICY_WORDS];
 *     static uint64_t key_words[IMAGXP_KEY_CACHE_WORDS(4096, 4, 128, 64)];
 *     static uint64_t replay_words[IMAGXP_REPLAY_CACHE_WORDS(450000)];
 *
 *     const imagxp_policy *policy = IMAGXP_POLICY(policy_words);
 *     imagxp_key_cache keys = IMAGXP_VIEW(key_words);
 *     imagxp_replay_cache replay = IMAGXP_VIEW(replay_words);
 *     imagxp_key_cache_sizes sizes = { 4096, 4, 128, 64 };
 *
 *     imagxp_policy_parse(IMAGXP_STR("{\"allowRAG\":true,\"strategy\":\"STRICT\"}"),
 *                         policy_words, IMAGXP_POLICY_WORDS);
 *     imagxp_key_cache_new(&keys, sizes, random_bytes_32);
 *     imagxp_replay_cache_new(&replay, other_random_bytes_32, now_ms);
 *
 * (Check each: anything but IMAGXP_OK ends the start. now_ms: what was signed before this start is
 * refused with RESTART_GUARD, since it may have passed then; 0 in trials, or where the words survived.
 * These sizes take 22 MB; for a trial, sizes of { 8, 1, 0, 0 } and 1000 slots do.)
 *
 * For each request, with or without IMAGXP headers:
 *
 *     uint8_t memory[IMAGXP_SCRATCH_LEN];
 *     imagxp_buf scratch = { memory, sizeof memory };
 *     imagxp_visit visit;
 *     imagxp_verified verified;
 *
 *     IMAGXP_INIT(&visit);
 *     IMAGXP_INIT(&verified);
 *     visit.method = ...; visit.scheme = ...; visit.authority = ...; visit.target = ...;
 *     visit.headers = ...; visit.headers_len = ...;
 *
 *     for (;;) {
 *         status = imagxp_request_verify(&visit, policy, &keys, now_ms, scratch, &verified);
 *         if (status != IMAGXP_NEED) break;
 *         status = imagxp_key_cache_supply(&keys, &verified.need, scratch,
 *                                          https_get(&verified.need, scratch), now_ms);
 *         if (status != IMAGXP_OK) break;
 *     }
 *     if (status == IMAGXP_VERIFIED)
 *         status = imagxp_request_admit(&verified, scratch, &replay, now_ms);
 *     if (status != IMAGXP_OK)
 *         return imagxp_status_http(status);
 *
 * Nobody gets in but by IMAGXP_OK of imagxp_request_admit. The loop ends: there are at most three
 * needs, each once. Between IMAGXP_NEED and the next call nothing is kept but `verified` and
 * `scratch`, and those by you: wait for the answer on the stack, in an event loop, or not at all.
 *
 * https_get is yours and gives an imagxp_answer, such as { IMAGXP_FOUND, -1, body } (-1: no max-age):
 * GET, https, port 443, no redirects, at most 1.5 s in all, at most need.max_len + 1 bytes of body, and
 * for a need that is not `configured` an address of which imagxp_host_may_connect has said IMAGXP_OK.
 * One fetch at a time for each need.host.
 *
 * The replay cache is one for all, under one lock that is held for imagxp_request_admit. A key cache
 * is never written while it is read: give each worker its own; or keep one immutable, and let whoever
 * has news copy its words, supply the copy, and swap the view.
 *
 *
 * AN AGENT
 * ========
 *
 *     imagxp_key_from_text(text_of_IMAGXP_PRIVATE_KEY, &key);
 *     IMAGXP_INIT(&claims);
 *     IMAGXP_INIT(&headers);
 *     claims.agent_id = IMAGXP_STR("bot.example.com");
 *     claims.resource = IMAGXP_STR("https://pub.example.com/a");
 *     claims.purpose = IMAGXP_RAG_RETRIEVAL;
 *     status = imagxp_request_sign(&key, &claims, random_16, random_32, 0, now_ms, out, &headers);
 *
 * and IMAGXP_TEXT(out, headers.payload) is the value of IMAGXP_HEADER_PAYLOAD, and so on.
 *
 *
 * A BROKER
 * ========
 *
 * It sells visas: imagxp_visa_issue, to an agent that imagxp_request_verify has found to be who it says,
 * bound to its name and key; and publishes its keys: imagxp_jwks_write. Publishers verify both by
 * themselves. What a site wants is in imagxp_policy_discovery, served at IMAGXP_POLICY_PATH; with a 402
 * send broker_url and price of imagxp_policy_terms as IMAGXP_HEADER_BROKER and IMAGXP_HEADER_PRICE.
 *
 *
 * FEEDBACK, PROVENANCE
 * ====================
 *
 * imagxp_feedback_sign   an agent, on what it got and paid for: for IMAGXP_HEADER_FEEDBACK, or the broker
 * imagxp_feedback_verify whoever reads it, once the agent's identity is verified
 * imagxp_provenance_sign, _verify: where a response's content comes from, in three headers
 *
 *
 * STORY, EVIDENCE
 * ===============
 *
 * Both are made from what the loop above leaves, `visit`, `verified` and `scratch`, and one struct more:
 *
 *     imagxp_decision decision;
 *
 *     IMAGXP_INIT(&decision);
 *     decision.status = status;
 *     decision.received_ms = ...; decision.decided_ms = ...;
 *     decision.fetches = ...; decision.fetches_len = ...;      (what https_get went for, if anything)
 *
 *     imagxp_story_publisher(&visit, policy, &verified, scratch, &decision, IMAGXP_STORY_TEXT, out, &len);
 *     imagxp_evidence_decision(&visit, &verified, &decision, &head, out, &len);
 *
 * The story is for people and log collectors. The evidence is a file of lines, each of which names the
 * hash of the one before: `head`, zeros at first, is where it ends. Append each line in one piece; one
 * writer, one file. Write imagxp_evidence_document when a document was fetched, before the decision, and
 * imagxp_evidence_checkpoint with the publisher's key when imagxp_evidence_wants_checkpoint says so.
 * `verified` knows which documents the key cache had verified with: a host need not remember any.
 * To go on with a file, or to verify one: imagxp_log_line, line by line; then imagxp_evidence_prove.
 *
 *
 * SIZES
 * =====
 *
 * Caches and policies are arrays of uint64_t, of yours: static, heap, shared memory, memory that is
 * kept over a restart. They hold no addresses: a copy is a clone, at any 8-byte alignment (64 is
 * faster). Damaged words give wrong answers at worst, never an access outside the array.
 *
 *     key cache     IMAGXP_KEY_CACHE_WORDS(names, issuers, tables, table_kib)
 *                   a server    (4096, 4, 128, 64)  10 MB; 128 busy keys verify several times faster
 *                   a gateway   (256, 2, 8, 8)      0.2 MB
 *                   a chip      (8, 1, 0, 0)        7 KB
 *     replay cache  IMAGXP_REPLAY_CACHE_WORDS(slots), 26 bytes a slot; one slot for each request of the
 *                   last 360 s, and a quarter more: 450 slots for each request a second
 *     policy        IMAGXP_POLICY_WORDS, 4 KiB
 *     scratch       IMAGXP_SCRATCH_LEN, 12 KiB, for any request; 2 KiB for usual ones
 *     signing       IMAGXP_SIGNED_LEN, for any request; 900 bytes for usual ones
 */

#ifndef IMAGXP_H
#define IMAGXP_H

#include <stddef.h>
#include <stdint.h>

/* Every imagxp_status, with its HTTP status, and what an honest user should mend. */
enum imagxp_code {
    /* Done. */
    IMAGXP_OK = 0,
    /* Fetch a document, supply it, call again. */
    IMAGXP_NEED = 1,
    /* Every check holds but one, that it is the first time: imagxp_request_admit makes it. */
    IMAGXP_VERIFIED = 2,
    /* A line of the evidence is not good: the result says why. Go on with the next. */
    IMAGXP_FAULT = 3,

    /* -1xx: the caller's mistake. */

    /* 500: a pointer is NULL though its length is not 0 */
    IMAGXP_ABI_NULL = -101,
    /* 500: a length is larger than any object can be */
    IMAGXP_ABI_LENGTH = -102,
    /* 500: an output overlaps an input or another output: give each its own memory */
    IMAGXP_ABI_OVERLAP = -103,
    /*
     * 500: the memory is too small or not 8-byte aligned: ask the `*_words` function for its size
     */
    IMAGXP_ABI_STORAGE = -104,
    /*
     * 500: the memory does not hold what the call expects, or it is damaged: make it anew with
     * `*_new` or `policy_parse`
     */
    IMAGXP_ABI_STATE = -105,
    /*
     * 500: the struct's size field is unknown to this library: use IMAGXP_INIT and the header of
     * this version
     */
    IMAGXP_ABI_VERSION = -106,
    /* 500: an argument is not one of the numbers or flags that the call knows */
    IMAGXP_ABI_ARGUMENT = -107,
    /* 500: the output buffer is too small: the call's documentation gives its bound */
    IMAGXP_BUFFER_TOO_SMALL = -108,
    /* 500: `now` is not a time after 1970: set the clock before verifying */
    IMAGXP_CLOCK_UNKNOWN = -109,
    /*
     * 500: the policy is not valid: an unknown member, a wrong type, or a value outside its bounds
     */
    IMAGXP_POLICY_INVALID = -110,
    /*
     * 500: the private key is not a P-256 key in PKCS#8, SEC1 or JWK form, or its public part does
     * not match
     */
    IMAGXP_PRIVKEY_INVALID = -111,
    /*
     * 500: the signature just made does not verify: the hardware or the memory is faulty; nothing
     * was sent
     */
    IMAGXP_SIGN_FAULT = -112,
    /*
     * 500: the address is not one that a verifier may connect to: it is private, local or reserved
     */
    IMAGXP_HOST_FORBIDDEN = -113,

    /* -2xx: the request is malformed. */

    /* 431: the IMAGXP headers together exceed 12,288 bytes */
    IMAGXP_HEADERS_TOO_LARGE = -201,
    /* 400: an IMAGXP header appears twice: send each once */
    IMAGXP_HEADER_DUPLICATE = -202,
    /* 400: an IMAGXP header holds a byte outside 0x21..0x7E: send printable ASCII without spaces */
    IMAGXP_HEADER_BYTES = -203,
    /*
     * 401: some IMAGXP headers are there but not all: send x-imagxp-payload, x-imagxp-signature and
     * x-imagxp-public-key together
     */
    IMAGXP_HEADERS_PARTIAL = -204,
    /* 400: a header and its alias, or an informational header and the payload, disagree */
    IMAGXP_HEADERS_CONTRADICT = -205,
    /* 401: this site admits verified agents only: sign the request */
    IMAGXP_IDENTITY_REQUIRED = -206,
    /* 431: x-imagxp-payload exceeds 4,096 characters */
    IMAGXP_PAYLOAD_TOO_LARGE = -207,
    /* 400: x-imagxp-payload is not strict padded standard base64 */
    IMAGXP_BASE64_INVALID = -208,
    /* 400: not lower-case hexadecimal of even length */
    IMAGXP_HEX_INVALID = -209,
    /* 400: not strict unpadded base64url */
    IMAGXP_BASE64URL_INVALID = -210,
    /* 400: x-imagxp-signature is not exactly 128 lower-case hex digits (r || s) */
    IMAGXP_SIGNATURE_FORMAT = -211,
    /*
     * 400: the public key is not the base64 of an uncompressed P-256 SPKI: 124 characters beginning
     * MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE (samples that begin MFKw are a misprint)
     */
    IMAGXP_KEY_FORMAT = -212,
    /* 431: a token exceeds 4,096 characters */
    IMAGXP_JWT_TOO_LARGE = -213,
    /* 400: the feedback is not a valid signed object of at most 2,048 characters */
    IMAGXP_FEEDBACK_INVALID = -214,
    /*
     * 400: the JSON is not UTF-8 without BOM: do not encode it as Latin-1 (btoa); escape non-ASCII
     * as \uXXXX
     */
    IMAGXP_JSON_UTF8 = -215,
    /* 400: the JSON does not follow RFC 8259, or it is not one object */
    IMAGXP_JSON_SYNTAX = -216,
    /* 400: the JSON nests deeper than 4 levels */
    IMAGXP_JSON_DEPTH = -217,
    /* 400: the JSON has more than 32 members in an object, 16 in an array, or 64 values in all */
    IMAGXP_JSON_TOO_MANY_MEMBERS = -218,
    /* 400: a JSON member name exceeds 64 bytes */
    IMAGXP_JSON_KEY_TOO_LONG = -219,
    /* 400: a JSON member name appears twice in one object */
    IMAGXP_JSON_DUPLICATE_KEY = -220,
    /* 400: a JSON string exceeds 2,048 bytes */
    IMAGXP_JSON_STRING_TOO_LONG = -221,
    /* 400: a JSON string holds half a surrogate pair */
    IMAGXP_JSON_LONE_SURROGATE = -222,
    /* 400: a JSON number overflows a double or exceeds 64 characters */
    IMAGXP_JSON_NUMBER_RANGE = -223,
    /* 400: a required payload member is missing: v, ts, nonce, agent_id, resource, purpose */
    IMAGXP_FIELD_MISSING = -224,
    /*
     * 400: a payload member has the wrong JSON type: all are strings, context is an object,
     * ads_displayed a boolean
     */
    IMAGXP_FIELD_TYPE = -225,
    /* 400: the payload's v is not "1.1" */
    IMAGXP_VERSION_UNSUPPORTED = -226,
    /* 400: purpose is none of CRAWL_TRAINING RAG_RETRIEVAL SUMMARY QUOTATION EMBEDDING */
    IMAGXP_PURPOSE_UNKNOWN = -227,
    /*
     * 400: agent_id is not a public domain name in lower case, without port, scheme or trailing dot
     */
    IMAGXP_AGENT_ID_INVALID = -228,
    /* 400: nonce is not 22 to 64 characters of A-Z a-z 0-9 _ -: send a UUIDv4 */
    IMAGXP_NONCE_INVALID = -229,
    /* 400: ts is not an RFC 3339 UTC time such as 2026-01-26T12:00:00.000Z */
    IMAGXP_TIMESTAMP_INVALID = -230,
    /*
     * 400: resource is not an absolute URL of at most 2,048 bytes without userinfo, backslash,
     * control bytes or dot segments
     */
    IMAGXP_RESOURCE_INVALID = -231,

    /* -3xx: not authentic, or not fresh. */

    /* 403: ts is older than the window: sign each request anew and check the clock */
    IMAGXP_TIMESTAMP_STALE = -301,
    /* 403: ts is further in the future than the skew allows: check the clock */
    IMAGXP_TIMESTAMP_FUTURE = -302,
    /* 403: the signed resource is not the URL that was requested */
    IMAGXP_RESOURCE_MISMATCH = -303,
    /* 403: the public key is not a point on P-256 */
    IMAGXP_KEY_INVALID = -304,
    /* 403: the signature does not verify over the canonical payload with the key that was sent */
    IMAGXP_SIGNATURE_INVALID = -305,
    /* 403: this nonce was used before: send a fresh nonce with every request */
    IMAGXP_REPLAY_DETECTED = -306,
    /*
     * 503: the request was signed before this verifier began to remember nonces (`accept_from` of
     * the replay cache): sign it anew
     */
    IMAGXP_RESTART_GUARD = -307,
    /* 503: the replay cache is full: retry later; operators: enlarge it (`imagxp size --rate`) */
    IMAGXP_REPLAY_CACHE_FULL = -308,
    /* 429: the replay cache is nearly full and this agent has used its share: slow down */
    IMAGXP_AGENT_QUOTA = -309,
    /* 503: the shared replay store did not answer: retry later */
    IMAGXP_REPLAY_STORE_DOWN = -310,
    /* 503: too many verifications are under way: retry later */
    IMAGXP_BUSY = -311,

    /* -4xx: the agent's identity. */

    /* 403: the key that was sent is not one that the agent's manifest publishes */
    IMAGXP_KEY_MISMATCH = -401,
    /* 403: the agent's manifest has revoked the key that was sent */
    IMAGXP_KEY_REVOKED = -402,
    /* 403: the agent's manifest exceeds 8,192 bytes */
    IMAGXP_MANIFEST_TOO_LARGE = -403,
    /* 403: the agent's manifest is not a valid JSON document with agent_id and public_key */
    IMAGXP_MANIFEST_INVALID = -404,
    /* 403: the manifest's agent_id is not the name it was fetched from */
    IMAGXP_MANIFEST_MISMATCH = -405,
    /*
     * 403: the agent's manifest could not be fetched: serve
     * https://{agent_id}/.well-known/imagxp-agent.json with status 200 and application/json,
     * without redirects
     */
    IMAGXP_MANIFEST_UNAVAILABLE = -406,
    /* 503: the agent's manifest is being fetched: retry in two seconds */
    IMAGXP_IDENTITY_PENDING = -407,
    /*
     * 403: the agent's identity could not be verified (the public code of every identity failure)
     */
    IMAGXP_IDENTITY_UNVERIFIED = -408,

    /* -5xx: policy and payment. */

    /* 403: the policy of this site does not admit this purpose */
    IMAGXP_PURPOSE_REFUSED = -501,
    /* 403: no IMAGXP headers, and the request does not look like a browser's: sign it */
    IMAGXP_VISITOR_REFUSED = -502,
    /*
     * 402: this site wants payment: buy a visa from its broker and send it in x-imagxp-credential
     */
    IMAGXP_VISA_REQUIRED = -503,
    /* 402: the visa's payment_status is not "paid" */
    IMAGXP_VISA_UNPAID = -504,
    /*
     * 402: the visa's amount is not a decimal above 0 with at most six places, or it is below the
     * price
     */
    IMAGXP_VISA_AMOUNT = -505,
    /* 403: the visa is bound to another agent or key, or it is unbound where binding is required */
    IMAGXP_VISA_BINDING = -506,
    /* 403: the visa was used before and is good for one request: buy a new one */
    IMAGXP_VISA_USED = -507,
    /* 403: the token is not a compact JWS of three base64url parts with a 64-byte signature */
    IMAGXP_JWT_FORMAT = -508,
    /*
     * 403: the token's header is not acceptable: typ JWT or imagxp-visa+jwt; no crit, b64, zip,
     * jwk, jku, x5u, x5c
     */
    IMAGXP_JWT_HEADER = -509,
    /* 403: the token's alg is not ES256 */
    IMAGXP_JWT_ALG = -510,
    /* 403: the issuer's key set has no usable key with the token's kid */
    IMAGXP_JWT_KEY_UNKNOWN = -511,
    /* 403: the token's iss is not a configured issuer */
    IMAGXP_JWT_ISSUER = -512,
    /* 403: the token's aud does not name this publisher */
    IMAGXP_JWT_AUDIENCE = -513,
    /* 403: the token has expired */
    IMAGXP_JWT_EXPIRED = -514,
    /* 403: the token's iat or nbf is in the future */
    IMAGXP_JWT_NOT_YET = -515,
    /* 403: the token's exp is more than 3,600 s after its iat */
    IMAGXP_JWT_LIFETIME = -516,
    /* 403: a claim of the token is missing, of the wrong type, or out of range */
    IMAGXP_JWT_CLAIMS = -517,
    /* 403: the token's sub is not the agent that signed the request */
    IMAGXP_JWT_SUBJECT = -518,
    /*
     * 503: the issuer's key set cannot be had at the moment: retry later, the payment is not lost
     */
    IMAGXP_JWKS_UNAVAILABLE = -519,
    /* 503: the issuer's key set exceeds 65,536 bytes */
    IMAGXP_JWKS_TOO_LARGE = -520,
    /*
     * 503: the issuer's key set is not a JSON object with 1 to 32 keys of at most 16 KiB each, one
     * of them usable
     */
    IMAGXP_JWKS_INVALID = -521,
    /* 503: two usable keys of the issuer's key set have the same kid */
    IMAGXP_JWKS_DUPLICATE_KID = -522,
    /*
     * 503: the issuer's key set publishes a private key: that key is skipped; its owner must
     * replace it
     */
    IMAGXP_JWK_PRIVATE_EXPOSED = -523
};

/* Names on the wire. */
#define IMAGXP_HEADER_PAYLOAD         "x-imagxp-payload"
#define IMAGXP_HEADER_SIGNATURE       "x-imagxp-signature"
#define IMAGXP_HEADER_PUBLIC_KEY      "x-imagxp-public-key"
#define IMAGXP_HEADER_KEY             "x-imagxp-key"
#define IMAGXP_HEADER_CREDENTIAL      "x-imagxp-credential"
#define IMAGXP_HEADER_PROOF           "x-imagxp-proof"
#define IMAGXP_HEADER_BROKER          "x-imagxp-broker"
#define IMAGXP_HEADER_PRICE           "x-imagxp-price"
#define IMAGXP_HEADER_FEEDBACK        "x-imagxp-feedback"
#define IMAGXP_HEADER_CONTENT_ORIGIN  "x-imagxp-content-origin"
#define IMAGXP_HEADER_PROVENANCE_SIG  "x-imagxp-provenance-sig"
#define IMAGXP_HEADER_PROVENANCE_TS   "x-imagxp-provenance-ts"
#define IMAGXP_MANIFEST_PATH          "/.well-known/imagxp-agent.json"
#define IMAGXP_POLICY_PATH            "/.well-known/imagxp-policy.json"
#define IMAGXP_JWKS_PATH              "/.well-known/jwks.json"
#define IMAGXP_PRODUCT                "IMAGXP/1.1"

/* Who came. */
#define IMAGXP_VERIFIED_AGENT 1

/* No IMAGXP headers, but the signs of a browser. */
#define IMAGXP_LIKELY_HUMAN 2

/* Anything else that the policy admits. */
#define IMAGXP_UNIDENTIFIED_BOT 3

/* What the agent wants the content for. */
#define IMAGXP_CRAWL_TRAINING 1

/* To answer a question with retrieved text. */
#define IMAGXP_RAG_RETRIEVAL 2

/* To summarise. */
#define IMAGXP_SUMMARY 3

/* To quote. */
#define IMAGXP_QUOTATION 4

/* To compute embeddings. */
#define IMAGXP_EMBEDDING 5

/* The signature binds nothing of the request: the policy says `resource_binding: off`. */
#define IMAGXP_BOUND_NOTHING 0

/* It binds scheme and authority. */
#define IMAGXP_BOUND_AUTHORITY 1

/* It binds scheme, authority, path and query. */
#define IMAGXP_BOUND_EXACT 2

/* Nothing was paid: the policy does not ask. */
#define IMAGXP_PROOF_NONE 0

/* Paid by a visa. */
#define IMAGXP_PROOF_VISA 1

/* On the host's whitelist. */
#define IMAGXP_PROOF_WHITELIST 2

/* Paid by showing ads. */
#define IMAGXP_PROOF_AD 3

/*
 * `imagxp_key_public`: base64 of SPKI, 124 characters, as headers, manifests and
 * `IMAGXP_PUBLIC_KEY` have it. `imagxp_key_export`: base64 of PKCS#8, 184 characters, as
 * `IMAGXP_PRIVATE_KEY` has it.
 */
#define IMAGXP_FORMAT_TEXT 1

/* PEM, with newlines. */
#define IMAGXP_FORMAT_PEM 2

/* DER: SPKI, 91 bytes; PKCS#8, 138 bytes. */
#define IMAGXP_FORMAT_DER 3

/* A JWK. */
#define IMAGXP_FORMAT_JWK 4

/* `imagxp_key_public` only: the RFC 7638 thumbprint, 43 characters. */
#define IMAGXP_FORMAT_KID 5

/*
 * `imagxp_request_sign`: verify the signature before it leaves, so that a fault of the hardware
 * cannot give the key away.
 */
#define IMAGXP_SIGN_CHECK 1

/* `imagxp_host_check_agent_id`: public domain names only. */
#define IMAGXP_MODE_PRODUCTION 0

/* Also `localhost`, with a port or without. Never on a public site. */
#define IMAGXP_MODE_DEVELOPMENT 1

/* `imagxp_visa_verify`: a visa, of the policy's broker. */
#define IMAGXP_ROLE_BROKER 1

/* An ad proof, of the policy's ad network. */
#define IMAGXP_ROLE_AD_NETWORK 2

/* `imagxp_record.kind`: a document as it was fetched. */
#define IMAGXP_RECORD_DOCUMENT 1

/* A request and its verdict. */
#define IMAGXP_RECORD_DECISION 2

/* What the publisher signed: the lines before. */
#define IMAGXP_RECORD_CHECKPOINT 3

/* `imagxp_record.fault`: none. */
#define IMAGXP_FAULT_NONE 0

/* Not a line that this library writes: its bytes were changed. */
#define IMAGXP_FAULT_NOT_A_RECORD 1

/* The content of a record in another spelling: its bytes were changed. */
#define IMAGXP_FAULT_NOT_CANONICAL 2

/* The document's body is not the one whose SHA-256 it states. */
#define IMAGXP_FAULT_BODY 3

/*
 * It does not follow on the line before: that one was changed, or lines between the two are gone.
 */
#define IMAGXP_FAULT_CHAIN 4

/* It follows on the line before the previous one: the previous one does not belong there. */
#define IMAGXP_FAULT_PREVIOUS 5

/* A checkpoint states another number of lines: some were added, or are gone. */
#define IMAGXP_FAULT_COUNT 6

/* A checkpoint by a key that is none of the publisher's. */
#define IMAGXP_FAULT_KEY 7

/* A signature does not verify. */
#define IMAGXP_FAULT_SIGNATURE 8

/* The recorded documents do not bear out the verdict. */
#define IMAGXP_FAULT_DOCUMENT 9

/* `imagxp_findings`: the record holds nothing to ask about: no signature, no visa. */
#define IMAGXP_FINDING_ABSENT 0

/* It cannot be told: the document is not among those given. */
#define IMAGXP_FINDING_UNKNOWN 1

/* It is so. What is not so is the code that says why, below 0. */
#define IMAGXP_FINDING_PROVEN 2

/* Made for search engines. */
#define IMAGXP_REASON_SEO_SPAM 1

/* Wrong. */
#define IMAGXP_REASON_INACCURATE 2

/* Hateful. */
#define IMAGXP_REASON_HATE_SPEECH 3

/* Good. */
#define IMAGXP_REASON_HIGH_QUALITY 4

/* Poor. */
#define IMAGXP_REASON_LOW_QUALITY_SPAM 5

/* `imagxp_judgement.outcome`: the score is above a half, and the publisher gets the payment. */
#define IMAGXP_OUTCOME_RELEASE 1

/* It is below, and the publisher does not. */
#define IMAGXP_OUTCOME_WITHHOLD 2

/* It is exactly a half. */
#define IMAGXP_OUTCOME_UNCHANGED 3

/* `imagxp_provenance_sign`: made by people. */
#define IMAGXP_ORIGIN_HUMAN 1

/* Made by machines. */
#define IMAGXP_ORIGIN_SYNTHETIC 2

/* Both. */
#define IMAGXP_ORIGIN_HYBRID 3

/* `imagxp_visit.vouched`: the request came through Cloudflare, so that its headers count. */
#define IMAGXP_VOUCHED_CLOUDFLARE 1

/* The request came through Vercel. */
#define IMAGXP_VOUCHED_VERCEL 2

/* The request came through CloudFront. */
#define IMAGXP_VOUCHED_CLOUDFRONT 4

/* The agent is on the host's whitelist: no payment is wanted of it. */
#define IMAGXP_VOUCHED_WHITELISTED 256

/* `imagxp_need.kind`: no document. */
#define IMAGXP_NEED_NOTHING 0

/* The manifest of an agent. */
#define IMAGXP_NEED_MANIFEST 1

/* The JWK Set of a configured issuer. */
#define IMAGXP_NEED_JWKS 2

/* `imagxp_answer.kind`: status 200, with `application/json`, `+json` or no media type. */
#define IMAGXP_FOUND 1

/*
 * The server answered, and it was not the document: another status below 500, a redirect, another
 * media type.
 */
#define IMAGXP_NOT_THERE 2

/* No answer: name, address, connection, TLS, time-out, 429 or 5xx. */
#define IMAGXP_UNREACHABLE 3

/* `imagxp_terms.flags`: training and embedding are admitted. */
#define IMAGXP_TERMS_TRAINING 1

/* Retrieval, summaries and quotations are admitted. */
#define IMAGXP_TERMS_RAG 2

/* A visa, the whitelist or an ad proof is wanted. */
#define IMAGXP_TERMS_PAYMENT 4

/* An ad proof may stand for a visa. */
#define IMAGXP_TERMS_ADS 8

/* A key must be bound to its domain. */
#define IMAGXP_TERMS_IDENTITY 16

/* A visa is good for one request. */
#define IMAGXP_TERMS_SINGLE_USE 32

/* Attribution is asked for. */
#define IMAGXP_TERMS_ATTRIBUTION 64

/*
 * The policy is for development: localhost names and plain http to loopback are good. Say so loudly
 * in the log.
 */
#define IMAGXP_TERMS_DEVELOPMENT 128

/* A manifest or key set that is past its time is fetched before it counts. */
#define IMAGXP_TERMS_FRESH 256

/* `imagxp_verified.flags`: the request was signed. */
#define IMAGXP_SIGNED 1

/* The agent shows ads beside the content. */
#define IMAGXP_ADS_DISPLAYED 2

/* The visa or ad proof names its holder. */
#define IMAGXP_TOKEN_BOUND 4

/* The visa is good for this request only; `imagxp_request_admit` remembers it. */
#define IMAGXP_SINGLE_USE 8

/*
 * Set by `imagxp_request_admit`: the host's clock was set back by more than two seconds. Look at
 * it.
 */
#define IMAGXP_CLOCK_STEPPED_BACK 16

/* `imagxp_story_*`: for people, `12:00:00.000 | CRYPTO | CHECK: ECDSA P-256 signature VALID`. */
#define IMAGXP_STORY_TEXT 0

/* For machines, a JSON object a line: `at`, `module`, `event`, and the event's own members. */
#define IMAGXP_STORY_JSON 1

/* Version of this interface: what `imagxp_abi_version` says in a library of the same age. */
#define IMAGXP_ABI 1

/* Words of every policy: 4 KiB. */
#define IMAGXP_POLICY_WORDS 512

/* Scratch that every request fits, with every policy. A request of usual size takes 2,048 bytes. */
#define IMAGXP_SCRATCH_LEN 12288

/* The buffer that every signed request fits. 900 bytes do for most. */
#define IMAGXP_SIGNED_LEN 4348

/* The buffer that the headers of every response fit. */
#define IMAGXP_PROVENANCE_LEN 152

/* Scratch that every feedback fits. */
#define IMAGXP_FEEDBACK_LEN 4096

/*
 * A compiled policy: `IMAGXP_POLICY_WORDS` words without pointers, fit for flash and shared memory.
 */
typedef struct imagxp_policy imagxp_policy;

/* Bytes to read. NULL with length 0 is empty; the text need not end in NUL. */
typedef struct imagxp_str {
    /* The first byte. */
    const char *ptr;
    /* Bytes. */
    size_t len;
} imagxp_str;

/*
 * What a call says: 0 done, above 0 one more step, below 0 refused, by the numbers of `enum
 * imagxp_code`.
 */
typedef int32_t imagxp_status;

/* Bytes to write. */
typedef struct imagxp_buf {
    /* The first byte. */
    uint8_t *ptr;
    /* Bytes. */
    size_t len;
} imagxp_buf;

/*
 * A text inside a buffer that the same call was given: `IMAGXP_TEXT(buffer, span)` is its
 * `imagxp_str`. It holds no pointer, so whatever holds spans can be copied, kept, and live in any
 * memory; the buffer must live as long.
 */
typedef struct imagxp_span {
    /* Where it begins. */
    uint32_t at;
    /* Bytes; 0 is no text. */
    uint32_t len;
} imagxp_span;

/* A document that is wanted. The texts lie in the scratch of the call that said so. */
typedef struct imagxp_need {
    /* `IMAGXP_NEED_*` */
    int32_t kind;
    /*
     * 1: the URL is the operator's own. 0: its host came from a stranger. Resolve it, ask
     * `imagxp_host_may_connect` of every address, connect to the address that was asked about, on
     * port 443, with TLS, and follow no redirect.
     */
    int32_t configured;
    /* Read at most one byte more than this. A longer body is supplied as it is, and refused. */
    uint32_t max_len;
    /*
     * Ties it to the texts in its scratch. The library's own; 0 in a need that you made yourself,
     * for a document that you have at hand.
     */
    uint32_t check;
    /* Where it is. */
    struct imagxp_span url;
    /*
     * The URL's host, with its port if it names one: the key to fetch each document once for all
     * who wait for it.
     */
    struct imagxp_span host;
} imagxp_need;

/* What a policy says. Begin with `IMAGXP_INIT(&terms)`. */
typedef struct imagxp_terms {
    /* `sizeof (imagxp_terms)` */
    size_t size;
    /* `IMAGXP_TERMS_*` */
    uint32_t flags;
    /* Visitors without headers: 0 all are admitted, 1 likely browsers, 2 nobody. */
    int32_t strategy;
    /* How old a signed time may be. */
    uint32_t window_ms;
    /* How far in the future it may be. */
    uint32_t skew_ms;
    /* What a request costs, millionths of the unit; 0 is any amount. */
    int64_t price_micros;
    /* The price as `x-imagxp-price` shows it: `0.001`. Empty when there is none. */
    struct imagxp_span price;
    /* Where visas are sold, for `x-imagxp-broker`. Empty if nowhere. */
    struct imagxp_span broker_url;
    /* The payment pointer, if there is one. */
    struct imagxp_span payment_pointer;
} imagxp_terms;

/* What a key cache is to hold. */
typedef struct imagxp_key_cache_sizes {
    /* Agents, the refused ones included: 4,096 for a server, 256 for a gateway, 8 for a chip. */
    uint32_t names;
    /* Issuers of tokens: at least as many as the policies name. */
    uint32_t issuers;
    /* Prepared keys: 128 for a server, none for a chip. */
    uint32_t tables;
    /*
     * KiB of a prepared key: 2, 8, 16, 32, 64 or 320. 64 verify fastest, 8 in a tenth of the memory
     * are near.
     */
    uint32_t table_kib;
} imagxp_key_cache_sizes;

/* A view of the words that hold a key cache: make one wherever it is needed, copy it freely. */
typedef struct imagxp_key_cache {
    /* The words, the caller's. */
    uint64_t *words;
    /* How many. */
    size_t len;
} imagxp_key_cache;

/* What came of a fetch. */
typedef struct imagxp_answer {
    /* `IMAGXP_FOUND`, `IMAGXP_NOT_THERE` or `IMAGXP_UNREACHABLE`. */
    int32_t kind;
    /* `max-age` of `Cache-Control`; -1 when there is none. */
    int32_t max_age_s;
    /* With `IMAGXP_FOUND`: the body. */
    struct imagxp_str body;
} imagxp_answer;

/* A view of the words that hold a replay cache: make one wherever it is needed, copy it freely. */
typedef struct imagxp_replay_cache {
    /* The words, the caller's. */
    uint64_t *words;
    /* How many. */
    size_t len;
} imagxp_replay_cache;

/* Counts of a replay cache, for dashboards. Begin with `IMAGXP_INIT(&stats)`. */
typedef struct imagxp_replay_stats {
    /* `sizeof (imagxp_replay_stats)` */
    size_t size;
    /* Entries that fit. */
    uint64_t slots;
    /* Entries in use, those included that have expired and were not yet swept. */
    uint64_t live;
    /* The part of them that belongs to names first seen less than an hour ago. */
    uint64_t live_of_new_names;
    /* Requests admitted. */
    uint64_t admitted;
    /* Refused: used before. */
    uint64_t refused_used;
    /* Refused: no room. */
    uint64_t refused_full;
    /* Refused: over quota. */
    uint64_t refused_quota;
    /* Calls whose `now_ms` lay more than two seconds behind an earlier one's. */
    uint64_t clock_steps_back;
    /* The latest time that the cache was told. */
    int64_t clock_ms;
} imagxp_replay_stats;

/*
 * A header of a request, as it came. Give each header line on its own: never join two with a comma.
 */
typedef struct imagxp_header {
    /* In any case. */
    struct imagxp_str name;
    /* Raw, without the white space around it. */
    struct imagxp_str value;
} imagxp_header;

/* A request as the host received it, raw as on the wire. Begin with `IMAGXP_INIT(&visit)`. */
typedef struct imagxp_visit {
    /* `sizeof (imagxp_visit)` */
    size_t size;
    /* `GET` */
    struct imagxp_str method;
    /* `https` or `http`, as the client used it. */
    struct imagxp_str scheme;
    /*
     * The `Host` or `:authority` that this site answers for; behind a CDN the public one, from
     * configuration. A host that answers to any name must compare it with its own names first: else
     * a request signed for another site passes, and under a policy for `development` whoever writes
     * `Host: localhost` is judged by it.
     */
    struct imagxp_str authority;
    /* Path and query as received, before any rewriting: `/a?b=c`. */
    struct imagxp_str target;
    /* All headers of the request, or at least those that `imagxp_header_matters` names. */
    const struct imagxp_header *headers;
    /* How many. */
    size_t headers_len;
    /* What the host vouches for: `IMAGXP_VOUCHED_*`, or 0. */
    uint32_t vouched;
    /* 0 */
    uint32_t reserved;
} imagxp_visit;

/* What a request says, unproven: for logs. Begin with `IMAGXP_INIT(&unproven)`. */
typedef struct imagxp_unproven {
    /* `sizeof (imagxp_unproven)` */
    size_t size;
    /* `IMAGXP_SIGNED` when the request carries IMAGXP headers; `IMAGXP_ADS_DISPLAYED`. */
    uint32_t flags;
    /* `IMAGXP_CRAWL_TRAINING` and its like, or 0. */
    int32_t purpose;
    /*
     * Who claims to have signed; it has passed the grammar of names. Empty when a field is in
     * doubt.
     */
    struct imagxp_span agent_id;
    /* The URL. */
    struct imagxp_span resource;
    /* The nonce. */
    struct imagxp_span nonce;
    /* The payload JSON as received. */
    struct imagxp_span payload;
    /* When the agent says it signed; 0 when in doubt. */
    int64_t ts_ms;
} imagxp_unproven;

/*
 * What verification found, without a pointer: the texts lie in the scratch of the call. Begin with
 * `IMAGXP_INIT(&verified)`.
 */
typedef struct imagxp_verified {
    /* `sizeof (imagxp_verified)` */
    size_t size;
    /*
     * `IMAGXP_NEED`, `IMAGXP_VERIFIED`, or `IMAGXP_OK` once admitted: what the last call answered.
     */
    int32_t status;
    /* `IMAGXP_SIGNED` and its like. */
    uint32_t flags;
    /* `IMAGXP_VERIFIED_AGENT`, `IMAGXP_LIKELY_HUMAN` or `IMAGXP_UNIDENTIFIED_BOT`. */
    int32_t visitor;
    /* `IMAGXP_CRAWL_TRAINING` and its like; 0 when the visitor did not sign. */
    int32_t purpose;
    /* `IMAGXP_BOUND_*`: what of the request the signature binds. */
    int32_t bound;
    /* `IMAGXP_PROOF_*`: what it was paid with. */
    int32_t proof;
    /* With `IMAGXP_NEED`: the document to fetch. */
    struct imagxp_need need;
    /*
     * A hint: this document is past its time. Fetch and supply it after answering, once for all who
     * see it.
     */
    struct imagxp_need refresh;
    /* Who signed. Proven if `visitor` is `IMAGXP_VERIFIED_AGENT`; else a claim. */
    struct imagxp_span agent_id;
    /* The URL that was signed. */
    struct imagxp_span resource;
    /* The request's nonce. */
    struct imagxp_span nonce;
    /* The payload JSON as received. */
    struct imagxp_span payload;
    /* The RFC 7638 thumbprint of the key that signed. */
    struct imagxp_span kid;
    /* The issuer of the visa or ad proof. */
    struct imagxp_span issuer;
    /* Its `jti`, if it has one. */
    struct imagxp_span jti;
    /* When the agent signed. */
    int64_t ts_ms;
    /* What the visa paid, millionths of the unit. */
    int64_t amount_micros;
    /* When the visa or ad proof expires, seconds since 1970. */
    int64_t expires_s;
    /* The policy's window. */
    uint32_t window_ms;
    /* Ties it to the texts in its scratch. The library's own. */
    uint32_t check;
    /* The key in the cache. The library's own: `imagxp_request_admit` makes `prepare` of it. */
    uint64_t key;
    /*
     * A hint of `imagxp_request_admit`: the agent is busy. `imagxp_key_cache_prepare` this after
     * answering; 0 is none.
     */
    uint64_t prepare;
    /*
     * For the evidence: the SHA-256 of the manifest that lists the key; zeros if the agent is not
     * verified.
     */
    uint8_t manifest_sha256[32];
    /*
     * The SHA-256 of the key set that lists the key of the visa or ad proof; zeros if there is
     * none.
     */
    uint8_t jwks_sha256[32];
    /* That key: `x` and `y`. */
    uint8_t token_key[2][32];
} imagxp_verified;

/* What stands for a nonce or a `jti` in a store elsewhere. */
typedef struct imagxp_tag {
    /* The key: `SET bytes 1 NX`. */
    uint8_t bytes[16];
    /* The second at which the store may forget it; 0 is no tag. */
    int64_t expiry_s;
} imagxp_tag;

/*
 * A request in one piece, where every pointer handed over costs something (ctypes, cgo). Begin with
 * `IMAGXP_INIT(&packed)`.
 */
typedef struct imagxp_packed {
    /* `sizeof (imagxp_packed)` */
    size_t size;
    /*
     * Method, scheme, authority and target, and then name and value of each header, each as in
     * `imagxp_visit`, with one NUL between two and none at the end:
     * `GET\0https\0pub.example.com\0/a?b=c\0user-agent\0curl`. A NUL within a field is refused,
     * never read as two fields.
     */
    struct imagxp_str fields;
    /* How many fields: 4, and 2 for each header. */
    uint32_t count;
    /* What the host vouches for: `IMAGXP_VOUCHED_*`, or 0. */
    uint32_t vouched;
} imagxp_packed;

/*
 * A private key and its public key, in the caller's memory. The words are this library's own: to
 * keep a key, use `imagxp_key_export`; when done, `imagxp_key_wipe`.
 */
typedef struct imagxp_key {
    /* Nobody's business. */
    uint64_t opaque[16];
} imagxp_key;

/* What an agent says about one request. Begin with `IMAGXP_INIT(&claims)`. */
typedef struct imagxp_claims {
    /* `sizeof (imagxp_claims)` */
    size_t size;
    /* The agent's domain: `bot.example.com`. */
    struct imagxp_str agent_id;
    /* The absolute URL that is asked for. */
    struct imagxp_str resource;
    /* `IMAGXP_CRAWL_TRAINING` and its like. */
    int32_t purpose;
    /* 1 when the agent shows ads beside the content, else 0. */
    int32_t ads_displayed;
} imagxp_claims;

/*
 * The headers to send: spans of the buffer that the call was given. Begin with
 * `IMAGXP_INIT(&headers)`.
 */
typedef struct imagxp_signed {
    /* `sizeof (imagxp_signed)` */
    size_t size;
    /* How long the buffer must be: stored with `IMAGXP_OK`, and with `IMAGXP_BUFFER_TOO_SMALL`. */
    size_t needed;
    /* `IMAGXP_HEADER_PAYLOAD` */
    struct imagxp_span payload;
    /* `IMAGXP_HEADER_SIGNATURE` */
    struct imagxp_span signature;
    /* `IMAGXP_HEADER_PUBLIC_KEY`, and once more as `IMAGXP_HEADER_KEY`. */
    struct imagxp_span public_key;
} imagxp_signed;

/* A key that a manifest lists beside the current one. */
typedef struct imagxp_listed_key {
    /* `IMAGXP_FORMAT_TEXT` or `IMAGXP_FORMAT_PEM`. */
    struct imagxp_str public_key;
    /* Not before, seconds since 1970; 0 is always. */
    int64_t nbf_s;
    /* Good until, seconds since 1970, exclusive; 0 is for ever. */
    int64_t exp_s;
} imagxp_listed_key;

/* A key that is good no more. */
typedef struct imagxp_revoked_key {
    /* `IMAGXP_FORMAT_KID` */
    struct imagxp_str kid;
    /* Revoked from this second on. */
    int64_t at_s;
} imagxp_revoked_key;

/* What an agent publishes at `IMAGXP_MANIFEST_PATH`. Begin with `IMAGXP_INIT(&manifest)`. */
typedef struct imagxp_manifest {
    /* `sizeof (imagxp_manifest)` */
    size_t size;
    /* The agent's domain. */
    struct imagxp_str agent_id;
    /* The current key: `IMAGXP_FORMAT_TEXT` or `IMAGXP_FORMAT_PEM`. */
    struct imagxp_str public_key;
    /* Whom to write to; may be empty. */
    struct imagxp_str contact_email;
    /* At most four keys for rotation: the next one, the last one. */
    const struct imagxp_listed_key *keys;
    /* How many. */
    size_t keys_len;
    /* At most sixteen. */
    const struct imagxp_revoked_key *revoked;
    /* How many. */
    size_t revoked_len;
} imagxp_manifest;

/*
 * The headers to send with a response: spans of the buffer that the call was given. Begin with
 * `IMAGXP_INIT(&provenance)`.
 */
typedef struct imagxp_provenance {
    /* `sizeof (imagxp_provenance)` */
    size_t size;
    /* How long the buffer must be: stored with `IMAGXP_OK`, and with `IMAGXP_BUFFER_TOO_SMALL`. */
    size_t needed;
    /* `IMAGXP_HEADER_CONTENT_ORIGIN` */
    struct imagxp_span origin;
    /* `IMAGXP_HEADER_PROVENANCE_SIG` */
    struct imagxp_span signature;
    /* `IMAGXP_HEADER_PROVENANCE_TS` */
    struct imagxp_span ts;
} imagxp_provenance;

/* A document that was fetched while a request waited. */
typedef struct imagxp_fetch {
    /* `imagxp_need.kind` */
    int32_t kind;
    /* `imagxp_answer.kind` */
    int32_t found;
    /* The text of `imagxp_need.url`. */
    struct imagxp_str url;
    /* Bytes of the body. */
    uint64_t len;
    /* When `imagxp_request_verify` asked for it. */
    int64_t asked_ms;
    /* When it was supplied. */
    int64_t answered_ms;
    /*
     * For the evidence: what `imagxp_evidence_document` gave when it was recorded; zeros if it was
     * not.
     */
    uint8_t sha256[32];
} imagxp_fetch;

/* How a request was decided. Begin with `IMAGXP_INIT(&decision)`. */
typedef struct imagxp_decision {
    /* `sizeof (imagxp_decision)` */
    size_t size;
    /* `IMAGXP_OK` of `imagxp_request_admit`, or the refusal that ended it. */
    int32_t status;
    /* 0 */
    uint32_t reserved;
    /* When the request came: the `now_ms` of `imagxp_request_verify`. */
    int64_t received_ms;
    /* When the decision fell. */
    int64_t decided_ms;
    /* The documents that were fetched for it, in their order; at most four. */
    const struct imagxp_fetch *fetches;
    /* How many. */
    size_t fetches_len;
} imagxp_decision;

/* How an agent's request went. Begin with `IMAGXP_INIT(&sent)`. */
typedef struct imagxp_sent {
    /* `sizeof (imagxp_sent)` */
    size_t size;
    /* When it was signed. */
    int64_t signed_ms;
    /* When it was sent; 0 if it was not. */
    int64_t sent_ms;
    /* When the answer came; 0 if none did. */
    int64_t answered_ms;
    /* The `error` of the answer's body; empty if it has none. */
    struct imagxp_str error;
    /* The HTTP status of the answer. */
    uint32_t http_status;
    /* 0 */
    uint32_t reserved;
} imagxp_sent;

/* How a broker's sale went. Begin with `IMAGXP_INIT(&sale)`. */
typedef struct imagxp_sale {
    /* `sizeof (imagxp_sale)` */
    size_t size;
    /* Who buys. */
    struct imagxp_str agent_id;
    /* For which publisher. */
    struct imagxp_str audience;
    /* The visa's `jti`; empty if it has none, or if there is no visa. */
    struct imagxp_str jti;
    /* What it costs, millionths of the unit. */
    int64_t amount_micros;
    /* When it was asked for. */
    int64_t asked_ms;
    /* When it was answered. */
    int64_t answered_ms;
    /* `IMAGXP_OK`, or why there is no visa. */
    int32_t status;
    /* 0 */
    uint32_t reserved;
} imagxp_sale;

/* Where a log ends: what its next line follows on. Of an empty log all is 0. */
typedef struct imagxp_head {
    /* The SHA-256 of the last line, without its newline. */
    uint8_t hash[32];
    /* How many lines there are. */
    uint64_t count;
} imagxp_head;

/*
 * A log that is being verified. Begin with `IMAGXP_INIT(&log)`; to go on from a head that is
 * trusted, set `head`, `before` to its `hash`, and `sealed` to its `count`.
 */
typedef struct imagxp_log {
    /* `sizeof (imagxp_log)` */
    size_t size;
    /* Where the chain is: a writer goes on from here. */
    struct imagxp_head head;
    /* The hash of the line before the last. */
    uint8_t before[32];
    /* The last good checkpoint's line: what lies behind it is chained, but not signed. */
    uint64_t sealed;
    /* The library's own. */
    int64_t shift;
    /*
     * Bytes of the lines: a writer cuts the file here before it goes on, for a last line without a
     * newline is torn.
     */
    uint64_t bytes;
    /* How many faults were found. */
    uint64_t faults;
} imagxp_log;

/* One line, read. Begin with `IMAGXP_INIT(&record)`. */
typedef struct imagxp_record {
    /* `sizeof (imagxp_record)` */
    size_t size;
    /* `IMAGXP_RECORD_*`; 0 with a fault. */
    int32_t kind;
    /* `IMAGXP_FAULT_*` */
    int32_t fault;
    /* Which line it is, from 1. */
    uint64_t line;
    /*
     * With `IMAGXP_FAULT_COUNT`: how many lines the checkpoint states, and how many there are
     * before it.
     */
    uint64_t stated;
    /* See `stated`. */
    uint64_t found;
    /* When the document was fetched, the request came, or the checkpoint was signed. */
    int64_t at_ms;
    /* A decision: when it fell. */
    int64_t decided_ms;
    /* A decision: `IMAGXP_OK`, or the refusal. */
    int32_t status;
    /* A decision: how many documents it rests on. */
    uint32_t documents_len;
    /* A decision: their SHA-256, by which to find their lines. */
    uint8_t documents[4][32];
    /* A document: its own. */
    uint8_t sha256[32];
    /* A document: where from; a span of the line. */
    struct imagxp_span url;
} imagxp_record;

/*
 * What one decision proves: each an `IMAGXP_FINDING_*`, or a code below 0. Begin with
 * `IMAGXP_INIT(&findings)`.
 */
typedef struct imagxp_findings {
    /* `sizeof (imagxp_findings)` */
    size_t size;
    /* This key signed this payload. */
    int32_t signature;
    /* This host served this key for this name, to the log's writer, at the time of the document. */
    int32_t manifest;
    /* The recorded key signed the visa or ad proof. */
    int32_t visa;
    /* The recorded key set lists that key under the token's `kid`. */
    int32_t visa_key;
    /* The signed `resource` is the recorded request's, as far as the verdict says. */
    int32_t bound;
    /* `IMAGXP_FAULT_SIGNATURE` or `_DOCUMENT` if they do not bear out the verdict. */
    int32_t fault;
} imagxp_findings;

/* What an agent has to say. Begin with `IMAGXP_INIT(&feedback)`. */
typedef struct imagxp_feedback {
    /* `sizeof (imagxp_feedback)` */
    size_t size;
    /* Who says it. */
    struct imagxp_str agent_id;
    /* What was fetched, at most 2,048 bytes. */
    struct imagxp_str url;
    /* Whom it is for: the broker, or the publisher. */
    struct imagxp_str audience;
    /* Its own name, 1 to 128 bytes: by it a broker knows a repetition. */
    struct imagxp_str jti;
    /* The `jti` of the visa that paid for it; may be empty. */
    struct imagxp_str visa;
    /*
     * The request that is judged: the value that it had for `IMAGXP_HEADER_PAYLOAD`; may be empty.
     */
    struct imagxp_str payload;
    /* How good it was, in millionths: 0 to 1,000,000. */
    uint32_t score;
    /* Why: `IMAGXP_REASON_*`. */
    int32_t reason;
} imagxp_feedback;

/*
 * Verified feedback. The texts lie in the scratch of the call. Begin with
 * `IMAGXP_INIT(&judgement)`.
 */
typedef struct imagxp_judgement {
    /* `sizeof (imagxp_judgement)` */
    size_t size;
    /* How good it was, in millionths, rounded down. */
    uint32_t score;
    /*
     * What that does to the payment, `IMAGXP_OUTCOME_*`: the exact score decides, not the rounded
     * one.
     */
    int32_t outcome;
    /* Why: bit `n` stands for the reason of number `n`. */
    uint32_t reasons;
    /* 0 */
    uint32_t reserved;
    /* When it was written. */
    int64_t ts_ms;
    /* What was fetched. Any text: print it with care. */
    struct imagxp_span url;
    /* Its own name; none in the reference's form. */
    struct imagxp_span jti;
    /* The `jti` of the visa that paid for it: the payment that the outcome is about. */
    struct imagxp_span visa;
    /*
     * The SHA-256 of the payload JSON (`imagxp_verified.payload`) that is judged; zeros if it names
     * none.
     */
    uint8_t request[32];
} imagxp_judgement;

/* What a visa says. Begin with `IMAGXP_INIT(&visa)`. */
typedef struct imagxp_visa {
    /* `sizeof (imagxp_visa)` */
    size_t size;
    /* The broker's URL, byte for byte as publishers configure it. */
    struct imagxp_str issuer;
    /* The publisher: `nytimes.com` or `https://nytimes.com`. */
    struct imagxp_str audience;
    /* Whom the visa is bound to: the verified agent. Empty: it is good for anybody who holds it. */
    struct imagxp_str agent_id;
    /* The agent's key, `IMAGXP_FORMAT_TEXT` or `_PEM`; with `agent_id` only. */
    struct imagxp_str public_key;
    /*
     * The visa's own name, 1 to 128 bytes: wanted by publishers for whom a visa is good for one
     * request. May be empty.
     */
    struct imagxp_str jti;
    /* Three to eight upper-case letters; informational, may be empty. */
    struct imagxp_str currency;
    /* What was paid, millionths of the unit, above 0. */
    int64_t amount_micros;
    /* 1 to 3,600 seconds. */
    uint32_t lifetime_s;
    /* What it was bought for: `IMAGXP_CRAWL_TRAINING` and its like, or 0; informational. */
    int32_t purpose;
} imagxp_visa;

/* A key that a broker publishes. */
typedef struct imagxp_published_key {
    /* The name by which its tokens choose it, 1 to 128 bytes. */
    struct imagxp_str kid;
    /* `IMAGXP_FORMAT_TEXT` or `IMAGXP_FORMAT_PEM`. */
    struct imagxp_str public_key;
} imagxp_published_key;

/* What a token says. The texts lie in the scratch of the call. Begin with `IMAGXP_INIT(&token)`. */
typedef struct imagxp_token {
    /* `sizeof (imagxp_token)` */
    size_t size;
    /* `IMAGXP_NEED` or `IMAGXP_VERIFIED`: what the call answered. */
    int32_t status;
    /* `IMAGXP_TOKEN_BOUND` */
    uint32_t flags;
    /* With `IMAGXP_NEED`: the key set to fetch. */
    struct imagxp_need need;
    /* A hint: the key set is past its time. Fetch and supply it after answering. */
    struct imagxp_need refresh;
    /* Who issued it. */
    struct imagxp_span issuer;
    /* Its `jti`, if it has one. */
    struct imagxp_span jti;
    /* What was paid, millionths of the unit; 0 in an ad proof. */
    int64_t amount_micros;
    /* When it expires, seconds since 1970. */
    int64_t expires_s;
} imagxp_token;

#ifdef __cplusplus
extern "C" {
#endif  /* __cplusplus */

/*
 * The `IMAGXP_ABI` of the library that was linked. It grows when functions or members are added; a
 * program runs with any library whose number is at least that of its header.
 */
uint32_t imagxp_abi_version(void);

/*
 * The name of a status, as the wire and the logs show it: `TIMESTAMP_STALE`. It lives for ever;
 * empty for an unknown number.
 */
struct imagxp_str imagxp_status_name(imagxp_status status);

/*
 * A sentence for the log and for tools: what was wrong, and what to mend. It lives for ever; empty
 * for an unknown number. Never send it to a remote client.
 */
struct imagxp_str imagxp_status_help(imagxp_status status);

/*
 * The HTTP status to answer with. 200 for `IMAGXP_OK` only: `IMAGXP_VERIFIED` that was not admitted
 * is the host's mistake, and so is an unknown number (500); `IMAGXP_NEED` that is not met is 503.
 */
int32_t imagxp_status_http(imagxp_status status);

/*
 * The status that a remote client may be told by name: every failure of an identity looks alike
 * there. All others stay as they are.
 */
imagxp_status imagxp_status_public(imagxp_status status);

/*
 * 1 if a key or a signature was checked before this was found, else 0: such a message costs as much
 * each time that it is sent, so charge its client for it. 0 for what this site alone is to blame
 * for: a restart, a store that is full or down.
 */
int32_t imagxp_status_is_behind_signature(imagxp_status status);

/*
 * Seconds for `Retry-After`; 0 for none. For `IMAGXP_REPLAY_CACHE_FULL` see
 * `imagxp_replay_cache_retry_after_s`.
 */
uint32_t imagxp_status_retry_after_s(imagxp_status status);

/*
 * Compiles a policy from its JSON into `memory`: `IMAGXP_POLICY_WORDS` words, which
 * `IMAGXP_POLICY(memory)` then names. An unknown member is refused: a typo must not open a site.
 *
 * Members, all optional: `allowTraining allowRAG attributionRequired allowAdSupportedAccess
 * requiresPayment` `requireIdentityBinding paymentPointer strategy monetization {brokerUrl,
 * paymentConfig, adNetwork} audiences price` `resource_binding visa_binding visa_single_use window
 * skew require_fresh` `development version` (docs/protocol.md section 6). An omitted switch is
 * false, but `requireIdentityBinding` is true. `strategy` is `PASSIVE` when omitted: visitors
 * without IMAGXP headers are admitted; `HYBRID` admits likely browsers, `STRICT` none. `imagxp
 * policy check FILE` says which member is wrong.
 *
 * A copy of the words is a policy, too. A refusal leaves `memory` as it was, so a policy can be
 * replaced in place.
 *
 * Errors: `POLICY_INVALID`; `ABI_STORAGE` when `words` is less than `IMAGXP_POLICY_WORDS`.
 */
imagxp_status imagxp_policy_parse(struct imagxp_str json,
                                  uint64_t *memory,
                                  size_t words);

/*
 * The documents to fetch at start, not at the first visitor: `IMAGXP_NEED` and the need for `index`
 * 0, 1, … and `IMAGXP_OK` behind the last. Its texts lie in `scratch`.
 *
 *     for (i = 0; imagxp_policy_document(policy, i, scratch, &need) == IMAGXP_NEED; i++)
 *         imagxp_key_cache_supply(&keys, &need, scratch, https_get(&need, scratch), now_ms);
 *
 * Errors: `ABI_STATE`: not a policy. `BUFFER_TOO_SMALL`
 */
imagxp_status imagxp_policy_document(const struct imagxp_policy *policy,
                                     size_t index,
                                     struct imagxp_buf scratch,
                                     struct imagxp_need *need);

/*
 * What a policy says: for the headers of a 402 answer, for the log at start, for a page that tells
 * agents the terms. The texts lie in `scratch`.
 *
 * Errors: `ABI_STATE`: not a policy. `BUFFER_TOO_SMALL`
 */
imagxp_status imagxp_policy_terms(const struct imagxp_policy *policy,
                                  struct imagxp_buf scratch,
                                  struct imagxp_terms *terms);

/*
 * Writes the discovery document to be served at `IMAGXP_POLICY_PATH` with status 200 and
 * `application/json`: what is admitted, what it costs and where to buy it. What is the publisher's
 * own business is left out. `needed`, which may be NULL, gets the length, with
 * `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_STATE`: not a policy.
 */
imagxp_status imagxp_policy_discovery(const struct imagxp_policy *policy,
                                      struct imagxp_buf out,
                                      size_t *needed);

/*
 * Words of a key cache; 0 if there cannot be one. `IMAGXP_KEY_CACHE_WORDS` is the same as a
 * constant.
 */
size_t imagxp_key_cache_words(struct imagxp_key_cache_sizes sizes);

/*
 * Makes an empty key cache in the words of `keys`. `seed` is 32 random bytes: they keep strangers
 * from choosing names that push out each other.
 *
 * Errors: `ABI_ARGUMENT`: sizes that cannot be. `ABI_STORAGE`: fewer words than
 * `imagxp_key_cache_words`.
 */
imagxp_status imagxp_key_cache_new(struct imagxp_key_cache *keys,
                                   struct imagxp_key_cache_sizes sizes,
                                   const uint8_t *seed);

/*
 * Takes what came of a fetch. `scratch` is the one that the need's texts lie in. It answers
 * `IMAGXP_OK` whatever the document said: the refusal, if it is one, comes from the next
 * `imagxp_request_verify`.
 *
 * Errors: `CLOCK_UNKNOWN`; `ABI_STATE`: not a key cache, or `scratch` is not the need's;
 * `ABI_ARGUMENT`: an unknown kind.
 */
imagxp_status imagxp_key_cache_supply(struct imagxp_key_cache *keys,
                                      const struct imagxp_need *need,
                                      struct imagxp_buf scratch,
                                      struct imagxp_answer found,
                                      int64_t now_ms);

/*
 * Gives the key of a busy agent a table (`imagxp_verified.prepare`), or more time with the one it
 * has: its requests then verify several times faster. Call it after answering: a table costs as
 * much as fifteen verifications. A key that has left the cache is passed over.
 *
 * Errors: `CLOCK_UNKNOWN`, `ABI_STATE`
 */
imagxp_status imagxp_key_cache_prepare(struct imagxp_key_cache *keys,
                                       uint64_t prepare,
                                       int64_t now_ms);

/*
 * An alarm: `JWK_PRIVATE_EXPOSED` when the last key set of this URL published a private key, else
 * `IMAGXP_OK`. Ask after supplying a JWK Set, and tell its owner.
 *
 * Errors: `ABI_STATE`
 */
imagxp_status imagxp_key_cache_alarm(const struct imagxp_key_cache *keys,
                                     struct imagxp_str jwks_url);

/*
 * Words of a replay cache for at least so many entries: requests a second times 360, plus
 * single-use visas a second times 3,605, and a quarter more. `IMAGXP_REPLAY_CACHE_WORDS` is the
 * same as a constant.
 */
size_t imagxp_replay_cache_words(size_t slots);

/*
 * Makes an empty replay cache with as many slots as the words of `replay` hold. `seed` is 32 random
 * bytes, secret; the same on all nodes that share a store. Requests signed before `accept_from_ms`
 * are refused, for an earlier cache may have admitted them: pass the time of the start, or 0 where
 * nothing was forgotten.
 *
 * Errors: `ABI_STORAGE`: fewer than `imagxp_replay_cache_words(1)`.
 */
imagxp_status imagxp_replay_cache_new(struct imagxp_replay_cache *replay,
                                      const uint8_t *seed,
                                      int64_t accept_from_ms);

/*
 * After `IMAGXP_REPLAY_CACHE_FULL`, still under the lock: seconds until there may be room, for
 * `Retry-After`; 1 to 600. 60 when the words are not a replay cache.
 */
uint32_t imagxp_replay_cache_retry_after_s(struct imagxp_replay_cache *replay);

/*
 * The counts, under the lock.
 *
 * Errors: `ABI_STATE`: not a replay cache.
 */
imagxp_status imagxp_replay_cache_stats(struct imagxp_replay_cache *replay,
                                        struct imagxp_replay_stats *stats);

/*
 * Whether a header of this name matters to `imagxp_request_verify`: 1 or 0. A host to which each
 * header costs something may leave out all others.
 */
int32_t imagxp_header_matters(struct imagxp_str name);

/*
 * What a request says, unproven, for a line in the log: no cryptography, no policy. A visitor
 * without IMAGXP headers is `IMAGXP_OK`, too, with empty texts. The texts lie in `scratch`.
 *
 * Errors: those of 400 and 431, `HEADERS_PARTIAL`, `BUFFER_TOO_SMALL` when `scratch` is short.
 */
imagxp_status imagxp_request_parse(const struct imagxp_visit *visit,
                                   struct imagxp_buf scratch,
                                   struct imagxp_unproven *unproven);

/*
 * Judges a request. It only reads `policy` and `keys`, and remembers nothing; `scratch` is working
 * memory, and the result's texts lie in it: it must stay as it is until the result is done with.
 *
 * `IMAGXP_NEED`: fetch `verified->need`, `imagxp_key_cache_supply` it, and call again with the same
 * arguments; at most three times. `IMAGXP_VERIFIED`: `imagxp_request_admit` comes next. Both fill
 * `verified`. Never `IMAGXP_OK`.
 *
 * Errors: every refusal but those of `imagxp_request_admit`; `BUFFER_TOO_SMALL` when `scratch` is
 * shorter than `IMAGXP_SCRATCH_LEN` and this request takes more; `ABI_STATE`: not a policy, or not
 * a key cache.
 */
imagxp_status imagxp_request_verify(const struct imagxp_visit *visit,
                                    const struct imagxp_policy *policy,
                                    const struct imagxp_key_cache *keys,
                                    int64_t now_ms,
                                    struct imagxp_buf scratch,
                                    struct imagxp_verified *verified);

/*
 * Admits a verified request once: writes its nonce, and the `jti` of a single-use visa, into the
 * replay cache. The only step under a lock, and a short one. A visitor without headers writes
 * nothing. `scratch` is the one of `imagxp_request_verify`. With `IMAGXP_OK`, and only then, the
 * visitor may pass; `verified->prepare` is then set if the agent is busy, and
 * `IMAGXP_CLOCK_STEPPED_BACK` if the clock is.
 *
 * Errors: `REPLAY_DETECTED`, `VISA_USED`, `REPLAY_CACHE_FULL`, `AGENT_QUOTA`, `RESTART_GUARD`,
 * `CLOCK_UNKNOWN`, and `TIMESTAMP_STALE` or `JWT_EXPIRED` when the clock has moved on; `ABI_STATE`:
 * `verified` is not verified or was admitted before, `scratch` is not its own, or `replay` is not a
 * replay cache.
 */
imagxp_status imagxp_request_admit(struct imagxp_verified *verified,
                                   struct imagxp_buf scratch,
                                   struct imagxp_replay_cache *replay,
                                   int64_t now_ms);

/*
 * What to write into a replay store elsewhere, in place of `imagxp_request_admit`: `tags` has two
 * places, the nonce's and that of a single-use visa; a tag with `expiry_s` 0 is none. `SET bytes 1
 * NX` each, until `expiry_s`: the request may pass if the store took every one. All nodes share the
 * `secret`, 32 random bytes.
 *
 * Errors: `ABI_STATE`: `verified` is not verified, or `scratch` is not its own.
 */
imagxp_status imagxp_request_tags(const struct imagxp_verified *verified,
                                  struct imagxp_buf scratch,
                                  const uint8_t *secret,
                                  struct imagxp_tag *tags);

/*
 * As `imagxp_request_verify`, of a request in one piece of memory.
 *
 * Errors: as `imagxp_request_verify`; `HEADER_BYTES`: a field holds a NUL; `ABI_ARGUMENT`: `count`
 * is less than 4 or odd.
 */
imagxp_status imagxp_request_verify_packed(const struct imagxp_packed *visit,
                                           const struct imagxp_policy *policy,
                                           const struct imagxp_key_cache *keys,
                                           int64_t now_ms,
                                           struct imagxp_buf scratch,
                                           struct imagxp_verified *verified);

/*
 * Writes the body of a refusal, `application/json`, at most 128 bytes: the public code, the
 * visitor, and the proof where there is one. `verified` is what `imagxp_request_admit` was called
 * with, if it was that call that refused; else NULL: one that `imagxp_request_verify` left with
 * `IMAGXP_NEED` is not verified. `needed`, which may be NULL, gets the length, with
 * `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`: `status` is not a refusal; `ABI_STATE`: not a policy,
 * or `verified` is not.
 */
imagxp_status imagxp_refusal_write(imagxp_status status,
                                   const struct imagxp_policy *policy,
                                   const struct imagxp_verified *verified,
                                   struct imagxp_buf out,
                                   size_t *needed);

/*
 * A new key from 32 random bytes: they become the private scalar. Wipe them afterwards.
 *
 * Errors: `PRIVKEY_INVALID`, once in 2^32: draw others.
 */
imagxp_status imagxp_key_from_random(const uint8_t *random, struct imagxp_key *key);

/*
 * From text: base64 of PKCS#8 as in `IMAGXP_PRIVATE_KEY`, PEM (`PRIVATE KEY`, `EC PRIVATE KEY`), a
 * JWK with `d`, or 64 hex digits of the scalar. White space around it is passed over.
 *
 * Errors: `PRIVKEY_INVALID`
 */
imagxp_status imagxp_key_from_text(struct imagxp_str text,
                                   struct imagxp_key *key);

/*
 * From DER: PKCS#8 or SEC1 `ECPrivateKey`, at most 512 bytes. A public part, if there is one, must
 * match.
 *
 * Errors: `PRIVKEY_INVALID`
 */
imagxp_status imagxp_key_from_der(struct imagxp_str der,
                                  struct imagxp_key *key);

/*
 * Writes the public key in `IMAGXP_FORMAT_TEXT`, `_PEM`, `_DER`, `_JWK` or `_KID`; at most 240
 * bytes. `needed`, which may be NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`: an unknown format; `ABI_STATE`: not a key.
 */
imagxp_status imagxp_key_public(const struct imagxp_key *key,
                                int32_t format,
                                struct imagxp_buf out,
                                size_t *needed);

/*
 * Writes the private key in `IMAGXP_FORMAT_TEXT`, `_PEM`, `_DER` or `_JWK`; at most 260 bytes.
 * `needed`, which may be NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too. Wipe `out` when
 * it has served.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`: an unknown format; `ABI_STATE`: not a key.
 */
imagxp_status imagxp_key_export(const struct imagxp_key *key,
                                int32_t format,
                                struct imagxp_buf out,
                                size_t *needed);

/* Overwrites a key with zeros, in a way that compilers do not leave out. NULL is nothing. */
void imagxp_key_wipe(struct imagxp_key *key);

/*
 * Signs one request: the headers to send, in `out`. `nonce` is 16 fresh random bytes, `hedge` 32
 * more or NULL: they protect the key against faults of the hardware, and bad ones do no harm.
 * `flags` is `IMAGXP_SIGN_CHECK` or 0. Send `headers->public_key` under both of its names, and
 * `IMAGXP_PRODUCT` within `User-Agent`.
 *
 * Errors: `BUFFER_TOO_SMALL`, with `headers->needed`; `AGENT_ID_INVALID`, `RESOURCE_INVALID`,
 * `PAYLOAD_TOO_LARGE`: a verifier would refuse; `CLOCK_UNKNOWN`; `SIGN_FAULT`; `ABI_ARGUMENT`;
 * `ABI_STATE`: not a key.
 */
imagxp_status imagxp_request_sign(const struct imagxp_key *key,
                                  const struct imagxp_claims *claims,
                                  const uint8_t *nonce,
                                  const uint8_t *hedge,
                                  uint32_t flags,
                                  int64_t now_ms,
                                  struct imagxp_buf out,
                                  struct imagxp_signed *headers);

/*
 * The first half of signing, for a key in hardware or behind an API: everything but the signature,
 * in `out`, and the 32 bytes to sign in `digest` (ECDSA, P-256, the bytes as they are: they are a
 * SHA-256 already). `public_key` is `IMAGXP_FORMAT_TEXT` or `_PEM`. `imagxp_request_attach` is the
 * second half.
 *
 * Errors: as `imagxp_request_sign`; `KEY_FORMAT` and `KEY_INVALID` of the public key.
 */
imagxp_status imagxp_request_prepare(struct imagxp_str public_key,
                                     const struct imagxp_claims *claims,
                                     const uint8_t *nonce,
                                     int64_t now_ms,
                                     struct imagxp_buf out,
                                     struct imagxp_signed *headers,
                                     uint8_t *digest);

/*
 * The second half: writes `signature`, 64 bytes `r || s`, into its place in `out`. A DER signature
 * must be taken apart first. Until then the header is 128 zeros, which nobody admits.
 *
 * Errors: `ABI_STATE`: `headers` is not what `imagxp_request_prepare` made of `out`.
 */
imagxp_status imagxp_request_attach(const struct imagxp_signed *headers,
                                    const uint8_t *signature,
                                    struct imagxp_buf out);

/*
 * Writes the manifest document, at most 8,192 bytes, to be served at `IMAGXP_MANIFEST_PATH` with
 * status 200 and `application/json`. `needed`, which may be NULL, gets its length, with
 * `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`; `AGENT_ID_INVALID`; `KEY_FORMAT`, `KEY_INVALID`; `MANIFEST_INVALID`:
 * more keys than a verifier reads, or a text that is not UTF-8; `MANIFEST_TOO_LARGE`.
 */
imagxp_status imagxp_manifest_write(const struct imagxp_manifest *manifest,
                                    struct imagxp_buf out,
                                    size_t *needed);

/*
 * Whether `name` can be an agent: a public domain name in lower case. `mode` is
 * `IMAGXP_MODE_PRODUCTION` or `IMAGXP_MODE_DEVELOPMENT`.
 *
 * Errors: `AGENT_ID_INVALID`, `ABI_ARGUMENT`
 */
imagxp_status imagxp_host_check_agent_id(struct imagxp_str name,
                                         int32_t mode);

/*
 * Whether a verifier may connect to an address that a stranger's name resolved to: `IMAGXP_OK` for
 * a public one. `address` has 4 bytes (IPv4) or 16 (IPv6), in network order. Ask about every
 * address of the name, and connect to one that was asked about: a second look-up may give another.
 *
 * Errors: `HOST_FORBIDDEN`; `ABI_ARGUMENT`: another length.
 */
imagxp_status imagxp_host_may_connect(const uint8_t *address,
                                      size_t address_len);

/*
 * Writes the canonical form (RFC 8785) of a JSON object or value within the bounds of a payload:
 * what signatures are made over. `needed`, which may be NULL, gets its length, with
 * `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `JSON_*`, `BUFFER_TOO_SMALL`
 */
imagxp_status imagxp_jcs(struct imagxp_str json,
                         struct imagxp_buf out,
                         size_t *needed);

/*
 * Signs where a response's content comes from: the headers to send, in `out`, which is
 * `IMAGXP_PROVENANCE_LEN` long or longer. `origin` is `IMAGXP_ORIGIN_*`, the key the publisher's.
 * `hedge` and `flags` as in `imagxp_request_sign`.
 *
 * Errors: `BUFFER_TOO_SMALL`, with `headers->needed`; `CLOCK_UNKNOWN`; `SIGN_FAULT`;
 * `ABI_ARGUMENT`; `ABI_STATE`: not a key.
 */
imagxp_status imagxp_provenance_sign(const struct imagxp_key *key,
                                     int32_t origin,
                                     const uint8_t *hedge,
                                     uint32_t flags,
                                     int64_t now_ms,
                                     struct imagxp_buf out,
                                     struct imagxp_provenance *headers);

/*
 * Verifies what a response says of its content's origin: the three headers as they came, and that
 * the time is within the windows. `public_key` is the publisher's, `IMAGXP_FORMAT_TEXT` or `_PEM`.
 * `origin` and `ts_ms` get what they say; either may be NULL. The reference sends no time: who
 * knows it otherwise passes its digits as `ts`, and as `now_ms`.
 *
 * Errors: `FIELD_MISSING`: a header is absent; `FIELD_TYPE`: no such origin; `SIGNATURE_FORMAT`;
 * `TIMESTAMP_INVALID`, `TIMESTAMP_STALE`, `TIMESTAMP_FUTURE`; `SIGNATURE_INVALID`; `KEY_FORMAT`,
 * `KEY_INVALID`.
 */
imagxp_status imagxp_provenance_verify(struct imagxp_str public_key,
                                       struct imagxp_str content_origin,
                                       struct imagxp_str signature,
                                       struct imagxp_str ts,
                                       int64_t now_ms,
                                       uint32_t window_ms,
                                       uint32_t skew_ms,
                                       int32_t *origin,
                                       int64_t *ts_ms);

/*
 * Writes the story of a request, accepted or refused at any stage, as its publisher saw it: up to
 * 13 lines, each with its newline, in `IMAGXP_STORY_TEXT` or `IMAGXP_STORY_JSON`; some 1,500 bytes
 * in all. What did not pass its grammar is shown as its SHA-256, so that nobody writes into your
 * log but you. `verified` and `scratch` are those of `imagxp_request_verify`; the texts of
 * `verified` stay as they are. `verified` may be NULL when `imagxp_request_verify` refused;
 * `scratch` is then any working memory. `needed`, which may be NULL, gets the length, with
 * `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`, of `out` or of `scratch`; `ABI_ARGUMENT`; `ABI_STATE`: not a policy,
 * or `IMAGXP_OK` for what is not verified, or `scratch` is not its own.
 */
imagxp_status imagxp_story_publisher(const struct imagxp_visit *visit,
                                     const struct imagxp_policy *policy,
                                     const struct imagxp_verified *verified,
                                     struct imagxp_buf scratch,
                                     const struct imagxp_decision *decision,
                                     int32_t format,
                                     struct imagxp_buf out,
                                     size_t *needed);

/*
 * Writes the story of a request as its agent saw it: signed, sent, answered. `public_key`, of the
 * key that signed, is `IMAGXP_FORMAT_TEXT` or `_PEM`. Formats and `needed` as in
 * `imagxp_story_publisher`.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`; `AGENT_ID_INVALID`, `RESOURCE_INVALID`: not UTF-8;
 * `KEY_FORMAT`, `KEY_INVALID`.
 */
imagxp_status imagxp_story_agent(const struct imagxp_claims *claims,
                                 struct imagxp_str public_key,
                                 const struct imagxp_sent *sent,
                                 int32_t format,
                                 struct imagxp_buf out,
                                 size_t *needed);

/*
 * Writes the story of a sale as the broker saw it: a visa was wanted, and issued or refused.
 * Formats and `needed` as in `imagxp_story_publisher`.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`, also for a text that is not UTF-8.
 */
imagxp_status imagxp_story_broker(const struct imagxp_sale *sale,
                                  int32_t format,
                                  struct imagxp_buf out,
                                  size_t *needed);

/*
 * Writes the line that records a fetched document, with its newline: append it as it is, in one
 * piece. `head` moves on; where the line could not be appended, put the former head back. Record
 * each document once a fetch, before the decision that waited for it. 512 bytes, the URL, and four
 * thirds of the body always suffice. `sha256`, which may be NULL, gets 32 bytes: the document's
 * name in decisions. `needed`, which may be NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL`
 * too.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_LENGTH`: a body above 65,536 bytes, a URL above 2,048 or not
 * plain ASCII; `TIMESTAMP_INVALID`.
 */
imagxp_status imagxp_evidence_document(struct imagxp_str url,
                                       struct imagxp_str body,
                                       int64_t at_ms,
                                       struct imagxp_head *head,
                                       struct imagxp_buf out,
                                       size_t *needed,
                                       uint8_t *sha256);

/*
 * Writes the line that records a decision: the request as it came, the documents that it rests on,
 * and the verdict. Call it when the decision has fallen; `verified` is that of
 * `imagxp_request_verify`, or NULL when that refused. It names the manifest and the key set that
 * the key cache had verified with, whenever they were fetched, and those in `decision->fetches`
 * that were recorded. A log that begins while the key cache is warm does not hold the former: keep
 * the documents to record them once more, or begin with an empty cache. 24,576 bytes always
 * suffice, 2,500 do for most. `head` and `needed` as in `imagxp_evidence_document`.
 *
 * What was refused before its signature was checked proves nothing: there is no need to record it.
 *
 * Errors: `BUFFER_TOO_SMALL`; `TIMESTAMP_INVALID`; `ABI_ARGUMENT`; `ABI_STATE`: `IMAGXP_OK` for
 * what is not verified; and what `imagxp_request_parse` says of headers that cannot be taken in.
 */
imagxp_status imagxp_evidence_decision(const struct imagxp_visit *visit,
                                       const struct imagxp_verified *verified,
                                       const struct imagxp_decision *decision,
                                       struct imagxp_head *head,
                                       struct imagxp_buf out,
                                       size_t *needed);

/*
 * Writes a checkpoint: how many lines there are and which is the last, signed with the publisher's
 * key. 512 bytes always suffice. `hedge` and `flags` as in `imagxp_request_sign`, `head` and
 * `needed` as in `imagxp_evidence_document`.
 *
 * Errors: `BUFFER_TOO_SMALL`; `TIMESTAMP_INVALID`; `SIGN_FAULT`; `ABI_ARGUMENT`; `ABI_STATE`: not a
 * key.
 */
imagxp_status imagxp_evidence_checkpoint(const struct imagxp_key *key,
                                         const uint8_t *hedge,
                                         uint32_t flags,
                                         int64_t now_ms,
                                         struct imagxp_head *head,
                                         struct imagxp_buf out,
                                         size_t *needed);

/*
 * Whether a checkpoint is due: after 1,000 lines, or a second with news; 1 or 0. `sealed` is the
 * head that the last checkpoint left, `elapsed_ms` the time since.
 */
int32_t imagxp_evidence_wants_checkpoint(const struct imagxp_head *head,
                                         const struct imagxp_head *sealed,
                                         int64_t elapsed_ms);

/*
 * Verifies the next line of a log, given without its newline; a checkpoint's signature, too. `keys`
 * are the publisher's, at most eight, in `IMAGXP_FORMAT_TEXT` or `_PEM`. `IMAGXP_FAULT`:
 * `record->fault` says what is wrong with the line. Go on with the next all the same: every fault
 * is found and named once. Both fill `log` and `record`.
 *
 * What is left behind the last newline is a line that was torn while being written: no record, and
 * no fault.
 *
 * Errors: `KEY_FORMAT`, `KEY_INVALID`; `ABI_ARGUMENT`: more keys.
 */
imagxp_status imagxp_log_line(struct imagxp_log *log,
                              const struct imagxp_str *keys,
                              size_t keys_len,
                              struct imagxp_str line,
                              struct imagxp_record *record);

/*
 * Proves a decision, offline: `line` is its line, `documents` are the lines of the documents that
 * it rests on (`imagxp_record.documents`), as many of at most four as are at hand; all without
 * their newlines. Chain and checkpoints are `imagxp_log_line`'s. `scratch` takes a document's body:
 * 65,536 bytes, or 8,192 where only manifests are given. `IMAGXP_OK`: the verdict is borne out.
 * `IMAGXP_FAULT`: it is not. Both fill `findings`.
 *
 * Errors: `BUFFER_TOO_SMALL`, of `scratch`; `ABI_ARGUMENT`: `line` is no decision, or one of
 * `documents` no document.
 */
imagxp_status imagxp_evidence_prove(struct imagxp_str line,
                                    const struct imagxp_str *documents,
                                    size_t documents_len,
                                    struct imagxp_buf scratch,
                                    struct imagxp_findings *findings);

/*
 * A decision against any copy of the agent's manifest, such as another archive's: `IMAGXP_OK` if it
 * lists the key that signed, for the agent that is named, as good at some second between arrival
 * and decision. It proves what the copy's archive vouches for. `line` as in
 * `imagxp_evidence_prove`.
 *
 * Errors: `KEY_MISMATCH`, `KEY_REVOKED`, `MANIFEST_*`: it does not; `ABI_ARGUMENT`: `line` is no
 * decision on a signed request; and what is wrong with the recorded request itself.
 */
imagxp_status imagxp_evidence_check_manifest(struct imagxp_str line,
                                             struct imagxp_str manifest);

/*
 * Signs feedback: a compact JWS, at most 2,048 characters, for `IMAGXP_HEADER_FEEDBACK` or the
 * broker's `/feedback`. `hedge` and `flags` as in `imagxp_request_sign`. `needed`, which may be
 * NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`; `FEEDBACK_INVALID`: a verifier would refuse; `CLOCK_UNKNOWN`;
 * `SIGN_FAULT`; `BASE64_INVALID`, `PAYLOAD_TOO_LARGE`: of `payload`; `ABI_ARGUMENT`: no such
 * reason; `ABI_STATE`: not a key.
 */
imagxp_status imagxp_feedback_sign(const struct imagxp_key *key,
                                   const struct imagxp_feedback *feedback,
                                   const uint8_t *hedge,
                                   uint32_t flags,
                                   int64_t now_ms,
                                   struct imagxp_buf out,
                                   size_t *needed);

/*
 * Verifies feedback in either form, the compact JWS or the reference's object. Call it after the
 * agent's identity is verified, never before: `agent_id` and `public_key` (`IMAGXP_FORMAT_TEXT` or
 * `_PEM`) are those of the verified request. `audiences` are the names of the reader, one of which
 * it must be for; none: any. `scratch` is `IMAGXP_FEEDBACK_LEN` long.
 *
 * Errors: `FEEDBACK_INVALID`: whatever is wrong with it; `BUFFER_TOO_SMALL`; `CLOCK_UNKNOWN`;
 * `KEY_FORMAT`, `KEY_INVALID`; `ABI_ARGUMENT`: more than 16 audiences, or a name that is not UTF-8.
 */
imagxp_status imagxp_feedback_verify(struct imagxp_str feedback,
                                     struct imagxp_str agent_id,
                                     struct imagxp_str public_key,
                                     const struct imagxp_str *audiences,
                                     size_t audiences_len,
                                     int64_t now_ms,
                                     struct imagxp_buf scratch,
                                     struct imagxp_judgement *judgement);

/*
 * Writes the story of feedback, as whoever received it saw it: what was said, and what it does to
 * the payment; or its refusal. `status` is what `imagxp_feedback_verify` answered; with
 * `IMAGXP_OK`, `judgement` and `scratch` are what it filled, else they may be NULL and empty.
 * Formats and `needed` as in `imagxp_story_publisher`.
 *
 * Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`; `ABI_STATE`: `judgement` is none, or `scratch` is not
 * its own.
 */
imagxp_status imagxp_story_feedback(struct imagxp_str agent_id,
                                    imagxp_status status,
                                    const struct imagxp_judgement *judgement,
                                    struct imagxp_buf scratch,
                                    int64_t at_ms,
                                    int32_t format,
                                    struct imagxp_buf out,
                                    size_t *needed);

/*
 * Issues a visa: a compact JWS, at most 4,096 characters, 700 for most. `kid` is the name of the
 * key in the broker's key set. `hedge` and `flags` as in `imagxp_request_sign`. `needed`, which may
 * be NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`; what a verifier would refuse: `JWT_HEADER` (`kid`), `JWT_ISSUER`,
 * `JWT_AUDIENCE`, `VISA_AMOUNT`, `JWT_LIFETIME`, `AGENT_ID_INVALID`, `JWT_CLAIMS` (`jti`,
 * `currency`), `JWT_TOO_LARGE`; `VISA_BINDING`: a key without an agent; `CLOCK_UNKNOWN`;
 * `SIGN_FAULT`; `KEY_FORMAT`, `KEY_INVALID`: of the agent's key; `ABI_ARGUMENT`; `ABI_STATE`: not a
 * key.
 */
imagxp_status imagxp_visa_issue(const struct imagxp_key *key,
                                struct imagxp_str kid,
                                const struct imagxp_visa *visa,
                                const uint8_t *hedge,
                                uint32_t flags,
                                int64_t now_ms,
                                struct imagxp_buf out,
                                size_t *needed);

/*
 * Writes the JWK Set to be served at `IMAGXP_JWKS_PATH` with status 200 and `application/json`: 1
 * to 32 keys, some 250 bytes each. `needed`, which may be NULL, gets the length, with
 * `IMAGXP_BUFFER_TOO_SMALL` too.
 *
 * Errors: `BUFFER_TOO_SMALL`; `JWKS_INVALID`: no key, more than 32, or a `kid` of another length;
 * `JWKS_DUPLICATE_KID`; `KEY_FORMAT`, `KEY_INVALID`.
 */
imagxp_status imagxp_jwks_write(const struct imagxp_published_key *keys,
                                size_t keys_len,
                                struct imagxp_buf out,
                                size_t *needed);

/*
 * Verifies a token outside a request: for tools, and for whoever sees a visa before the request
 * that it pays for. Within a request, `imagxp_request_verify` does it. `role` is `IMAGXP_ROLE_*`.
 * `agent_id` and `public_key` are those of the holder, whom the token must be bound to if it is
 * bound; both empty: that is not judged. `IMAGXP_NEED`: fetch `token->need`,
 * `imagxp_key_cache_supply` it, and call again. `IMAGXP_VERIFIED`: it is good; that it is the first
 * use of a visa that is good for one is not seen here. Both fill `token`. 5 KiB of `scratch`
 * suffice.
 *
 * Errors: `JWT_*`, `VISA_*`, `JWKS_*`, `SIGNATURE_INVALID`, `CLOCK_UNKNOWN`; `KEY_FORMAT`,
 * `KEY_INVALID`; `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`: no such role; `ABI_STATE`: not a policy, or
 * not a key cache; `ABI_STORAGE`: the key cache has fewer issuers than the policy.
 */
imagxp_status imagxp_visa_verify(struct imagxp_str token,
                                 int32_t role,
                                 struct imagxp_str agent_id,
                                 struct imagxp_str public_key,
                                 const struct imagxp_policy *policy,
                                 const struct imagxp_key_cache *keys,
                                 int64_t now_ms,
                                 struct imagxp_buf scratch,
                                 struct imagxp_token *found);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

/* An imagxp_str of a string literal. */
#define IMAGXP_STR(literal) imagxp_str_of("" literal, sizeof(literal) - 1)

/* The text of a span, for the buffer (imagxp_buf) that it is a span of. Empty if it is not. */
#define IMAGXP_TEXT(buffer, span) imagxp_text((buffer), (span))

/* Zeroes a struct and sets its size. */
#define IMAGXP_INIT(object) imagxp_init((object), sizeof *(object))

/* The policy that imagxp_policy_parse has put into an array of words. */
#define IMAGXP_POLICY(words) ((const imagxp_policy *)(const void *)(words))

/* Initialises an imagxp_key_cache or imagxp_replay_cache with an array of words (not a pointer). */
#define IMAGXP_VIEW(array) { (array), sizeof(array) / sizeof((array)[0]) }

/* As imagxp_key_cache_words, for static arrays. */
#define IMAGXP_KEY_CACHE_WORDS(names, issuers, tables, table_kib)                                  \
    (8 + 104 * ((size_t)(names) - IMAGXP_QUARTER_(names)) + 4 * IMAGXP_QUARTER_(names)             \
     + 364 * (size_t)(issuers) + (9 + 128 * (size_t)(table_kib)) * (size_t)(tables))
#define IMAGXP_QUARTER_(names) ((size_t)(names) < 8 ? 1 : (size_t)(names) / 4)

/* As imagxp_replay_cache_words, for static arrays. */
#define IMAGXP_REPLAY_CACHE_WORDS(slots)                                                           \
    (32 + 48 * IMAGXP_BUCKETS_(slots) + 12 * ((IMAGXP_BUCKETS_(slots) + 3) / 4)                    \
     + 8 * ((IMAGXP_BUCKETS_(slots) + 31) / 32))
#define IMAGXP_BUCKETS_(slots) ((size_t)(slots) == 0 ? 1 : ((size_t)(slots) + 15) / 16)

#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L)
#define IMAGXP_INLINE_ static inline
#elif defined(__GNUC__)
#define IMAGXP_INLINE_ static __inline__ __attribute__((unused))
#else
#define IMAGXP_INLINE_ static
#endif

/* An imagxp_str of its parts. */
IMAGXP_INLINE_ imagxp_str imagxp_str_of(const char *ptr, size_t len)
{
    imagxp_str text;
    text.ptr = ptr;
    text.len = len;
    return text;
}

/* What IMAGXP_TEXT does. */
IMAGXP_INLINE_ imagxp_str imagxp_text(imagxp_buf buffer, imagxp_span span)
{
    if (span.at > buffer.len || span.len > buffer.len - span.at || span.len == 0) {
        return imagxp_str_of("", 0);
    }
    return imagxp_str_of((const char *)(const void *)(buffer.ptr + span.at), span.len);
}

/* What IMAGXP_INIT does. */
IMAGXP_INLINE_ void imagxp_init(void *object, size_t size)
{
    unsigned char *byte = (unsigned char *)object;
    size_t at;
    for (at = 0; at < size; at++) {
        byte[at] = 0;
    }
    *(size_t *)object = size;
}

#endif /* IMAGXP_H */
