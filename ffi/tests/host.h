/* A publisher's host: policy, caches, scratch, the loop of the header's preamble, and what it keeps of one decision. */
#ifndef HOST_H
#define HOST_H

#include "check.h"

typedef struct host {
    uint64_t policy_words[IMAGXP_POLICY_WORDS];
    uint64_t key_words[IMAGXP_KEY_CACHE_WORDS(64, 2, 0, 0)];
    uint64_t replay_words[IMAGXP_REPLAY_CACHE_WORDS(64)];
    uint8_t memory[IMAGXP_SCRATCH_LEN];
    imagxp_key_cache keys;
    imagxp_replay_cache replay;
    imagxp_buf scratch;
    const imagxp_policy *policy;
    imagxp_verified verified;
    imagxp_decision decision;
    imagxp_fetch fetches[4];
    char urls[4][256];
    /* What can be fetched: a manifest, a key set. */
    imagxp_str documents[2];
    /* Called with each document that was fetched; may be NULL. */
    void (*fetched)(struct host *h, imagxp_fetch *fetch, imagxp_str body);
} host;

static inline void host_make(host *h, const char *policy)
{
    uint8_t seed[32] = { 1 };
    imagxp_key_cache_sizes sizes = { 64, 2, 0, 0 };

    memset(h, 0, sizeof *h);
    h->keys.words = h->key_words;
    h->keys.len = sizeof h->key_words / sizeof h->key_words[0];
    h->replay.words = h->replay_words;
    h->replay.len = sizeof h->replay_words / sizeof h->replay_words[0];
    h->scratch = buf_of(h->memory, sizeof h->memory);
    h->policy = IMAGXP_POLICY(h->policy_words);
    CHECK_STATUS(imagxp_policy_parse(imagxp_str_of(policy, strlen(policy)), h->policy_words, IMAGXP_POLICY_WORDS), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_cache_new(&h->keys, sizes, seed), IMAGXP_OK);
    CHECK_STATUS(imagxp_replay_cache_new(&h->replay, seed, 0), IMAGXP_OK);
}

static inline void host_fetch(host *h, int64_t now_ms)
{
    size_t at = h->decision.fetches_len++;
    imagxp_fetch *fetch = &h->fetches[at];
    imagxp_str url = IMAGXP_TEXT(h->scratch, h->verified.need.url);
    imagxp_str body = h->documents[h->verified.need.kind - 1];
    imagxp_answer answer;

    CHECK(at < 3 && url.len < sizeof h->urls[0]);
    memcpy(h->urls[at], url.ptr, url.len);
    memset(fetch, 0, sizeof *fetch);
    fetch->kind = h->verified.need.kind;
    fetch->found = body.len > 0 ? IMAGXP_FOUND : IMAGXP_UNREACHABLE;
    fetch->url = imagxp_str_of(h->urls[at], url.len);
    fetch->len = body.len;
    fetch->asked_ms = now_ms + 1;
    fetch->answered_ms = now_ms + 40;
    answer.kind = fetch->found;
    answer.max_age_s = -1;
    answer.body = body;
    CHECK_STATUS(imagxp_key_cache_supply(&h->keys, &h->verified.need, h->scratch, answer, now_ms), IMAGXP_OK);
    if (h->fetched != NULL && body.len > 0) h->fetched(h, fetch, body);
}

static inline imagxp_status host_decide(host *h, const imagxp_visit *visit, int64_t now_ms)
{
    imagxp_status status;

    IMAGXP_INIT(&h->verified);
    IMAGXP_INIT(&h->decision);
    h->decision.fetches = h->fetches;
    h->decision.received_ms = now_ms;
    for (;;) {
        status = imagxp_request_verify(visit, h->policy, &h->keys, now_ms, h->scratch, &h->verified);
        if (status != IMAGXP_NEED) break;
        host_fetch(h, now_ms);
    }
    if (status == IMAGXP_VERIFIED) {
        status = imagxp_request_admit(&h->verified, h->scratch, &h->replay, now_ms);
    }
    h->decision.status = status;
    h->decision.decided_ms = now_ms + 41;
    return status;
}

#endif
