/* How deep each call goes: on a stack that was painted before. No more than 16 KiB (threats.md section 6). */
#define _GNU_SOURCE
#include <pthread.h>

#include "check.h"

#define DEPTH 65536
#define LIMIT 16384

static _Alignas(4096) uint8_t stack[DEPTH];
static uint64_t policy_words[IMAGXP_POLICY_WORDS];
static uint64_t key_words[IMAGXP_KEY_CACHE_WORDS(16, 1, 2, 8)];
static uint64_t replay_words[IMAGXP_REPLAY_CACHE_WORDS(64)];
static imagxp_key_cache keys = IMAGXP_VIEW(key_words);
static imagxp_replay_cache replay = IMAGXP_VIEW(replay_words);
static uint8_t memory[IMAGXP_SCRATCH_LEN];
static imagxp_verified verified;
static world w;
static imagxp_status status;

static void *nothing(void *arg) { return arg; }
static void *policy(void *arg)
{
    status = imagxp_policy_parse(IMAGXP_STR("{\"allowRAG\":true}"), policy_words, IMAGXP_POLICY_WORDS);
    return arg;
}
static void *verify(void *arg)
{
    status = imagxp_request_verify(&w.visit, IMAGXP_POLICY(policy_words), &keys, NOW, buf_of(memory, sizeof memory),
                                   &verified);
    return arg;
}
static void *supply(void *arg)
{
    status = imagxp_key_cache_supply(&keys, &verified.need, buf_of(memory, sizeof memory), world_get(&w), NOW);
    return arg;
}
static void *prepare(void *arg)
{
    status = imagxp_key_cache_prepare(&keys, verified.key, NOW);
    return arg;
}
static void *admit(void *arg)
{
    status = imagxp_request_admit(&verified, buf_of(memory, sizeof memory), &replay, NOW);
    return arg;
}
static void *sign(void *arg)
{
    world_sign(&w, 1);
    return arg;
}

/* What is told, recorded and sold; each with all keys, documents or audiences that it takes. */
static char text[98304], lines[3][8192], spki[124];
static imagxp_buf out = { (uint8_t *)text, sizeof text };
static imagxp_head head;
static imagxp_str line_of[3], many[32];
static imagxp_published_key published[32];
static imagxp_decision decision;
static imagxp_log log_state;
static imagxp_record record;
static imagxp_findings findings;
static imagxp_provenance provenance;
static imagxp_feedback feedback;
static imagxp_judgement judgement;
static imagxp_visa visa;
static imagxp_token token;
static size_t needed;

static void *story(void *arg)
{
    status = imagxp_story_publisher(&w.visit, IMAGXP_POLICY(policy_words), &verified, buf_of(memory, sizeof memory), &decision, 0,
                                    out, &needed);
    return arg;
}
static void *document(void *arg)
{
    status = imagxp_evidence_document(IMAGXP_STR("https://bot.example.com" IMAGXP_MANIFEST_PATH),
                                      imagxp_str_of(w.manifest, w.manifest_len), NOW, &head,
                                      buf_of(lines[0], sizeof lines[0]), &needed, NULL);
    line_of[0] = imagxp_str_of(lines[0], needed - 1);
    return arg;
}
static void *decided(void *arg)
{
    status = imagxp_evidence_decision(&w.visit, &verified, &decision, &head, buf_of(lines[1], sizeof lines[1]), &needed);
    line_of[1] = imagxp_str_of(lines[1], needed - 1);
    return arg;
}
static void *checkpoint(void *arg)
{
    status = imagxp_evidence_checkpoint(&w.key, NULL, IMAGXP_SIGN_CHECK, NOW, &head, buf_of(lines[2], sizeof lines[2]), &needed);
    line_of[2] = imagxp_str_of(lines[2], needed - 1);
    return arg;
}
static void *read_log(void *arg)
{
    size_t i;
    for (i = 0, status = IMAGXP_OK; i < 3 && status == IMAGXP_OK; i++) {
        status = imagxp_log_line(&log_state, many, 8, line_of[i], &record);
    }
    return arg;
}
static void *prove(void *arg)
{
    status = imagxp_evidence_prove(line_of[1], line_of, 1, out, &findings);
    return arg;
}
static void *sign_origin(void *arg)
{
    status = imagxp_provenance_sign(&w.key, 1, NULL, IMAGXP_SIGN_CHECK, NOW, out, &provenance);
    return arg;
}
static void *sign_feedback(void *arg)
{
    status = imagxp_feedback_sign(&w.key, &feedback, NULL, IMAGXP_SIGN_CHECK, NOW, out, &needed);
    return arg;
}
static void *read_feedback(void *arg)
{
    status = imagxp_feedback_verify(imagxp_str_of(text, needed), IMAGXP_STR(AGENT), many[0], many, 16, NOW,
                                    buf_of(memory, sizeof memory), &judgement);
    return arg;
}
static void *issue(void *arg)
{
    status = imagxp_visa_issue(&w.key, IMAGXP_STR("k"), &visa, NULL, IMAGXP_SIGN_CHECK, NOW, out, &needed);
    return arg;
}
static void *read_visa(void *arg)
{
    status = imagxp_visa_verify(imagxp_str_of(text, needed), IMAGXP_ROLE_BROKER, visa.agent_id, visa.public_key,
                                IMAGXP_POLICY(policy_words), &keys, NOW, buf_of(memory, sizeof memory), &token);
    return arg;
}
static void *publish(void *arg)
{
    status = imagxp_jwks_write(published, 32, out, &needed);
    return arg;
}
static void *discovery(void *arg)
{
    status = imagxp_policy_discovery(IMAGXP_POLICY(policy_words), out, &needed);
    return arg;
}

static size_t depth(void *(*call)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    size_t untouched = 0;

    memset(stack, 0xA5, sizeof stack);
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstack(&attributes, stack, sizeof stack) == 0);
    CHECK(pthread_create(&thread, &attributes, call, NULL) == 0);
    pthread_join(thread, NULL);
    while (stack[untouched] == 0xA5) untouched++;
    return DEPTH - untouched;
}

#define MEASURE(call, expected)                                                                    \
    do {                                                                                           \
        size_t deep = depth(call) - depth(nothing);                                                \
        printf("  stack of %s: %u bytes\n", #call, (unsigned)deep);                                \
        CHECK_STATUS(status, expected);                                                            \
        CHECK(deep <= LIMIT);                                                                      \
    } while (0)

static void tell_and_record(void)
{
    size_t i;

    CHECK_STATUS(imagxp_key_public(&w.key, IMAGXP_FORMAT_TEXT, buf_of(spki, sizeof spki), NULL), IMAGXP_OK);
    for (i = 0; i < 32; i++) many[i] = imagxp_str_of(spki, sizeof spki);
    IMAGXP_INIT(&decision);
    IMAGXP_INIT(&log_state);
    IMAGXP_INIT(&record);
    IMAGXP_INIT(&findings);
    IMAGXP_INIT(&provenance);
    decision.received_ms = decision.decided_ms = NOW;
    MEASURE(story, IMAGXP_OK);
    MEASURE(document, IMAGXP_OK);
    MEASURE(decided, IMAGXP_OK);
    MEASURE(checkpoint, IMAGXP_OK);
    MEASURE(read_log, IMAGXP_OK);
    MEASURE(prove, IMAGXP_OK);
    MEASURE(sign_origin, IMAGXP_OK);
}

static void sell(void)
{
    static char kids[32][2];
    size_t i;

    IMAGXP_INIT(&feedback);
    IMAGXP_INIT(&judgement);
    IMAGXP_INIT(&visa);
    IMAGXP_INIT(&token);
    feedback.agent_id = visa.agent_id = IMAGXP_STR(AGENT);
    feedback.audience = many[0];
    feedback.url = feedback.jti = visa.issuer = visa.audience = IMAGXP_STR("https://broker.example.com");
    feedback.payload = w.headers[1].value;
    feedback.reason = 1;
    visa.public_key = many[0];
    visa.amount_micros = 1;
    visa.lifetime_s = 60;
    for (i = 0; i < 32; i++) {
        kids[i][0] = (char)('0' + i);
        published[i].kid = imagxp_str_of(kids[i], 1);
        published[i].public_key = many[0];
    }
    MEASURE(sign_feedback, IMAGXP_OK);
    MEASURE(read_feedback, IMAGXP_OK);
    MEASURE(issue, IMAGXP_OK);
    CHECK_STATUS(imagxp_policy_parse(IMAGXP_STR("{\"monetization\":{\"brokerUrl\":\"https://broker.example.com\"}}"), policy_words,
                                     IMAGXP_POLICY_WORDS), IMAGXP_OK);
    MEASURE(read_visa, IMAGXP_NEED);
    MEASURE(publish, IMAGXP_OK);
    MEASURE(discovery, IMAGXP_OK);
}

int main(void)
{
    uint8_t seed[32] = { 1 };
    imagxp_key_cache_sizes sizes = { 16, 1, 2, 8 };

    world_make(&w);
    CHECK_STATUS(imagxp_key_cache_new(&keys, sizes, seed), IMAGXP_OK);
    CHECK_STATUS(imagxp_replay_cache_new(&replay, seed, 0), IMAGXP_OK);
    IMAGXP_INIT(&verified);
    MEASURE(policy, IMAGXP_OK);
    MEASURE(verify, IMAGXP_NEED);
    MEASURE(supply, IMAGXP_OK);
    MEASURE(verify, IMAGXP_VERIFIED);
    MEASURE(prepare, IMAGXP_OK);
    MEASURE(verify, IMAGXP_VERIFIED);
    MEASURE(admit, IMAGXP_OK);
    MEASURE(sign, IMAGXP_OK);
    tell_and_record();
    sell();
    return 0;
}
