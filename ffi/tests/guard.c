/*
 * Every entry point with memory that is exactly as large as it says: a page that nobody may touch lies before it, and
 * another behind it. Then with what the contract forbids and C programs do all the same: NULL, lengths of nonsense, memory
 * that overlaps, is misaligned, was never made, or was damaged since. A status comes back, and nothing else has happened.
 */
#include "walls.h"

static imagxp_status verify_packed(const site *s)
{
    char memory[4096];
    imagxp_packed packed = pack(s->visit, memory);

    packed.fields = fenced_str(packed.fields);
    return imagxp_request_verify_packed(fenced(&packed, sizeof packed), IMAGXP_POLICY(s->policy_words), s->keys, NOW,
                                        s->scratch, s->verified);
}

/* ---- 1: what is right, with nothing to spare ---- */

static void publisher_between_walls(void)
{
    site s = make_site();
    const imagxp_policy *policy = IMAGXP_POLICY(s.policy_words);
    uint8_t *secret = fenced(NULL, 32);
    imagxp_tag *tags = fenced(NULL, 2 * sizeof *tags);
    imagxp_replay_stats *stats = fenced(NULL, sizeof *stats);
    imagxp_unproven *unproven = fenced(NULL, sizeof *unproven);
    imagxp_terms *terms = fenced(NULL, sizeof *terms);
    imagxp_need *need = fenced(NULL, sizeof *need);
    size_t *needed = fenced(NULL, sizeof *needed);
    imagxp_answer manifest = fenced_answer(imagxp_str_of(w.manifest, w.manifest_len));
    imagxp_answer jwks = fenced_answer(IMAGXP_STR(JWKS));
    imagxp_buf texts = fenced_buf(256);

    CHECK_STATUS(verify(&s), IMAGXP_NEED);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, &s.verified->need, s.scratch, manifest, 0), IMAGXP_CLOCK_UNKNOWN);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, &s.verified->need, s.scratch, manifest, NOW), IMAGXP_OK);
    CHECK_STATUS(verify(&s), IMAGXP_VERIFIED);
    CHECK_STATUS(imagxp_request_tags(s.verified, s.scratch, secret, tags), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_cache_prepare(s.keys, s.verified->key, NOW), IMAGXP_OK);
    CHECK_STATUS(verify(&s), IMAGXP_VERIFIED);
    CHECK_STATUS(imagxp_request_admit(s.verified, s.scratch, s.replay, NOW), IMAGXP_OK);
    CHECK_STATUS(verify_packed(&s), IMAGXP_VERIFIED);
    CHECK_STATUS(imagxp_request_admit(s.verified, s.scratch, s.replay, NOW), IMAGXP_REPLAY_DETECTED);
    imagxp_init(stats, sizeof *stats);
    CHECK_STATUS(imagxp_replay_cache_stats(s.replay, stats), IMAGXP_OK);
    CHECK(stats->refused_used == 1 && imagxp_replay_cache_retry_after_s(s.replay) >= 1);
    CHECK_STATUS(imagxp_refusal_write(IMAGXP_REPLAY_DETECTED, policy, s.verified, texts, needed), IMAGXP_OK);

    CHECK_STATUS(imagxp_policy_document(policy, 0, texts, need), IMAGXP_NEED);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, need, texts, jwks, NOW), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_cache_alarm(s.keys, fenced_str(IMAGXP_TEXT(texts, need->url))), IMAGXP_OK);
    imagxp_init(terms, sizeof *terms);
    CHECK_STATUS(imagxp_policy_terms(policy, texts, terms), IMAGXP_OK);
    imagxp_init(unproven, sizeof *unproven);
    CHECK_STATUS(imagxp_request_parse(s.visit, s.scratch, unproven), IMAGXP_OK);
    CHECK(imagxp_header_matters(fenced_str(IMAGXP_STR(IMAGXP_HEADER_PROOF))) == 1);
    CHECK_STATUS(imagxp_host_may_connect(fenced("\x09\x09\x09\x09", 4), 4), IMAGXP_OK);
    CHECK_STATUS(imagxp_host_may_connect(fenced(NULL, 16), 16), IMAGXP_HOST_FORBIDDEN);
    CHECK_STATUS(imagxp_host_check_agent_id(fenced_str(IMAGXP_STR(AGENT)), 0), IMAGXP_OK);
    CHECK_STATUS(imagxp_jcs(fenced_str(IMAGXP_STR("{\"b\":[1.5e3,\"\\u0041\"]}")), fenced_buf(16), needed), IMAGXP_OK);
    CHECK(*needed == 16);

    /* Scratch of every length: it suffices, or it is too small, and it is never left. */
    for (s.scratch.len = 0; s.scratch.len < 2000; s.scratch.len += 37) {
        imagxp_status status;
        s.scratch.ptr = fenced(NULL, s.scratch.len);
        status = verify(&s);
        CHECK(status == IMAGXP_VERIFIED || status == IMAGXP_BUFFER_TOO_SMALL);
        tear_down();
        s = make_site();
        manifest = fenced_answer(imagxp_str_of(w.manifest, w.manifest_len));
        CHECK_STATUS(verify(&s), IMAGXP_NEED);
        CHECK_STATUS(imagxp_key_cache_supply(s.keys, &s.verified->need, s.scratch, manifest, NOW), IMAGXP_OK);
    }
}

static void agent_between_walls(void)
{
    uint8_t random[32] = { 3 };
    imagxp_key *key = fenced(NULL, sizeof *key);
    size_t *needed = fenced(NULL, sizeof *needed);
    uint8_t *digest = fenced(NULL, 32);
    imagxp_claims *claims = fenced(NULL, sizeof *claims);
    imagxp_signed *headers = fenced(NULL, sizeof *headers);
    imagxp_manifest *manifest = fenced(NULL, sizeof *manifest);
    imagxp_listed_key *listed = fenced(NULL, 4 * sizeof *listed);
    imagxp_revoked_key *revoked = fenced(NULL, 16 * sizeof *revoked);
    imagxp_buf out, text;
    int32_t format;
    size_t i;

    CHECK_STATUS(imagxp_key_from_random(fenced(random, 32), key), IMAGXP_OK);
    for (format = 1; format <= 5; format++) {
        CHECK_STATUS(imagxp_key_public(key, format, buf_of(NULL, 0), needed), IMAGXP_BUFFER_TOO_SMALL);
        CHECK_STATUS(imagxp_key_public(key, format, fenced_buf(*needed), needed), IMAGXP_OK);
        if (format == 5) break;
        CHECK_STATUS(imagxp_key_export(key, format, buf_of(NULL, 0), needed), IMAGXP_BUFFER_TOO_SMALL);
        out = fenced_buf(*needed);
        CHECK_STATUS(imagxp_key_export(key, format, out, needed), IMAGXP_OK);
        CHECK_STATUS(format == IMAGXP_FORMAT_DER ? imagxp_key_from_der(imagxp_str_of((char *)out.ptr, out.len), key)
                                                 : imagxp_key_from_text(imagxp_str_of((char *)out.ptr, out.len), key),
                     IMAGXP_OK);
    }
    imagxp_init(claims, sizeof *claims);
    claims->agent_id = fenced_str(IMAGXP_STR(AGENT));
    claims->resource = fenced_str(IMAGXP_STR(RESOURCE));
    claims->purpose = IMAGXP_QUOTATION;
    imagxp_init(headers, sizeof *headers);
    CHECK_STATUS(imagxp_request_sign(key, claims, fenced(random, 16), fenced(random, 32), 1, NOW, buf_of(NULL, 0), headers),
                 IMAGXP_BUFFER_TOO_SMALL);
    out = fenced_buf(headers->needed);
    CHECK_STATUS(imagxp_request_sign(key, claims, fenced(random, 16), fenced(random, 32), 1, NOW, out, headers), IMAGXP_OK);
    text = fenced_buf(124);
    CHECK_STATUS(imagxp_key_public(key, IMAGXP_FORMAT_TEXT, text, NULL), IMAGXP_OK);
    CHECK_STATUS(imagxp_request_prepare(imagxp_str_of((char *)text.ptr, 124), claims, fenced(random, 16), NOW, out, headers,
                                        digest), IMAGXP_OK);
    CHECK_STATUS(imagxp_request_attach(headers, fenced(NULL, 64), out), IMAGXP_OK);

    imagxp_init(manifest, sizeof *manifest);
    manifest->agent_id = claims->agent_id;
    manifest->public_key = imagxp_str_of((char *)text.ptr, 124);
    manifest->keys = listed;
    manifest->keys_len = 4;
    manifest->revoked = revoked;
    manifest->revoked_len = 16;
    for (i = 0; i < 4; i++) listed[i].public_key = manifest->public_key;
    for (i = 0; i < 16; i++) revoked[i].kid = claims->agent_id;
    CHECK_STATUS(imagxp_manifest_write(manifest, buf_of(NULL, 0), needed), IMAGXP_BUFFER_TOO_SMALL);
    CHECK_STATUS(imagxp_manifest_write(manifest, fenced_buf(*needed), needed), IMAGXP_OK);
    manifest->keys_len = 5;
    listed = fenced(NULL, 5 * sizeof *listed);
    for (i = 0; i < 5; i++) listed[i].public_key = manifest->public_key;
    manifest->keys = listed;
    CHECK_STATUS(imagxp_manifest_write(manifest, buf_of(NULL, 0), needed), IMAGXP_MANIFEST_INVALID);
    imagxp_key_wipe(key);
}

/* ---- 2: what the contract forbids ---- */

static void texts_and_keys_misused(void)
{
    static uint8_t out[512];
    uint64_t odd[40];
    uint8_t bytes[64] = { 0 };
    imagxp_buf good = { out, sizeof out };
    imagxp_buf null = { NULL, 1 }, huge = { out, HUGE };
    imagxp_str null_text = { NULL, 1 }, huge_text = { "x", HUGE };
    imagxp_str inside = { (const char *)out + 511, 1 };
    imagxp_key key = w.key, unmade;
    imagxp_key *crooked = (imagxp_key *)(void *)((uint8_t *)odd + 1);
    size_t needed = 0, i;

    memset(&unmade, 0xFF, sizeof unmade);
    REFUSED(imagxp_jcs(null_text, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_jcs(huge_text, good, &needed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_jcs(inside, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), null, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), huge, &needed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), good, (size_t *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), good, (size_t *)(void *)((uint8_t *)odd + 1)), IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_jcs(imagxp_str_of(NULL, 0), good, &needed), IMAGXP_JSON_SYNTAX);
    REFUSED(imagxp_key_public(NULL, 1, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_public(&unmade, 1, good, &needed), IMAGXP_ABI_STATE);
    REFUSED(imagxp_key_public(crooked, 1, good, &needed), IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_key_public((imagxp_key *)(void *)out, 1, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_key_export(NULL, 1, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_export(&unmade, 1, good, &needed), IMAGXP_ABI_STATE);
    REFUSED(imagxp_key_export(&key, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    REFUSED(imagxp_key_export(&key, 1, huge, &needed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_key_from_random(NULL, (imagxp_key *)(void *)out), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_from_random(bytes, (imagxp_key *)(void *)out), IMAGXP_PRIVKEY_INVALID);
    REFUSED(imagxp_key_from_random(bytes, NULL), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_from_random(out, (imagxp_key *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_key_from_random(bytes, crooked), IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_key_from_text(null_text, (imagxp_key *)(void *)out), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_from_text(IMAGXP_STR("-----BEGIN"), (imagxp_key *)(void *)out), IMAGXP_PRIVKEY_INVALID);
    REFUSED(imagxp_key_from_der(huge_text, (imagxp_key *)(void *)out), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_key_from_der(IMAGXP_STR("0"), (imagxp_key *)(void *)out), IMAGXP_PRIVKEY_INVALID);
    REFUSED(imagxp_host_may_connect(NULL, 4), IMAGXP_ABI_NULL);
    REFUSED(imagxp_host_may_connect(NULL, 0), IMAGXP_ABI_ARGUMENT);
    REFUSED(imagxp_host_may_connect(bytes, HUGE), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_host_check_agent_id(null_text, 0), IMAGXP_ABI_NULL);
    CHECK(imagxp_header_matters(null_text) == 0 && imagxp_header_matters(huge_text) == 0);
    imagxp_key_wipe(crooked);
}

static void signing_misused(void)
{
    static uint8_t out[8192];
    uint8_t nonce[16] = { 0 }, signature[64] = { 0 }, digest[32];
    imagxp_buf good = { out, 4096 };
    imagxp_signed headers, before;
    imagxp_claims claims;
    imagxp_manifest manifest;
    imagxp_key unmade;
    size_t needed = 0, i;

    memset(&unmade, 0, sizeof unmade);
    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    IMAGXP_INIT(&manifest);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = 1;
    before = headers;
#define SIGN(key, claims, nonce, hedge, out, headers) imagxp_request_sign(key, claims, nonce, hedge, 0, NOW, out, headers)
    REFUSED(SIGN(NULL, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&unmade, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_STATE);
    REFUSED(SIGN(&w.key, NULL, nonce, NULL, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&w.key, &claims, NULL, NULL, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&w.key, &claims, out, NULL, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(SIGN(&w.key, &claims, nonce, out + 4090, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, NULL), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, buf_of(NULL, 5), &headers), IMAGXP_ABI_NULL);
    claims.agent_id = imagxp_str_of((char *)out, 10);
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_OVERLAP);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.size -= 8;
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_VERSION);
    claims.size += 8;
    {
        /* As a newer header might have it. */
        struct {
            imagxp_signed known;
            uint64_t added;
        } newer;
        memset(&newer, 0, sizeof newer);
        newer.known.size = sizeof newer;
        REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &newer.known), IMAGXP_ABI_VERSION);
    }
    headers.size = 0;
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_VERSION);
    headers.size = sizeof headers;
    CHECK(memcmp(&headers, &before, sizeof before) == 0);
    REFUSED(imagxp_request_prepare(IMAGXP_STR("MFkw"), &claims, nonce, NOW, good, &headers, digest), IMAGXP_KEY_FORMAT);
    REFUSED(imagxp_request_prepare(IMAGXP_STR("MFkw"), &claims, nonce, NOW, good, &headers, NULL), IMAGXP_ABI_NULL);
    REFUSED(imagxp_request_prepare(IMAGXP_STR("MFkw"), &claims, nonce, NOW, good, &headers, out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_request_attach(&headers, signature, good), IMAGXP_ABI_STATE);
    headers.signature.at = 0xFFFFFFFF;
    headers.signature.len = 128;
    REFUSED(imagxp_request_attach(&headers, signature, good), IMAGXP_ABI_STATE);
    REFUSED(imagxp_request_attach(NULL, signature, good), IMAGXP_ABI_NULL);
    REFUSED(imagxp_request_attach(&headers, NULL, good), IMAGXP_ABI_NULL);
    REFUSED(imagxp_manifest_write(NULL, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_KEY_FORMAT);
    manifest.keys_len = 1;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_NULL);
    manifest.keys = (imagxp_listed_key *)(void *)out;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_OVERLAP);
    manifest.keys_len = HUGE / 8;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_LENGTH);
    manifest.size = 1;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_VERSION);
}

static void caches_misused(void)
{
    static uint8_t out[65536];
    static uint64_t words[KEY_WORDS];
    uint8_t seed[32] = { 0 };
    uint64_t *inside = (uint64_t *)(void *)out;
    imagxp_key_cache keys = { inside, KEY_WORDS }, view;
    imagxp_replay_cache replay = { inside, REPLAY_WORDS }, replay_view;
    imagxp_key_cache_sizes impossible = { 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 320 }, odd = { 8, 1, 1, 63 };
    imagxp_need need = { IMAGXP_NEED_MANIFEST, 0, 0, 0, { 0, 4 }, { 0, 4 } };
    imagxp_answer answer = { IMAGXP_FOUND, 0, { "{}", 2 } };
    imagxp_buf scratch = { seed, sizeof seed };
    imagxp_replay_stats stats;
    size_t needed = 0, i;

    CHECK(sizeof out >= sizeof words && sizeof out >= REPLAY_WORDS * 8);
    REFUSED(imagxp_key_cache_new(NULL, sizes, seed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_cache_new(&keys, sizes, NULL), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_cache_new(&keys, sizes, out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_key_cache_new(&keys, impossible, seed), sizeof(size_t) == 4 ? IMAGXP_ABI_ARGUMENT : IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_key_cache_new(&keys, odd, seed), IMAGXP_ABI_ARGUMENT);
    view = keys;
    view.len = 100;
    REFUSED(imagxp_key_cache_new(&view, sizes, seed), IMAGXP_ABI_STORAGE);
    view.words = NULL;
    REFUSED(imagxp_key_cache_new(&view, sizes, seed), IMAGXP_ABI_NULL);
    view.words = (uint64_t *)(void *)(out + 4);
    REFUSED(imagxp_key_cache_new(&view, sizes, seed), IMAGXP_ABI_STORAGE);
    view.words = inside;
    view.len = HUGE / 4;
    REFUSED(imagxp_key_cache_new(&view, sizes, seed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_ABI_STATE);
    REFUSED(imagxp_key_cache_prepare(&keys, 1, NOW), IMAGXP_ABI_STATE);
    REFUSED(imagxp_key_cache_alarm(&keys, IMAGXP_STR("x")), IMAGXP_ABI_STATE);
    REFUSED(imagxp_key_cache_alarm(NULL, IMAGXP_STR("x")), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_cache_supply(&keys, NULL, scratch, answer, NOW), IMAGXP_ABI_NULL);
    REFUSED(imagxp_replay_cache_new(&replay, NULL, 0), IMAGXP_ABI_NULL);
    replay_view = replay;
    replay_view.len = 3;
    REFUSED(imagxp_replay_cache_new(&replay_view, seed, 0), IMAGXP_ABI_STORAGE);
    IMAGXP_INIT(&stats);
    REFUSED(imagxp_replay_cache_stats(&replay, &stats), IMAGXP_ABI_STATE);
    REFUSED(imagxp_replay_cache_stats(&replay, NULL), IMAGXP_ABI_NULL);
    stats.size = 9;
    REFUSED(imagxp_replay_cache_stats(&replay, &stats), IMAGXP_ABI_VERSION);
    CHECK(imagxp_replay_cache_retry_after_s(NULL) == 60 && imagxp_replay_cache_retry_after_s(&replay) == 60);

    keys.words = words;
    CHECK_STATUS(imagxp_key_cache_new(&keys, sizes, seed), IMAGXP_OK);
    need.url.at = 0xFFFFFFFF;
    REFUSED(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_ABI_STATE);
    need.url.at = 0;
    need.kind = 3;
    REFUSED(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_ABI_ARGUMENT);
    need.kind = IMAGXP_NEED_MANIFEST;
    answer.body.ptr = (const char *)words;
    REFUSED(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_ABI_OVERLAP);
    answer.body.ptr = NULL;
    REFUSED(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_ABI_NULL);
    answer.body.len = 0;
    REFUSED(imagxp_key_cache_supply(&keys, &need, scratch, answer, 0), IMAGXP_CLOCK_UNKNOWN);
    /* Without a document its place is not looked at. */
    answer.body.len = HUGE;
    answer.kind = IMAGXP_NOT_THERE;
    CHECK_STATUS(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_OK);
    answer.kind = IMAGXP_UNREACHABLE;
    CHECK_STATUS(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_OK);
    answer.kind = IMAGXP_FOUND;
    answer.body.len = 0;
    /* One that the library made for other texts. */
    need.check = 1;
    REFUSED(imagxp_key_cache_supply(&keys, &need, scratch, answer, NOW), IMAGXP_ABI_STATE);
    keys.len--;
    REFUSED(imagxp_key_cache_prepare(&keys, 1, NOW), IMAGXP_ABI_STATE);
}

static void verify_misused(void)
{
    static uint8_t out[4096];
    site s = make_site();
    imagxp_visit visit = *s.visit;
    imagxp_header header = { { "a", 1 }, { NULL, 1 } };
    imagxp_verified verified;
    size_t needed = 0, i;

#define VERIFY(visit, policy, keys, scratch, verified) imagxp_request_verify(visit, policy, keys, NOW, scratch, verified)
#define POLICY_OF(s) IMAGXP_POLICY((s).policy_words)
    IMAGXP_INIT(&verified);
    s.scratch = buf_of(out, sizeof out);
    REFUSED(VERIFY(NULL, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_NULL);
    REFUSED(VERIFY(s.visit, NULL, s.keys, s.scratch, s.verified), IMAGXP_ABI_NULL);
    REFUSED(VERIFY(s.visit, IMAGXP_POLICY(out), s.keys, buf_of(NULL, 0), s.verified), IMAGXP_ABI_STATE);
    REFUSED(VERIFY(s.visit, IMAGXP_POLICY(out + 1), s.keys, buf_of(NULL, 0), s.verified), IMAGXP_ABI_STORAGE);
    REFUSED(VERIFY(s.visit, IMAGXP_POLICY(out), s.keys, s.scratch, s.verified), IMAGXP_ABI_OVERLAP);
    REFUSED(VERIFY(s.visit, POLICY_OF(s), NULL, s.scratch, s.verified), IMAGXP_ABI_NULL);
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, buf_of(NULL, 9), s.verified), IMAGXP_ABI_NULL);
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, buf_of(out, HUGE), s.verified), IMAGXP_ABI_LENGTH);
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, NULL), IMAGXP_ABI_NULL);
    s.visit->size++;
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_VERSION);
    s.visit->size--;
    s.visit->headers_len = HUGE / 16;
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_LENGTH);
    s.visit->headers_len = 1;
    s.visit->headers = NULL;
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_NULL);
    s.visit->headers = &header;
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_NULL);
    header.value = imagxp_str_of((char *)out, 5);
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_OVERLAP);
    *s.visit = visit;
    s.visit->target = imagxp_str_of((char *)out + 4095, 1);
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_OVERLAP);
    *s.visit = visit;
    s.visit->reserved = 1;
    REFUSED(VERIFY(s.visit, POLICY_OF(s), s.keys, s.scratch, s.verified), IMAGXP_ABI_ARGUMENT);
    CHECK(memcmp(s.verified, &verified, sizeof verified) == 0);

    /* Nobody is admitted by a struct that was only initialised. */
    REFUSED(imagxp_request_admit(s.verified, s.scratch, s.replay, NOW), IMAGXP_ABI_STATE);
    REFUSED(imagxp_request_admit(NULL, s.scratch, s.replay, NOW), IMAGXP_ABI_NULL);
    REFUSED(imagxp_request_admit(s.verified, s.scratch, NULL, NOW), IMAGXP_ABI_NULL);
    REFUSED(imagxp_request_tags(s.verified, s.scratch, out, (imagxp_tag *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_request_tags(s.verified, buf_of(NULL, 0), NULL, (imagxp_tag *)(void *)out), IMAGXP_ABI_NULL);
    REFUSED(imagxp_request_parse(&visit, buf_of(NULL, 0), NULL), IMAGXP_ABI_NULL);
    REFUSED(imagxp_policy_parse(IMAGXP_STR("{}"), NULL, 512), IMAGXP_ABI_NULL);
    REFUSED(imagxp_policy_parse(IMAGXP_STR("{"), (uint64_t *)(void *)out, 512), IMAGXP_POLICY_INVALID);
    REFUSED(imagxp_policy_document(NULL, 0, s.scratch, &verified.need), IMAGXP_ABI_NULL);
    REFUSED(imagxp_policy_terms(POLICY_OF(s), s.scratch, NULL), IMAGXP_ABI_NULL);
    REFUSED(imagxp_refusal_write(IMAGXP_OK, POLICY_OF(s), NULL, s.scratch, &needed), IMAGXP_ABI_ARGUMENT);
    REFUSED(imagxp_refusal_write(IMAGXP_BUSY, POLICY_OF(s), &verified, s.scratch, &needed), IMAGXP_ABI_STATE);
}

static void packed_misused(void)
{
    static uint8_t out[4096];
    site s = make_site();
    char memory[4096];
    imagxp_packed packed = pack(s.visit, memory), good = packed;
    size_t needed = 0, i;

#define PACKED(packed, scratch) \
    imagxp_request_verify_packed(packed, POLICY_OF(s), s.keys, NOW, scratch, s.verified)
    s.scratch = buf_of(out, sizeof out);
    REFUSED(PACKED(NULL, s.scratch), IMAGXP_ABI_NULL);
    REFUSED(PACKED((imagxp_packed *)(void *)out, s.scratch), IMAGXP_ABI_VERSION);
    REFUSED(PACKED(&packed, buf_of(&packed, sizeof packed)), IMAGXP_ABI_OVERLAP);
    REFUSED(PACKED(&packed, buf_of(memory, 1)), IMAGXP_ABI_OVERLAP);
    packed.size--;
    REFUSED(PACKED(&packed, s.scratch), IMAGXP_ABI_VERSION);
    packed = good;
    packed.fields.len = HUGE;
    REFUSED(PACKED(&packed, s.scratch), IMAGXP_ABI_LENGTH);
    packed.fields.ptr = NULL;
    packed.fields.len = 1;
    REFUSED(PACKED(&packed, s.scratch), IMAGXP_ABI_NULL);
    packed = good;
    for (packed.count = 0; packed.count < 64; packed.count++) {
        if (packed.count == good.count) continue;
        REFUSED(PACKED(&packed, s.scratch), packed.count < 4 || packed.count % 2 != 0 ? IMAGXP_ABI_ARGUMENT : IMAGXP_HEADER_BYTES);
    }
    packed.count = 0xFFFFFFFE;
    REFUSED(PACKED(&packed, s.scratch), IMAGXP_HEADER_BYTES);
    /* A NUL where none belongs never moves a value into a place that was not its own. */
    packed = good;
    for (i = 0; i < packed.fields.len; i++) {
        char kept = memory[i];
        if (kept == '\0') continue;
        memory[i] = '\0';
        CHECK_STATUS(PACKED(&packed, s.scratch), IMAGXP_HEADER_BYTES);
        memory[i] = kept;
    }
    CHECK_STATUS(PACKED(&packed, s.scratch), IMAGXP_NEED);
}

/* ---- 3: damage ---- */

static uint64_t state = 88172645463325252u;

static uint64_t random_word(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Flips bits, or writes whole words, most of them where the headers are. */
static void damage(void *memory, size_t len)
{
    uint8_t *bytes = memory;
    size_t hits = 1 + random_word() % 16;

    while (hits-- > 0) {
        size_t range = random_word() % 2 == 0 && len > 256 ? 256 : len;
        size_t at = random_word() % range;
        if (random_word() % 4 == 0 && at + 8 <= len) {
            uint64_t word = random_word() >> random_word() % 64;
            memcpy(bytes + at / 8 * 8, &word, 8);
        } else {
            bytes[at] ^= (uint8_t)(1u << random_word() % 8);
        }
    }
}

static void damaged_memory(unsigned rounds)
{
    static uint64_t policy[IMAGXP_POLICY_WORDS], keys[KEY_WORDS], replay[REPLAY_WORDS];
    site s = make_site();
    imagxp_answer manifest = fenced_answer(imagxp_str_of(w.manifest, w.manifest_len));
    imagxp_answer jwks = fenced_answer(IMAGXP_STR(JWKS));
    imagxp_verified verified;
    imagxp_replay_stats stats;
    imagxp_terms terms;
    imagxp_need need;
    imagxp_tag tags[2];
    unsigned round, admitted = 0;

    CHECK_STATUS(verify(&s), IMAGXP_NEED);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, &s.verified->need, s.scratch, manifest, NOW), IMAGXP_OK);
    CHECK_STATUS(imagxp_policy_document(POLICY_OF(s), 0, s.scratch, &need), IMAGXP_NEED);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, &need, s.scratch, jwks, NOW), IMAGXP_OK);
    CHECK_STATUS(verify(&s), IMAGXP_VERIFIED);
    verified = *s.verified;
    memcpy(policy, s.policy_words, sizeof policy);
    memcpy(keys, s.keys->words, sizeof keys);
    memcpy(replay, s.replay->words, sizeof replay);
    for (round = 0; round < rounds; round++) {
        memcpy(s.policy_words, policy, sizeof policy);
        memcpy(s.keys->words, keys, sizeof keys);
        memcpy(s.replay->words, replay, sizeof replay);
        *s.verified = verified;
        if (round % 5 == 0) damage(s.policy_words, sizeof policy);
        if (round % 5 <= 1) damage(s.keys->words, sizeof keys);
        if (round % 5 == 2) damage(s.replay->words, sizeof replay);
        if (round % 5 == 3) damage(&s.verified->status, sizeof verified - sizeof verified.size);
        if (round % 5 == 4) damage(s.scratch.ptr, s.scratch.len);
        IMAGXP_INIT(&stats);
        IMAGXP_INIT(&terms);
        admitted += imagxp_request_admit(s.verified, s.scratch, s.replay, NOW + (int64_t)round) == IMAGXP_OK;
        imagxp_request_tags(s.verified, s.scratch, (const uint8_t *)policy, tags);
        imagxp_replay_cache_stats(s.replay, &stats);
        imagxp_replay_cache_retry_after_s(s.replay);
        imagxp_key_cache_supply(s.keys, &s.verified->need, s.scratch, manifest, NOW);
        imagxp_key_cache_prepare(s.keys, random_word(), NOW);
        imagxp_key_cache_prepare(s.keys, verified.key, NOW);
        imagxp_policy_terms(POLICY_OF(s), s.scratch, &terms);
        if (imagxp_policy_document(POLICY_OF(s), random_word() % 5, s.scratch, &need) == IMAGXP_NEED) {
            imagxp_key_cache_supply(s.keys, &need, s.scratch, jwks, NOW);
        }
        imagxp_key_cache_alarm(s.keys, IMAGXP_STR("https://broker.example.com/jwks"));
        s.verified->size = sizeof verified;
        verify(&s);
    }
    CHECK(admitted > 0 && admitted < rounds);
}

static void damaged_keys(unsigned rounds)
{
    uint8_t out[1024], nonce[16] = { 0 };
    imagxp_claims claims;
    imagxp_signed headers;
    imagxp_key key;

    IMAGXP_INIT(&claims);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = 1;
    while (rounds-- > 0) {
        imagxp_status status;
        key = w.key;
        damage(&key, sizeof key);
        IMAGXP_INIT(&headers);
        status = imagxp_request_sign(&key, &claims, nonce, NULL, IMAGXP_SIGN_CHECK, NOW, buf_of(out, sizeof out), &headers);
        CHECK(status == IMAGXP_ABI_STATE || status == IMAGXP_SIGN_FAULT || memcmp(&key, &w.key, sizeof key) == 0);
        imagxp_key_public(&key, IMAGXP_FORMAT_JWK, buf_of(out, sizeof out), NULL);
        imagxp_key_export(&key, IMAGXP_FORMAT_JWK, buf_of(out, sizeof out), NULL);
    }
}

int main(void)
{
    const char *text = getenv("IMAGXP_ROUNDS");
    unsigned rounds = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 20000;

    world_make(&w);
    for (side = START; side <= END; side++) {
        publisher_between_walls();
        agent_between_walls();
        damaged_memory(rounds / 2);
        tear_down();
    }
    texts_and_keys_misused();
    signing_misused();
    caches_misused();
    verify_misused();
    packed_misused();
    damaged_keys(rounds / 50);
    tear_down();
    return 0;
}
