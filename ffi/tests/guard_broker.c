/* Feedback and what brokers do, between walls and misused. */
#include "walls.h"

static imagxp_feedback *fenced_feedback(void)
{
    imagxp_feedback *feedback = fenced(NULL, sizeof *feedback);

    imagxp_init(feedback, sizeof *feedback);
    feedback->agent_id = fenced_str(IMAGXP_STR(AGENT));
    feedback->url = fenced_str(IMAGXP_STR(RESOURCE));
    feedback->audience = fenced_str(IMAGXP_STR("broker"));
    feedback->jti = fenced_str(IMAGXP_STR("f"));
    feedback->visa = fenced_str(IMAGXP_STR("v"));
    feedback->payload = fenced_str(w.headers[1].value);
    feedback->score = 900000;
    feedback->reason = IMAGXP_REASON_HIGH_QUALITY;
    return feedback;
}

static imagxp_visa *fenced_visa(void)
{
    imagxp_visa *visa = fenced(NULL, sizeof *visa);

    imagxp_init(visa, sizeof *visa);
    visa->issuer = fenced_str(IMAGXP_STR("broker"));
    visa->audience = fenced_str(IMAGXP_STR("pub.example.com"));
    visa->agent_id = fenced_str(IMAGXP_STR(AGENT));
    visa->public_key = public_text();
    visa->jti = fenced_str(IMAGXP_STR("v"));
    visa->currency = fenced_str(IMAGXP_STR("EUR"));
    visa->amount_micros = 500000;
    visa->lifetime_s = 60;
    return visa;
}

static void feedback_between_walls(void)
{
    imagxp_feedback *feedback = fenced_feedback();
    imagxp_key *key = fenced(&w.key, sizeof *key);
    imagxp_judgement *judgement = fenced(NULL, sizeof *judgement);
    imagxp_str *audiences = fenced(NULL, 16 * sizeof *audiences);
    size_t *needed = fenced(NULL, sizeof *needed);
    imagxp_buf text, scratch = fenced_buf(IMAGXP_FEEDBACK_LEN);
    imagxp_str agent_id = fenced_str(IMAGXP_STR(AGENT));
    size_t i;

    WRITES(*needed, (text = out, imagxp_feedback_sign(key, feedback, fenced(NULL, 32), 1, NOW, out, needed)));
    for (i = 0; i < 16; i++) audiences[i] = feedback->audience;
    imagxp_init(judgement, sizeof *judgement);
    CHECK_STATUS(imagxp_feedback_verify(imagxp_str_of((char *)text.ptr, text.len), agent_id, public_text(), audiences, 16, NOW,
                                        scratch, judgement), IMAGXP_OK);
    CHECK(judgement->outcome == IMAGXP_OUTCOME_RELEASE);
    for (i = 0; i < text.len; i += 13) {
        CHECK_STATUS(imagxp_feedback_verify(fenced_str(imagxp_str_of((char *)text.ptr, i)), agent_id, public_text(), NULL, 0, NOW,
                                            scratch, judgement), IMAGXP_FEEDBACK_INVALID);
    }
    CHECK_STATUS(imagxp_feedback_verify(imagxp_str_of((char *)text.ptr, text.len), agent_id, public_text(), NULL, 0, NOW,
                                        fenced_buf(IMAGXP_FEEDBACK_LEN - 1), judgement), IMAGXP_BUFFER_TOO_SMALL);
    WRITES(*needed, imagxp_story_feedback(agent_id, IMAGXP_OK, judgement, scratch, NOW, IMAGXP_STORY_JSON, out, needed));
    WRITES(*needed, imagxp_story_feedback(agent_id, IMAGXP_BUSY, NULL, buf_of(NULL, 0), NOW, 0, out, needed));
}

static void broker_between_walls(void)
{
    site s = make_site();
    const imagxp_policy *policy = IMAGXP_POLICY(s.policy_words);
    imagxp_visa *visa = fenced_visa();
    imagxp_key *key = fenced(&w.key, sizeof *key);
    imagxp_published_key *keys = fenced(NULL, 32 * sizeof *keys);
    imagxp_token *token = fenced(NULL, sizeof *token);
    imagxp_need *need = fenced(NULL, sizeof *need);
    size_t *needed = fenced(NULL, sizeof *needed);
    imagxp_str kid = fenced_str(IMAGXP_STR("k0")), none = imagxp_str_of(NULL, 0), agent_id = fenced_str(IMAGXP_STR(AGENT));
    imagxp_buf text, set, scratch = fenced_buf(64);
    size_t i;

    WRITES(*needed, (text = out, imagxp_visa_issue(key, kid, visa, fenced(NULL, 32), 1, NOW, out, needed)));
    for (i = 0; i < 32; i++) {
        char name[4] = { 'k', (char)('0' + i / 10), (char)('0' + i % 10), 0 };
        keys[i].kid = i == 0 ? kid : fenced_str(imagxp_str_of(name, 3));
        keys[i].public_key = public_text();
    }
    WRITES(*needed, (set = out, imagxp_jwks_write(keys, 32, out, needed)));
    CHECK_STATUS(imagxp_policy_document(policy, 0, scratch, need), IMAGXP_NEED);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, need, scratch, fenced_answer(imagxp_str_of((char *)set.ptr, set.len)), NOW),
                 IMAGXP_OK);
    imagxp_init(token, sizeof *token);
#define TOKEN(len, scratch) \
    imagxp_visa_verify(fenced_str(imagxp_str_of((char *)text.ptr, len)), IMAGXP_ROLE_BROKER, agent_id, visa->public_key, policy, \
                       s.keys, NOW, scratch, token)
    /* This policy names no audience. */
    CHECK_STATUS(TOKEN(text.len, fenced_buf(7)), IMAGXP_JWT_AUDIENCE);
    for (i = 0; i < text.len; i += 17) CHECK(TOKEN(i, scratch) < 0);
    CHECK_STATUS(imagxp_visa_verify(fenced_str(none), IMAGXP_ROLE_BROKER, none, none, policy, s.keys, NOW, scratch, token),
                 IMAGXP_JWT_FORMAT);
    CHECK_STATUS(imagxp_key_cache_new(s.keys, sizes, fenced(NULL, 32)), IMAGXP_OK);
    CHECK_STATUS(TOKEN(text.len, fenced_buf(30)), IMAGXP_BUFFER_TOO_SMALL);
    CHECK_STATUS(TOKEN(text.len, fenced_buf(31)), IMAGXP_NEED);
    CHECK(token->need.url.len == 31);
    WRITES(*needed, imagxp_policy_discovery(policy, out, needed));
}

static void feedback_misused(void)
{
    static uint8_t out[4096];
    imagxp_buf good = { out, sizeof out };
    imagxp_feedback *feedback = fenced_feedback(), saved = *feedback;
    imagxp_str text = IMAGXP_STR(AGENT), null = { NULL, 1 }, huge = { "x", HUGE }, inside = { (char *)out, 1 }, spki = public_text();
    imagxp_str many[17];
    imagxp_judgement judgement, before;
    imagxp_key unmade;
    size_t needed = 0, at, i;

    memset(&unmade, 0xFF, sizeof unmade);
#define SAY(key, feedback, hedge, flags, out, needed) imagxp_feedback_sign(key, feedback, hedge, flags, NOW, out, needed)
    REFUSED(SAY(NULL, feedback, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(SAY(&unmade, feedback, NULL, 0, good, &needed), IMAGXP_ABI_STATE);
    REFUSED(SAY(&w.key, NULL, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(SAY(&w.key, feedback, out, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(SAY(&w.key, feedback, NULL, 4, good, &needed), IMAGXP_ABI_ARGUMENT);
    REFUSED(SAY(&w.key, feedback, NULL, 0, buf_of(NULL, 1), &needed), IMAGXP_ABI_NULL);
    REFUSED(SAY(&w.key, feedback, NULL, 0, buf_of(out, HUGE), &needed), IMAGXP_ABI_LENGTH);
    REFUSED(SAY(&w.key, feedback, NULL, 0, good, (size_t *)(void *)(out + 8)), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_feedback_sign(&w.key, feedback, NULL, 0, 0, good, &needed), IMAGXP_CLOCK_UNKNOWN);
    for (at = 0; at < 6; at++) {
        imagxp_str *texts[6];
        texts[0] = &feedback->agent_id;
        texts[1] = &feedback->url;
        texts[2] = &feedback->audience;
        texts[3] = &feedback->jti;
        texts[4] = &feedback->visa;
        texts[5] = &feedback->payload;
        *texts[at] = null;
        REFUSED(SAY(&w.key, feedback, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
        *texts[at] = huge;
        REFUSED(SAY(&w.key, feedback, NULL, 0, good, &needed), IMAGXP_ABI_LENGTH);
        *texts[at] = inside;
        REFUSED(SAY(&w.key, feedback, NULL, 0, good, &needed), IMAGXP_ABI_OVERLAP);
        *texts[at] = imagxp_str_of("\xff", 1);
        REFUSED(SAY(&w.key, feedback, NULL, 0, good, &needed), at == 5 ? IMAGXP_BASE64_INVALID : IMAGXP_FEEDBACK_INVALID);
        *feedback = saved;
    }
    feedback->payload.len = 5000;
    feedback->payload.ptr = (const char *)walls;
    REFUSED(SAY(&w.key, feedback, NULL, 0, good, &needed), IMAGXP_PAYLOAD_TOO_LARGE);
    *feedback = saved;
    feedback->size = 8;
    REFUSED(SAY(&w.key, feedback, NULL, 0, good, &needed), IMAGXP_ABI_VERSION);

    IMAGXP_INIT(&judgement);
    before = judgement;
    for (i = 0; i < 17; i++) many[i] = text;
#define JUDGE(text, agent_id, spki, audiences, len, scratch, judgement) \
    imagxp_feedback_verify(text, agent_id, spki, audiences, len, NOW, scratch, judgement)
    REFUSED(JUDGE(null, text, spki, NULL, 0, good, &judgement), IMAGXP_ABI_NULL);
    REFUSED(JUDGE(inside, text, spki, NULL, 0, good, &judgement), IMAGXP_ABI_OVERLAP);
    REFUSED(JUDGE(text, huge, spki, NULL, 0, good, &judgement), IMAGXP_ABI_LENGTH);
    REFUSED(JUDGE(text, text, text, NULL, 0, good, &judgement), IMAGXP_KEY_FORMAT);
    REFUSED(JUDGE(text, text, spki, NULL, 1, good, &judgement), IMAGXP_ABI_NULL);
    REFUSED(JUDGE(text, text, spki, many, 17, good, &judgement), IMAGXP_ABI_ARGUMENT);
    REFUSED(JUDGE(text, text, spki, &null, 1, good, &judgement), IMAGXP_ABI_NULL);
    REFUSED(JUDGE(text, text, spki, NULL, 0, buf_of(NULL, 9), &judgement), IMAGXP_ABI_NULL);
    REFUSED(JUDGE(text, text, spki, NULL, 0, buf_of(&judgement, 9), &judgement), IMAGXP_ABI_OVERLAP);
    REFUSED(JUDGE(text, text, spki, NULL, 0, buf_of(out, 9), &judgement), IMAGXP_BUFFER_TOO_SMALL);
    REFUSED(JUDGE(text, text, spki, NULL, 0, good, NULL), IMAGXP_ABI_NULL);
    judgement.size = 0;
    REFUSED(JUDGE(text, text, spki, NULL, 0, good, &judgement), IMAGXP_ABI_VERSION);
    judgement.size = sizeof judgement;
    CHECK(memcmp(&judgement, &before, sizeof before) == 0);

#define TELL(agent_id, status, judgement, scratch, format, out) \
    imagxp_story_feedback(agent_id, status, judgement, scratch, NOW, format, out, &needed)
    REFUSED(TELL(text, IMAGXP_OK, NULL, buf_of(NULL, 0), 0, good), IMAGXP_ABI_NULL);
    REFUSED(TELL(text, IMAGXP_OK, &judgement, buf_of(NULL, 0), 0, good), IMAGXP_ABI_STATE);
    REFUSED(TELL(text, IMAGXP_NEED, &judgement, buf_of(NULL, 0), 0, good), IMAGXP_ABI_ARGUMENT);
    REFUSED(TELL(text, IMAGXP_BUSY, NULL, buf_of(NULL, 0), 3, good), IMAGXP_ABI_ARGUMENT);
    REFUSED(TELL(text, IMAGXP_BUSY, NULL, good, 0, good), IMAGXP_ABI_OVERLAP);
    REFUSED(TELL(null, IMAGXP_BUSY, NULL, buf_of(NULL, 0), 0, good), IMAGXP_ABI_NULL);
    judgement.outcome = 1;
    judgement.url.at = 1;
    judgement.url.len = 1;
    REFUSED(TELL(text, IMAGXP_OK, &judgement, buf_of(NULL, 0), 0, good), IMAGXP_ABI_STATE);
    judgement.url.len = 0;
    judgement.url.at = 0;
    judgement.reasons = 256;
    REFUSED(TELL(text, IMAGXP_OK, &judgement, buf_of(NULL, 0), 0, good), IMAGXP_ABI_STATE);
    judgement.size = 1;
    REFUSED(TELL(text, IMAGXP_OK, &judgement, buf_of(NULL, 0), 0, good), IMAGXP_ABI_VERSION);
}

static void broker_misused(void)
{
    static uint8_t out[4096];
    imagxp_buf good = { out, sizeof out };
    site s = make_site();
    imagxp_visa *visa = fenced_visa(), saved = *visa;
    imagxp_str kid = IMAGXP_STR("k"), null = { NULL, 1 }, huge = { "x", HUGE }, inside = { (char *)out, 1 }, none = { NULL, 0 };
    imagxp_published_key keys[33];
    imagxp_token token, before;
    imagxp_key unmade;
    size_t needed = 0, at, i;

    memset(&unmade, 0, sizeof unmade);
#define ISSUE(key, kid, visa, hedge, flags, out, needed) imagxp_visa_issue(key, kid, visa, hedge, flags, NOW, out, needed)
    REFUSED(ISSUE(NULL, kid, visa, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(ISSUE(&unmade, kid, visa, NULL, 0, good, &needed), IMAGXP_ABI_STATE);
    REFUSED(ISSUE(&w.key, null, visa, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(ISSUE(&w.key, none, visa, NULL, 0, good, &needed), IMAGXP_JWT_HEADER);
    REFUSED(ISSUE(&w.key, kid, NULL, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(ISSUE(&w.key, kid, visa, out + 4090, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(ISSUE(&w.key, kid, visa, NULL, 8, good, &needed), IMAGXP_ABI_ARGUMENT);
    REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, buf_of(NULL, 1), &needed), IMAGXP_ABI_NULL);
    REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, buf_of(visa, 8), &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, good, (size_t *)(void *)((uint8_t *)&before + 1)), IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_visa_issue(&w.key, kid, visa, NULL, 0, -5, good, &needed), IMAGXP_CLOCK_UNKNOWN);
    for (at = 0; at < 6; at++) {
        static const imagxp_status refusals[] = { IMAGXP_JWT_ISSUER, IMAGXP_JWT_AUDIENCE, IMAGXP_AGENT_ID_INVALID,
                                                  IMAGXP_KEY_FORMAT, IMAGXP_JWT_CLAIMS, IMAGXP_JWT_CLAIMS };
        imagxp_str *texts[6];
        texts[0] = &visa->issuer;
        texts[1] = &visa->audience;
        texts[2] = &visa->agent_id;
        texts[3] = &visa->public_key;
        texts[4] = &visa->jti;
        texts[5] = &visa->currency;
        *texts[at] = null;
        REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
        *texts[at] = huge;
        REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, good, &needed), IMAGXP_ABI_LENGTH);
        *texts[at] = inside;
        REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, good, &needed), IMAGXP_ABI_OVERLAP);
        *texts[at] = imagxp_str_of("\xff", 1);
        REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, good, &needed), refusals[at]);
        *visa = saved;
    }
    visa->size = 0;
    REFUSED(ISSUE(&w.key, kid, visa, NULL, 0, good, &needed), IMAGXP_ABI_VERSION);

    for (i = 0; i < 33; i++) {
        keys[i].kid = kid;
        keys[i].public_key = public_text();
    }
    REFUSED(imagxp_jwks_write(NULL, 1, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_jwks_write(NULL, 0, good, &needed), IMAGXP_JWKS_INVALID);
    REFUSED(imagxp_jwks_write(keys, 33, good, &needed), IMAGXP_JWKS_INVALID);
    REFUSED(imagxp_jwks_write(keys, HUGE / 16, good, &needed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_jwks_write(keys, 2, good, &needed), IMAGXP_JWKS_DUPLICATE_KID);
    REFUSED(imagxp_jwks_write(keys, 1, buf_of(keys, 16), &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_jwks_write((imagxp_published_key *)(void *)(out + 1), 1, buf_of(NULL, 0), &needed), IMAGXP_ABI_STORAGE);
    keys[0].kid = inside;
    REFUSED(imagxp_jwks_write(keys, 1, good, &needed), IMAGXP_ABI_OVERLAP);
    keys[0].kid = none;
    REFUSED(imagxp_jwks_write(keys, 1, good, &needed), IMAGXP_JWKS_INVALID);
    keys[0].public_key = kid;
    REFUSED(imagxp_jwks_write(keys, 1, good, &needed), IMAGXP_KEY_FORMAT);
    keys[0].public_key = null;
    REFUSED(imagxp_jwks_write(keys, 1, good, &needed), IMAGXP_ABI_NULL);

    IMAGXP_INIT(&token);
    before = token;
#define VISA(text, role, agent_id, key, policy, keys, scratch, token) \
    imagxp_visa_verify(text, role, agent_id, key, policy, keys, NOW, scratch, token)
    REFUSED(VISA(null, 1, none, none, POLICY_OF(s), s.keys, good, &token), IMAGXP_ABI_NULL);
    REFUSED(VISA(inside, 1, none, none, POLICY_OF(s), s.keys, good, &token), IMAGXP_ABI_OVERLAP);
    REFUSED(VISA(kid, 0, none, none, POLICY_OF(s), s.keys, good, &token), IMAGXP_ABI_ARGUMENT);
    REFUSED(VISA(kid, 3, none, none, POLICY_OF(s), s.keys, good, &token), IMAGXP_ABI_ARGUMENT);
    REFUSED(VISA(kid, 1, huge, none, POLICY_OF(s), s.keys, good, &token), IMAGXP_ABI_LENGTH);
    REFUSED(VISA(kid, 1, none, kid, POLICY_OF(s), s.keys, good, &token), IMAGXP_VISA_BINDING);
    REFUSED(VISA(kid, 1, kid, kid, POLICY_OF(s), s.keys, good, &token), IMAGXP_KEY_FORMAT);
    REFUSED(VISA(kid, 1, none, none, NULL, s.keys, good, &token), IMAGXP_ABI_NULL);
    REFUSED(VISA(kid, 1, none, none, IMAGXP_POLICY(s.keys->words), s.keys, good, &token), IMAGXP_ABI_STATE);
    REFUSED(VISA(kid, 1, none, none, POLICY_OF(s), NULL, good, &token), IMAGXP_ABI_NULL);
    REFUSED(VISA(kid, 1, none, none, POLICY_OF(s), s.keys, buf_of(s.policy_words, 8), &token), IMAGXP_ABI_OVERLAP);
    REFUSED(VISA(kid, 1, none, none, POLICY_OF(s), s.keys, buf_of(NULL, 8), &token), IMAGXP_ABI_NULL);
    REFUSED(VISA(kid, 1, none, none, POLICY_OF(s), s.keys, good, NULL), IMAGXP_ABI_NULL);
    token.size = 9;
    REFUSED(VISA(kid, 1, none, none, POLICY_OF(s), s.keys, good, &token), IMAGXP_ABI_VERSION);
    token.size = sizeof token;
    s.keys->len--;
    REFUSED(VISA(kid, 1, none, none, POLICY_OF(s), s.keys, good, &token), IMAGXP_ABI_STATE);
    CHECK(memcmp(&token, &before, sizeof before) == 0);

    REFUSED(imagxp_policy_discovery(NULL, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_policy_discovery(IMAGXP_POLICY(s.keys->words), good, &needed), IMAGXP_ABI_STATE);
    REFUSED(imagxp_policy_discovery(POLICY_OF(s), buf_of(s.policy_words, 99), &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_policy_discovery(POLICY_OF(s), buf_of(NULL, 99), &needed), IMAGXP_ABI_NULL);
}

int main(void)
{
    world_make(&w);
    for (side = START; side <= END; side++) {
        feedback_between_walls();
        broker_between_walls();
        tear_down();
    }
    feedback_misused();
    broker_misused();
    tear_down();
    return 0;
}
