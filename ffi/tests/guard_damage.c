/* Memory that was damaged since: whatever it holds, calls stay within it and end, and a damaged key signs nothing. */
#include "walls.h"

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
        damaged_memory(rounds / 2);
        tear_down();
    }
    damaged_keys(rounds / 50);
    return 0;
}
