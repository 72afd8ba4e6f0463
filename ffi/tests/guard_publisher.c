/* A publisher's calls, between walls and misused: requests, policies, caches, hosts. */
#include "walls.h"

static imagxp_status verify_packed(const site *s)
{
    char memory[4096];
    imagxp_packed packed = pack(s->visit, memory);

    packed.fields = fenced_str(packed.fields);
    return imagxp_request_verify_packed(fenced(&packed, sizeof packed), IMAGXP_POLICY(s->policy_words), s->keys, NOW,
                                        s->scratch, s->verified);
}

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

int main(void)
{
    world_make(&w);
    for (side = START; side <= END; side++) {
        publisher_between_walls();
        tear_down();
    }
    caches_misused();
    verify_misused();
    packed_misused();
    tear_down();
    return 0;
}
