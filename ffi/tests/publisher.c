/* The publisher's side: the loop of the header's preamble, its refusals, and what surrounds it. */
#include "check.h"

static uint64_t policy_words[IMAGXP_POLICY_WORDS];
static uint64_t key_words[IMAGXP_KEY_CACHE_WORDS(64, 2, 2, 8)];
static uint64_t replay_words[IMAGXP_REPLAY_CACHE_WORDS(64)];
static uint8_t memory[IMAGXP_SCRATCH_LEN];

static imagxp_key_cache keys = IMAGXP_VIEW(key_words);
static imagxp_replay_cache replay = IMAGXP_VIEW(replay_words);
static const imagxp_policy *policy = IMAGXP_POLICY(policy_words);
static imagxp_buf scratch = { memory, sizeof memory };
static int fetches;

static void set_policy(const char *json)
{
    CHECK_STATUS(imagxp_policy_parse(imagxp_str_of(json, strlen(json)), policy_words, IMAGXP_POLICY_WORDS), IMAGXP_OK);
}

static void empty_caches(void)
{
    uint8_t seed[32] = { 1 };
    imagxp_key_cache_sizes sizes = { 64, 2, 2, 8 };
    CHECK_STATUS(imagxp_key_cache_new(&keys, sizes, seed), IMAGXP_OK);
    CHECK_STATUS(imagxp_replay_cache_new(&replay, seed, 0), IMAGXP_OK);
    fetches = 0;
}

static imagxp_status decide(const imagxp_visit *visit, imagxp_answer answer, int64_t now_ms, imagxp_verified *verified)
{
    imagxp_status status;

    IMAGXP_INIT(verified);
    for (;;) {
        status = imagxp_request_verify(visit, policy, &keys, now_ms, scratch, verified);
        if (status != IMAGXP_NEED) break;
        fetches++;
        CHECK(fetches <= 3);
        status = imagxp_key_cache_supply(&keys, &verified->need, scratch, answer, now_ms);
        if (status != IMAGXP_OK) break;
    }
    if (status == IMAGXP_VERIFIED) status = imagxp_request_admit(verified, scratch, &replay, now_ms);
    return status;
}

static void an_agent_is_admitted_once(world *w)
{
    imagxp_verified verified;
    imagxp_replay_stats stats;
    uint8_t body[128];
    size_t needed;

    empty_caches();
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_OK);
    CHECK(fetches == 1);
    CHECK(verified.status == IMAGXP_OK && verified.visitor == IMAGXP_VERIFIED_AGENT);
    CHECK(verified.bound == IMAGXP_BOUND_EXACT && verified.purpose == IMAGXP_RAG_RETRIEVAL);
    CHECK(verified.proof == IMAGXP_PROOF_NONE && verified.flags == IMAGXP_SIGNED && verified.ts_ms == NOW);
    CHECK(is_text(IMAGXP_TEXT(scratch, verified.agent_id), AGENT));
    CHECK(is_text(IMAGXP_TEXT(scratch, verified.resource), RESOURCE));
    CHECK(IMAGXP_TEXT(scratch, verified.kid).len == 43 && IMAGXP_TEXT(scratch, verified.nonce).len == 36);

    /* Admitted before: it is not verified any more. */
    CHECK_STATUS(imagxp_request_admit(&verified, scratch, &replay, NOW), IMAGXP_ABI_STATE);
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_REPLAY_DETECTED);
    CHECK(fetches == 1);
    CHECK_STATUS(imagxp_refusal_write(IMAGXP_REPLAY_DETECTED, policy, &verified, buf_of(body, sizeof body), &needed),
                 IMAGXP_OK);
    CHECK(is_text(imagxp_str_of((const char *)body, needed),
                  "{\"error\":\"REPLAY_DETECTED\",\"visitor_type\":\"VERIFIED_AGENT\",\"proof_used\":\"NONE\"}"));

    IMAGXP_INIT(&stats);
    CHECK_STATUS(imagxp_replay_cache_stats(&replay, &stats), IMAGXP_OK);
    CHECK(stats.admitted == 1 && stats.refused_used == 1 && stats.live == 1 && stats.slots >= 64);
    CHECK(imagxp_replay_cache_retry_after_s(&replay) >= 1);
}

static void refusals(world *w)
{
    imagxp_answer nothing = { IMAGXP_NOT_THERE, -1, { NULL, 0 } };
    imagxp_answer silence = { IMAGXP_UNREACHABLE, -1, { NULL, 0 } };
    imagxp_answer wrong = { 0, -1, { NULL, 0 } };
    imagxp_answer garbage = { IMAGXP_FOUND, 10, { "<html>", 6 } };
    imagxp_verified verified;

    empty_caches();
    CHECK_STATUS(decide(&w->visit, wrong, NOW, &verified), IMAGXP_ABI_ARGUMENT);
    CHECK_STATUS(decide(&w->visit, nothing, NOW, &verified), IMAGXP_MANIFEST_UNAVAILABLE);
    empty_caches();
    CHECK_STATUS(decide(&w->visit, silence, NOW, &verified), IMAGXP_MANIFEST_UNAVAILABLE);
    empty_caches();
    CHECK_STATUS(decide(&w->visit, garbage, NOW, &verified), IMAGXP_MANIFEST_INVALID);
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW - 60001, &verified), IMAGXP_TIMESTAMP_FUTURE);
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW + 300001, &verified), IMAGXP_TIMESTAMP_STALE);
    CHECK_STATUS(decide(&w->visit, world_get(w), 0, &verified), IMAGXP_CLOCK_UNKNOWN);
    w->visit.target = IMAGXP_STR("/b");
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_RESOURCE_MISMATCH);
    w->visit.target = IMAGXP_STR("/\xFF");
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_RESOURCE_MISMATCH);
    w->visit.headers_len = 3;
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_HEADERS_PARTIAL);
    w->visit.headers_len = 5;
    w->visit.vouched = 8;
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_ABI_ARGUMENT);
    world_sign(w, 1);
}

static void visitors_without_headers(void)
{
    imagxp_header browser[3];
    imagxp_verified verified;
    imagxp_visit visit;
    imagxp_answer none = { IMAGXP_UNREACHABLE, -1, { NULL, 0 } };
    imagxp_buf whole = scratch;

    browser[0] = header_of("User-Agent", IMAGXP_STR("Mozilla/5.0"));
    browser[1] = header_of("Accept-Language", IMAGXP_STR("en"));
    browser[2] = header_of("Sec-Fetch-Dest", IMAGXP_STR("document"));
    IMAGXP_INIT(&visit);
    visit.headers = browser;
    visit.headers_len = 3;
    scratch = buf_of(NULL, 0);
    CHECK_STATUS(decide(&visit, none, NOW, &verified), IMAGXP_OK);
    CHECK(verified.visitor == IMAGXP_LIKELY_HUMAN && verified.flags == 0);
    set_policy("{\"strategy\":\"HYBRID\"}");
    visit.headers_len = 1;
    CHECK_STATUS(decide(&visit, none, NOW, &verified), IMAGXP_VISITOR_REFUSED);
    set_policy("{\"strategy\":\"STRICT\"}");
    CHECK_STATUS(decide(&visit, none, NOW, &verified), IMAGXP_IDENTITY_REQUIRED);
    scratch = whole;
    CHECK(imagxp_header_matters(IMAGXP_STR("USER-AGENT")) == 1);
    CHECK(imagxp_header_matters(IMAGXP_STR("X-Imagxp-Payload")) == 1);
    CHECK(imagxp_header_matters(IMAGXP_STR("accept")) == 0);
}

static void payment(world *w)
{
    imagxp_verified verified;
    imagxp_terms terms;
    imagxp_need need;

    set_policy("{\"allowRAG\":true,\"price\":\"0.001\",\"audiences\":[\"pub.example.com\"],"
               "\"monetization\":{\"brokerUrl\":\"https://broker.example.com\"}}");
    empty_caches();
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_VISA_REQUIRED);
    w->visit.vouched = IMAGXP_VOUCHED_WHITELISTED;
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_OK);
    CHECK(verified.proof == IMAGXP_PROOF_WHITELIST);
    w->visit.vouched = 0;

    IMAGXP_INIT(&terms);
    CHECK_STATUS(imagxp_policy_terms(policy, scratch, &terms), IMAGXP_OK);
    CHECK(terms.flags == (IMAGXP_TERMS_RAG | IMAGXP_TERMS_PAYMENT | IMAGXP_TERMS_IDENTITY));
    CHECK(terms.price_micros == 1000 && is_text(IMAGXP_TEXT(scratch, terms.price), "0.001"));
    CHECK(is_text(IMAGXP_TEXT(scratch, terms.broker_url), "https://broker.example.com"));

    CHECK_STATUS(imagxp_policy_document(policy, 0, scratch, &need), IMAGXP_NEED);
    CHECK(need.kind == IMAGXP_NEED_JWKS && need.configured == 1 && need.max_len == 65536);
    CHECK(is_text(IMAGXP_TEXT(scratch, need.url), "https://broker.example.com" IMAGXP_JWKS_PATH));
    CHECK(is_text(IMAGXP_TEXT(scratch, need.host), "broker.example.com"));
    CHECK_STATUS(imagxp_policy_document(policy, 1, scratch, &need), IMAGXP_OK);
}

/* An agent that comes often gets a table, and verifies with it as before. */
static void a_busy_agent(world *w)
{
    imagxp_verified verified;
    unsigned i;
    int hinted = 0;

    set_policy("{\"allowRAG\":true}");
    empty_caches();
    for (i = 2; i < 30; i++) {
        world_sign(w, i);
        CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_OK);
        if (verified.prepare != 0) {
            CHECK_STATUS(imagxp_key_cache_prepare(&keys, verified.prepare, NOW), IMAGXP_OK);
            hinted++;
        }
    }
    /* Once: a key with a table asks for no other. Without feature `ec` there are no tables. */
    CHECK(hinted <= 1);
    CHECK_STATUS(imagxp_key_cache_prepare(&keys, 12345, NOW), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_cache_prepare(&keys, 0, 0), IMAGXP_CLOCK_UNKNOWN);
    CHECK_STATUS(imagxp_key_cache_alarm(&keys, IMAGXP_STR("https://broker.example.com")), IMAGXP_OK);
    world_sign(w, 1);
}

static void in_one_piece(world *w)
{
    char fields[4096];
    imagxp_packed packed = pack(&w->visit, fields);
    imagxp_verified verified, same;

    empty_caches();
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_OK);
    CHECK_STATUS(imagxp_request_verify(&w->visit, policy, &keys, NOW, scratch, &verified), IMAGXP_VERIFIED);
    IMAGXP_INIT(&same);
    CHECK_STATUS(imagxp_request_verify_packed(&packed, policy, &keys, NOW, scratch, &same), IMAGXP_VERIFIED);
    CHECK(memcmp(&verified, &same, sizeof same) == 0);

    packed.count = 4;
    packed.fields.len = strlen("GET") + 1 + strlen("https") + 1 + strlen("pub.example.com") + 1 + strlen("/a?b=c");
    CHECK_STATUS(imagxp_request_verify_packed(&packed, policy, &keys, NOW, scratch, &same), IMAGXP_VERIFIED);
    CHECK(same.visitor == IMAGXP_UNIDENTIFIED_BOT && same.flags == 0);
}

static void a_store_elsewhere(world *w)
{
    uint8_t secret[32] = { 5 };
    imagxp_tag tags[2];
    imagxp_verified verified;
    imagxp_unproven unproven;

    empty_caches();
    CHECK_STATUS(decide(&w->visit, world_get(w), NOW, &verified), IMAGXP_OK);
    CHECK_STATUS(imagxp_request_tags(&verified, scratch, secret, tags), IMAGXP_ABI_STATE);
    CHECK_STATUS(imagxp_request_verify(&w->visit, policy, &keys, NOW, scratch, &verified), IMAGXP_VERIFIED);
    CHECK_STATUS(imagxp_request_tags(&verified, scratch, secret, tags), IMAGXP_OK);
    CHECK(tags[0].expiry_s == NOW / 1000 + 301 && tags[1].expiry_s == 0);

    /* The scratch was used for another request in the meantime. */
    memset(memory, 'x', sizeof memory);
    CHECK_STATUS(imagxp_request_admit(&verified, scratch, &replay, NOW), IMAGXP_ABI_STATE);

    /* Even for one of the same agent and the same shape, which differs in its nonce only. */
    CHECK_STATUS(imagxp_request_verify(&w->visit, policy, &keys, NOW, scratch, &verified), IMAGXP_VERIFIED);
    memory[verified.nonce.at] ^= 1;
    CHECK_STATUS(imagxp_request_admit(&verified, scratch, &replay, NOW), IMAGXP_ABI_STATE);

    IMAGXP_INIT(&unproven);
    CHECK_STATUS(imagxp_request_parse(&w->visit, scratch, &unproven), IMAGXP_OK);
    CHECK(is_text(IMAGXP_TEXT(scratch, unproven.agent_id), AGENT) && unproven.ts_ms == NOW);
}

static void policies(void)
{
    uint64_t before[IMAGXP_POLICY_WORDS];

    memcpy(before, policy_words, sizeof before);
    CHECK_STATUS(imagxp_policy_parse(IMAGXP_STR("{\"allowRag\":true}"), policy_words, IMAGXP_POLICY_WORDS),
                 IMAGXP_POLICY_INVALID);
    CHECK(memcmp(before, policy_words, sizeof before) == 0);
    CHECK_STATUS(imagxp_policy_parse(IMAGXP_STR("{}"), policy_words, IMAGXP_POLICY_WORDS - 1), IMAGXP_ABI_STORAGE);
}

static void numbers(void)
{
    uint8_t localhost[4] = { 127, 0, 0, 1 };
    uint8_t quad[4] = { 9, 9, 9, 9 };
    char json[64];
    size_t needed;
    size_t names, slots;

    CHECK(imagxp_abi_version() == IMAGXP_ABI);
    CHECK(is_text(imagxp_status_name(IMAGXP_KEY_REVOKED), "KEY_REVOKED"));
    CHECK(imagxp_status_name(-9999).len == 0 && imagxp_status_help(-9999).len == 0);
    CHECK(imagxp_status_help(IMAGXP_NEED).len > 0);
    CHECK(imagxp_status_http(IMAGXP_OK) == 200 && imagxp_status_http(IMAGXP_VERIFIED) == 500);
    CHECK(imagxp_status_http(IMAGXP_NEED) == 503 && imagxp_status_http(-9999) == 500 && imagxp_status_http(3) == 500);
    CHECK(imagxp_status_http(IMAGXP_VISA_REQUIRED) == 402);
    CHECK(imagxp_status_public(IMAGXP_KEY_MISMATCH) == IMAGXP_IDENTITY_UNVERIFIED);
    CHECK(imagxp_status_is_behind_signature(IMAGXP_REPLAY_DETECTED) == 1);
    CHECK(imagxp_status_is_behind_signature(IMAGXP_IDENTITY_PENDING) == 1);
    CHECK(imagxp_status_is_behind_signature(IMAGXP_REPLAY_STORE_DOWN) == 0);
    CHECK(imagxp_status_is_behind_signature(IMAGXP_TIMESTAMP_STALE) == 0 && imagxp_status_is_behind_signature(7) == 0);
    CHECK(imagxp_status_public(IMAGXP_BUSY) == IMAGXP_BUSY && imagxp_status_retry_after_s(IMAGXP_BUSY) == 2);
    CHECK(imagxp_status_retry_after_s(IMAGXP_OK) == 0);
    CHECK_STATUS(imagxp_host_may_connect(localhost, 4), IMAGXP_HOST_FORBIDDEN);
    CHECK_STATUS(imagxp_host_may_connect(quad, 4), IMAGXP_OK);
    CHECK_STATUS(imagxp_host_may_connect(quad, 3), IMAGXP_ABI_ARGUMENT);
    CHECK_STATUS(imagxp_host_check_agent_id(IMAGXP_STR("localhost:80"), IMAGXP_MODE_PRODUCTION), IMAGXP_AGENT_ID_INVALID);
    CHECK_STATUS(imagxp_host_check_agent_id(IMAGXP_STR("localhost:80"), IMAGXP_MODE_DEVELOPMENT), IMAGXP_OK);
    CHECK_STATUS(imagxp_host_check_agent_id(IMAGXP_STR(AGENT), 2), IMAGXP_ABI_ARGUMENT);
    CHECK_STATUS(imagxp_jcs(IMAGXP_STR(" {\"b\":1, \"a\":[true,\"\\u20ac\"]}"), buf_of(json, sizeof json), &needed),
                 IMAGXP_OK);
    CHECK(is_text(imagxp_str_of(json, needed), "{\"a\":[true,\"\xe2\x82\xac\"],\"b\":1}"));
    CHECK_STATUS(imagxp_jcs(IMAGXP_STR("{\"b\":1"), buf_of(json, sizeof json), &needed), IMAGXP_JSON_SYNTAX);

    /* The macros say what the functions say. */
    for (names = 2; names < 5000; names += 7) {
        imagxp_key_cache_sizes sizes = { (uint32_t)names, (uint32_t)(names % 9), (uint32_t)(names % 5), 16 };
        size_t words = imagxp_key_cache_words(sizes);
        size_t without = IMAGXP_KEY_CACHE_WORDS(names, names % 9, names % 5, 0);
        /* A build without feature `ec` has no tables. */
        CHECK(words == IMAGXP_KEY_CACHE_WORDS(names, names % 9, names % 5, 16) || words == without);
    }
    for (slots = 0; slots < 200000; slots += 13) {
        CHECK(imagxp_replay_cache_words(slots) == IMAGXP_REPLAY_CACHE_WORDS(slots));
    }
    CHECK(imagxp_replay_cache_words((size_t)-1) == 0);
    {
        imagxp_key_cache_sizes odd = { 8, 1, 1, 3 };
        CHECK(imagxp_key_cache_words(odd) == 0);
    }
}

int main(void)
{
    static world w;

    world_make(&w);
    set_policy("{\"allowRAG\":true}");
    an_agent_is_admitted_once(&w);
    refusals(&w);
    visitors_without_headers();
    payment(&w);
    a_busy_agent(&w);
    in_one_piece(&w);
    a_store_elsewhere(&w);
    policies();
    numbers();
    return 0;
}
