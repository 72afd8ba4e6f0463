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
