/* As guard.c, for what is told and recorded of a request: stories, provenance. */
#include "walls.h"

static imagxp_decision *fenced_decision(imagxp_status status, size_t fetches)
{
    imagxp_decision *decision = fenced(NULL, sizeof *decision);
    imagxp_fetch *fetch = fenced(NULL, fetches * sizeof *fetch);
    size_t i;

    for (i = 0; i < fetches; i++) {
        fetch[i].kind = IMAGXP_NEED_MANIFEST;
        fetch[i].found = IMAGXP_FOUND;
        fetch[i].url = fenced_str(IMAGXP_STR("https://bot.example.com/"));
    }
    imagxp_init(decision, sizeof *decision);
    decision->status = status;
    decision->received_ms = decision->decided_ms = NOW;
    decision->fetches = fetch;
    decision->fetches_len = fetches;
    return decision;
}

static site admitted_site(void)
{
    site s = make_site();
    imagxp_answer manifest = fenced_answer(imagxp_str_of(w.manifest, w.manifest_len));

    CHECK_STATUS(verify(&s), IMAGXP_NEED);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, &s.verified->need, s.scratch, manifest, NOW), IMAGXP_OK);
    CHECK_STATUS(verify(&s), IMAGXP_VERIFIED);
    CHECK_STATUS(imagxp_request_admit(s.verified, s.scratch, s.replay, NOW), IMAGXP_OK);
    return s;
}

static imagxp_str public_text(void)
{
    uint8_t *text = fenced(NULL, 124);
    CHECK_STATUS(imagxp_key_public(&w.key, IMAGXP_FORMAT_TEXT, buf_of(text, 124), NULL), IMAGXP_OK);
    return imagxp_str_of((const char *)text, 124);
}

/* Calls once to learn the length, then with exactly that between walls, and with one byte less. */
#define WRITES(needed, call)                                                                       \
    do {                                                                                           \
        imagxp_buf out = buf_of(NULL, 0);                                                          \
        CHECK_STATUS(call, IMAGXP_BUFFER_TOO_SMALL);                                               \
        out = fenced_buf(needed - 1);                                                              \
        CHECK_STATUS(call, IMAGXP_BUFFER_TOO_SMALL);                                               \
        CHECK(is_zero(out.ptr, out.len));                                                          \
        out = fenced_buf(needed);                                                                  \
        CHECK_STATUS(call, IMAGXP_OK);                                                             \
    } while (0)

static int is_zero(const uint8_t *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] == 0) len--;
    return len == 0;
}

static void stories_between_walls(void)
{
    site s = admitted_site();
    const imagxp_policy *policy = IMAGXP_POLICY(s.policy_words);
    imagxp_decision *decision = fenced_decision(IMAGXP_OK, 4);
    imagxp_claims *claims = fenced(NULL, sizeof *claims);
    imagxp_sent *sent = fenced(NULL, sizeof *sent);
    imagxp_sale *sale = fenced(NULL, sizeof *sale);
    size_t *needed = fenced(NULL, sizeof *needed);
    int32_t format;

    imagxp_init(claims, sizeof *claims);
    claims->agent_id = fenced_str(IMAGXP_STR(AGENT));
    claims->resource = fenced_str(IMAGXP_STR(RESOURCE));
    claims->purpose = IMAGXP_SUMMARY;
    imagxp_init(sent, sizeof *sent);
    sent->signed_ms = sent->sent_ms = sent->answered_ms = NOW;
    sent->error = fenced_str(IMAGXP_STR("BUSY"));
    imagxp_init(sale, sizeof *sale);
    sale->agent_id = claims->agent_id;
    sale->audience = claims->resource;
    sale->jti = fenced_str(IMAGXP_STR("7"));
    for (format = IMAGXP_STORY_TEXT; format <= IMAGXP_STORY_JSON; format++) {
        WRITES(*needed, imagxp_story_publisher(s.visit, policy, s.verified, s.scratch, decision, format, out, needed));
        WRITES(*needed, imagxp_story_agent(claims, public_text(), sent, format, out, needed));
        WRITES(*needed, imagxp_story_broker(sale, format, out, needed));
    }
    /* Scratch of every length. */
    decision->status = IMAGXP_BUSY;
    for (s.scratch.len = 0; s.scratch.len < 2000; s.scratch.len += 97) {
        imagxp_status status;
        s.scratch.ptr = fenced(NULL, s.scratch.len);
        status = imagxp_story_publisher(s.visit, policy, NULL, s.scratch, decision, 0, fenced_buf(4096), needed);
        CHECK(status == IMAGXP_OK || status == IMAGXP_BUFFER_TOO_SMALL);
    }
}

static void provenance_between_walls(void)
{
    imagxp_key *key = fenced(&w.key, sizeof *key);
    imagxp_provenance *headers = fenced(NULL, sizeof *headers);
    int32_t *origin = fenced(NULL, sizeof *origin);
    int64_t *ts_ms = fenced(NULL, sizeof *ts_ms);
    imagxp_buf texts;

    imagxp_init(headers, sizeof *headers);
    WRITES(headers->needed, imagxp_provenance_sign(key, 2, fenced(NULL, 32), IMAGXP_SIGN_CHECK, NOW, texts = out, headers));
    CHECK_STATUS(imagxp_provenance_verify(public_text(), fenced_str(IMAGXP_TEXT(texts, headers->origin)),
                                          fenced_str(IMAGXP_TEXT(texts, headers->signature)),
                                          fenced_str(IMAGXP_TEXT(texts, headers->ts)), NOW, 0, 0, origin, ts_ms), IMAGXP_OK);
    CHECK(*origin == 2 && *ts_ms == NOW);
}

static void stories_misused(void)
{
    static uint8_t out[4096];
    imagxp_buf good = { out, sizeof out };
    site s = admitted_site();
    imagxp_decision *decision = fenced_decision(IMAGXP_OK, 1), saved = *decision;
    imagxp_fetch *fetch = (imagxp_fetch *)(uintptr_t)decision->fetches;
    imagxp_verified *inside = (imagxp_verified *)(void *)out;
    imagxp_claims claims;
    imagxp_sent sent;
    imagxp_sale sale;
    size_t needed = 0, i;

#define STORY(verified, scratch, decision, format, out, needed)                                    \
    imagxp_story_publisher(s.visit, IMAGXP_POLICY(s.policy_words), verified, scratch, decision, format, out, needed)
    REFUSED(imagxp_story_publisher(NULL, IMAGXP_POLICY(s.policy_words), s.verified, s.scratch, decision, 0, good, &needed),
            IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_publisher(s.visit, NULL, s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_publisher(s.visit, IMAGXP_POLICY(s.keys->words), s.verified, s.scratch, decision, 0, good, &needed),
            IMAGXP_ABI_STATE);
    REFUSED(STORY(s.verified, s.scratch, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(STORY(s.verified, s.scratch, decision, 2, good, &needed), IMAGXP_ABI_ARGUMENT);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, buf_of(NULL, 1), &needed), IMAGXP_ABI_NULL);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, buf_of(out, HUGE), &needed), IMAGXP_ABI_LENGTH);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, s.scratch, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(STORY(s.verified, good, decision, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, (size_t *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(STORY(inside, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_VERSION);
    REFUSED(STORY(s.verified, buf_of(NULL, 0), decision, 0, good, &needed), IMAGXP_BUFFER_TOO_SMALL);
    decision->size--;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_VERSION);
    *decision = saved;
    decision->reserved = 1;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    *decision = saved;
    decision->status = 1;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    decision->status = -9999;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    *decision = saved;
    decision->fetches_len = 5;
    decision->fetches = fenced(NULL, 5 * sizeof *fetch);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    decision->fetches_len = HUGE / 8;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_LENGTH);
    decision->fetches = NULL;
    decision->fetches_len = 1;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_NULL);
    decision->fetches = (imagxp_fetch *)(void *)out;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    *decision = saved;
    fetch->kind = 0;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    fetch->kind = 1;
    fetch->url.ptr = NULL;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_NULL);
    fetch->url = imagxp_str_of("\xff", 1);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    fetch->url = imagxp_str_of((char *)out, 1);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    fetch->url.len = 0;
    s.verified->visitor = 4;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_STATE);
    s.verified->visitor = 1;
    s.verified->issuer = s.verified->agent_id;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_STATE);

    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&sent);
    IMAGXP_INIT(&sale);
    claims.purpose = 1;
    REFUSED(imagxp_story_agent(NULL, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_agent(&claims, IMAGXP_STR("x"), &sent, 0, good, &needed), IMAGXP_KEY_FORMAT);
    REFUSED(imagxp_story_agent(&claims, public_text(), NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, -1, good, &needed), IMAGXP_ABI_ARGUMENT);
    sent.error = imagxp_str_of((char *)out, 2);
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    sent.error.len = 0;
    sent.http_status = 65536;
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    sent.size = 0;
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_VERSION);
    REFUSED(imagxp_story_broker(NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    sale.agent_id = imagxp_str_of("\xff", 1);
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    sale.agent_id = imagxp_str_of(NULL, 1);
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_NULL);
    sale.agent_id.len = HUGE;
    sale.agent_id.ptr = "x";
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_LENGTH);
    sale.size = 1;
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_VERSION);
}

static void provenance_misused(void)
{
    static uint8_t out[256];
    imagxp_buf good = { out, sizeof out };
    imagxp_str spki = public_text(), text = IMAGXP_STR("HUMAN");
    imagxp_provenance headers, before;
    imagxp_key unmade;
    int64_t ts_ms = 0;
    int32_t origin = 0;
    size_t needed = 0, i;

    memset(&unmade, 0xFF, sizeof unmade);
    IMAGXP_INIT(&headers);
    before = headers;
#define PROVE(key, origin, hedge, flags, now, out, headers) imagxp_provenance_sign(key, origin, hedge, flags, now, out, headers)
    REFUSED(PROVE(NULL, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(PROVE(&unmade, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_STATE);
    REFUSED(PROVE((imagxp_key *)(void *)out, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(PROVE(&w.key, 0, NULL, 0, NOW, good, &headers), IMAGXP_ABI_ARGUMENT);
    REFUSED(PROVE(&w.key, 4, NULL, 0, NOW, good, &headers), IMAGXP_ABI_ARGUMENT);
    REFUSED(PROVE(&w.key, 1, out, 0, NOW, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(PROVE(&w.key, 1, NULL, 2, NOW, good, &headers), IMAGXP_ABI_ARGUMENT);
    REFUSED(PROVE(&w.key, 1, NULL, 0, 0, good, &headers), IMAGXP_CLOCK_UNKNOWN);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, buf_of(NULL, 1), &headers), IMAGXP_ABI_NULL);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, buf_of(out, HUGE), &headers), IMAGXP_ABI_LENGTH);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, good, NULL), IMAGXP_ABI_NULL);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, good, (imagxp_provenance *)(void *)(out + 8)), IMAGXP_ABI_VERSION);
    headers.size = 2;
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_VERSION);
    headers.size = before.size;
    CHECK(memcmp(&headers, &before, sizeof before) == 0);
#define ORIGIN(spki, origin_text, signature, ts, origin, ts_ms)                                    \
    imagxp_provenance_verify(spki, origin_text, signature, ts, NOW, 1, 1, origin, ts_ms)
    REFUSED(ORIGIN(text, text, text, text, &origin, &ts_ms), IMAGXP_KEY_FORMAT);
    REFUSED(ORIGIN(imagxp_str_of(NULL, 1), text, text, text, &origin, &ts_ms), IMAGXP_ABI_NULL);
    REFUSED(ORIGIN(spki, imagxp_str_of(NULL, 1), text, text, &origin, &ts_ms), IMAGXP_ABI_NULL);
    REFUSED(ORIGIN(spki, text, imagxp_str_of("x", HUGE), text, &origin, &ts_ms), IMAGXP_ABI_LENGTH);
    REFUSED(ORIGIN(spki, text, text, imagxp_str_of((char *)out, 9), (int32_t *)(void *)out, &ts_ms), IMAGXP_ABI_OVERLAP);
    REFUSED(ORIGIN(spki, text, text, text, (int32_t *)(void *)out, (int64_t *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(ORIGIN(spki, text, text, text, (int32_t *)(void *)(out + 1), &ts_ms), IMAGXP_ABI_STORAGE);
    REFUSED(ORIGIN(spki, text, text, text, &origin, (int64_t *)(void *)(out + 4)), IMAGXP_ABI_STORAGE);
    REFUSED(ORIGIN(spki, imagxp_str_of(NULL, 0), text, text, &origin, &ts_ms), IMAGXP_FIELD_MISSING);
    CHECK(origin == 0 && ts_ms == 0);
}

int main(void)
{
    world_make(&w);
    for (side = START; side <= END; side++) {
        stories_between_walls();
        provenance_between_walls();
        tear_down();
    }
    stories_misused();
    provenance_misused();
    tear_down();
    return 0;
}
