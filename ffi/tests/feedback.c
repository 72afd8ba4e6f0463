/* Feedback: what an agent signs its publisher and its broker verify, in both forms, and tell. */
#include "check.h"

static imagxp_str spki;
static uint8_t memory[IMAGXP_FEEDBACK_LEN], told[4096];

static imagxp_status verify(imagxp_str text, int64_t now_ms, imagxp_judgement *judgement)
{
    imagxp_str audiences[2];

    audiences[0] = IMAGXP_STR("pub.example.com");
    audiences[1] = IMAGXP_STR("https://broker.example.com");
    IMAGXP_INIT(judgement);
    return imagxp_feedback_verify(text, IMAGXP_STR(AGENT), spki, audiences, 2, now_ms, buf_of(memory, sizeof memory), judgement);
}

static imagxp_feedback opinion(const world *w)
{
    imagxp_feedback feedback;

    IMAGXP_INIT(&feedback);
    feedback.agent_id = IMAGXP_STR(AGENT);
    feedback.url = IMAGXP_STR(RESOURCE);
    feedback.audience = IMAGXP_STR("broker.example.com");
    feedback.jti = IMAGXP_STR("f-1");
    feedback.visa = IMAGXP_STR("v-7");
    feedback.payload = w->headers[1].value;
    feedback.score = 200000;
    feedback.reason = IMAGXP_REASON_SEO_SPAM;
    return feedback;
}

static void a_token(const world *w)
{
    imagxp_buf scratch = buf_of(memory, sizeof memory);
    imagxp_feedback feedback = opinion(w);
    imagxp_judgement judgement;
    char token[2048];
    size_t needed, i;

    CHECK_STATUS(imagxp_feedback_sign(&w->key, &feedback, NULL, IMAGXP_SIGN_CHECK, NOW, buf_of(token, sizeof token), &needed),
                 IMAGXP_OK);
    CHECK_STATUS(verify(imagxp_str_of(token, needed), NOW, &judgement), IMAGXP_OK);
    CHECK(judgement.score == 200000 && judgement.outcome == IMAGXP_OUTCOME_WITHHOLD);
    CHECK(judgement.reasons == 1u << IMAGXP_REASON_SEO_SPAM && judgement.ts_ms == NOW);
    CHECK(is_text(IMAGXP_TEXT(scratch, judgement.url), RESOURCE) && is_text(IMAGXP_TEXT(scratch, judgement.jti), "f-1"));
    CHECK(is_text(IMAGXP_TEXT(scratch, judgement.visa), "v-7"));
    for (i = 0; i < 32 && judgement.request[i] == 0; i++) {
    }
    CHECK(i < 32);
    CHECK_STATUS(imagxp_story_feedback(IMAGXP_STR(AGENT), IMAGXP_OK, &judgement, scratch, NOW, IMAGXP_STORY_TEXT,
                                       buf_of(told, sizeof told), &i), IMAGXP_OK);
    told[i] = 0;
    CHECK(strcmp((char *)told,
                 "12:00:00.000 | GOVERNANCE | Feedback of bot.example.com on https://pub.example.com/a?b=c: SEO_SPAM, score 0.2\n"
                 "12:00:00.000 | BROKER | Payment WITHHELD, as the feedback says\n") == 0);
    CHECK_STATUS(imagxp_story_feedback(IMAGXP_STR(AGENT), IMAGXP_FEEDBACK_INVALID, NULL, buf_of(NULL, 0), NOW, IMAGXP_STORY_JSON,
                                       buf_of(told, sizeof told), &i), IMAGXP_OK);
    CHECK(strstr((char *)told, "\"code\":\"FEEDBACK_INVALID\"") != NULL);

    /* For another, from the future, by another key, altered. */
    CHECK_STATUS(verify(imagxp_str_of(token, needed), NOW - 6000, &judgement), IMAGXP_FEEDBACK_INVALID);
    token[needed / 2] ^= 1;
    CHECK_STATUS(verify(imagxp_str_of(token, needed), NOW, &judgement), IMAGXP_FEEDBACK_INVALID);
    feedback.audience = IMAGXP_STR("other.example.com");
    CHECK_STATUS(imagxp_feedback_sign(&w->key, &feedback, NULL, 0, NOW, buf_of(token, sizeof token), &needed), IMAGXP_OK);
    CHECK_STATUS(verify(imagxp_str_of(token, needed), NOW, &judgement), IMAGXP_FEEDBACK_INVALID);
    /* The second one to ask is nobody's reader. */
    CHECK_STATUS(imagxp_feedback_verify(imagxp_str_of(token, needed), IMAGXP_STR(AGENT), spki, NULL, 0, NOW, scratch, &judgement),
                 IMAGXP_OK);
    CHECK_STATUS(imagxp_feedback_verify(imagxp_str_of(token, needed), IMAGXP_STR("x.example.com"), spki, NULL, 0, NOW, scratch,
                                        &judgement), IMAGXP_FEEDBACK_INVALID);
}

static void what_is_not_signed(const world *w)
{
    imagxp_feedback feedback = opinion(w);
    char token[2048];

#define SIGN() imagxp_feedback_sign(&w->key, &feedback, NULL, 0, NOW, buf_of(token, sizeof token), NULL)
    feedback.score = 1000001;
    CHECK_STATUS(SIGN(), IMAGXP_FEEDBACK_INVALID);
    feedback = opinion(w);
    feedback.reason = 6;
    CHECK_STATUS(SIGN(), IMAGXP_ABI_ARGUMENT);
    feedback = opinion(w);
    feedback.jti.len = 0;
    CHECK_STATUS(SIGN(), IMAGXP_FEEDBACK_INVALID);
    feedback = opinion(w);
    feedback.payload = IMAGXP_STR("***=");
    CHECK_STATUS(SIGN(), IMAGXP_BASE64_INVALID);
    feedback = opinion(w);
    feedback.visa.len = feedback.payload.len = 0;
    CHECK_STATUS(SIGN(), IMAGXP_OK);
}

int main(void)
{
    static uint8_t text[124];
    static world w;

    world_make(&w);
    CHECK_STATUS(imagxp_key_public(&w.key, IMAGXP_FORMAT_TEXT, buf_of(text, sizeof text), NULL), IMAGXP_OK);
    spki = imagxp_str_of((const char *)text, sizeof text);
    a_token(&w);
    what_is_not_signed(&w);
    return 0;
}
