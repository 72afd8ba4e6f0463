/* The story, as each role sees it: accepted, refused at each stage, and never with a stranger's own words in it. */
#include "host.h"

static host site;
static uint8_t memory[16384];

static const char *told(const imagxp_visit *visit, int32_t format)
{
    imagxp_buf out = buf_of(memory, sizeof memory - 1);
    imagxp_verified before = site.verified;
    size_t needed = 0, again = 0;

    CHECK_STATUS(imagxp_story_publisher(visit, site.policy, &site.verified, site.scratch, &site.decision, format,
                                        buf_of(memory, 3), &needed), IMAGXP_BUFFER_TOO_SMALL);
    CHECK_STATUS(imagxp_story_publisher(visit, site.policy, &site.verified, site.scratch, &site.decision, format, out,
                                        &again), IMAGXP_OK);
    CHECK(needed == again && needed < out.len);
    CHECK(memcmp(&before, &site.verified, sizeof before) == 0);
    memory[needed] = 0;
    return (const char *)memory;
}

static void expect(const char *got, const char *expected)
{
    if (strcmp(got, expected) != 0) {
        fprintf(stderr, "the story is\n%snot\n%s", got, expected);
        exit(1);
    }
}

static void an_agent(world *w)
{
    host_make(&site, "{\"allowRAG\":true}");
    site.documents[0] = imagxp_str_of(w->manifest, w->manifest_len);
    CHECK_STATUS(host_decide(&site, &w->visit, NOW), IMAGXP_OK);
    expect(told(&w->visit, IMAGXP_STORY_TEXT),
           "12:00:00.000 | DISCOVERY | Request: GET https://pub.example.com/a?b=c\n"
           "12:00:00.000 | IDENTITY | Claimed ID: bot.example.com, for RAG_RETRIEVAL\n"
           "12:00:00.001 | CRYPTO | CHECK: ECDSA P-256 signature VALID\n"
           "12:00:00.001 | IMAGXP DNS | Manifest of bot.example.com wanted: the signature earned a look\n"
           "12:00:00.040 | IMAGXP DNS | Manifest received: 225 bytes\n"
           "12:00:00.041 | IMAGXP DNS | Identity CONFIRMED: bot.example.com publishes the key "
           "gWjt7nmB1udyFpLYVp0SxJnI8lJEvl7q8AFYZRqnGV8\n"
           "12:00:00.041 | POLICY | PASSED: RAG_RETRIEVAL is admitted\n"
           "12:00:00.041 | ACCESS | GRANTED: VERIFIED_AGENT, proof NONE, resource bound: exact\n");
    /* The texts of the verdict lie where they lay. */
    CHECK(is_text(IMAGXP_TEXT(site.scratch, site.verified.agent_id), AGENT));
    CHECK(IMAGXP_TEXT(site.scratch, site.verified.kid).len == 43);

    CHECK_STATUS(host_decide(&site, &w->visit, NOW + 1000), IMAGXP_REPLAY_DETECTED);
    expect(told(&w->visit, IMAGXP_STORY_JSON),
           "{\"at\":\"2026-01-26T12:00:01.000Z\",\"module\":\"DISCOVERY\",\"event\":\"RECEIVED\",\"method\":\"GET\","
           "\"scheme\":\"https\",\"authority\":\"pub.example.com\",\"target\":\"/a?b=c\"}\n"
           "{\"at\":\"2026-01-26T12:00:01.000Z\",\"module\":\"IDENTITY\",\"event\":\"CLAIMED\","
           "\"agent_id\":\"bot.example.com\",\"purpose\":\"RAG_RETRIEVAL\"}\n"
           "{\"at\":\"2026-01-26T12:00:01.041Z\",\"module\":\"CRYPTO\",\"event\":\"SIGNATURE_VALID\"}\n"
           "{\"at\":\"2026-01-26T12:00:01.041Z\",\"module\":\"IMAGXP DNS\",\"event\":\"CONFIRMED\","
           "\"agent_id\":\"bot.example.com\",\"key\":\"that signed\"}\n"
           "{\"at\":\"2026-01-26T12:00:01.041Z\",\"module\":\"POLICY\",\"event\":\"POLICY_PASSED\","
           "\"purpose\":\"RAG_RETRIEVAL\"}\n"
           "{\"at\":\"2026-01-26T12:00:01.041Z\",\"module\":\"IDENTITY\",\"event\":\"REPEATED\","
           "\"code\":\"REPLAY_DETECTED\"}\n"
           "{\"at\":\"2026-01-26T12:00:01.041Z\",\"module\":\"ACCESS\",\"event\":\"BLOCKED\",\"status\":403,"
           "\"code\":\"REPLAY_DETECTED\"}\n");
}

static void refusals(world *w)
{
    imagxp_header twice[3];
    imagxp_visit visit = w->visit;

    CHECK_STATUS(host_decide(&site, &visit, NOW + 300001), IMAGXP_TIMESTAMP_STALE);
    CHECK(strstr(told(&visit, 0), "FAILED: TIMESTAMP_STALE, before any signature was checked\n") != NULL);

    /* No manifest. */
    host_make(&site, "{\"allowRAG\":true}");
    CHECK_STATUS(host_decide(&site, &visit, NOW), IMAGXP_MANIFEST_UNAVAILABLE);
    CHECK(strstr(told(&visit, 0), "| IMAGXP DNS | No manifest: no answer\n") != NULL);
    CHECK(strstr(told(&visit, 0), "Identity NOT CONFIRMED: MANIFEST_UNAVAILABLE\n") != NULL);

    /* Headers that cannot even be taken in have a story, too; and a target that would forge a line is shown by its hash. */
    twice[0] = twice[1] = w->headers[1];
    visit.headers = twice;
    visit.headers_len = 2;
    visit.target = IMAGXP_STR("/\n12:00:00.000 | ACCESS | GRANTED");
    CHECK_STATUS(host_decide(&site, &visit, NOW), IMAGXP_HEADER_DUPLICATE);
    CHECK(strstr(told(&visit, 0), "FAILED: HEADER_DUPLICATE, before any signature was checked\n") != NULL);
    CHECK(strstr(told(&visit, 0), "https://pub.example.comsha256:") != NULL && strstr(told(&visit, 0), "GRANTED") == NULL);

    /* Nobody tells a story that is not so. */
    site.decision.status = IMAGXP_OK;
    CHECK_STATUS(imagxp_story_publisher(&visit, site.policy, &site.verified, site.scratch, &site.decision, 0,
                                        buf_of(memory, sizeof memory), NULL), IMAGXP_ABI_STATE);
    CHECK_STATUS(imagxp_story_publisher(&visit, site.policy, NULL, site.scratch, &site.decision, 0,
                                        buf_of(memory, sizeof memory), NULL), IMAGXP_ABI_STATE);
}

static void a_browser(void)
{
    imagxp_header headers[2];
    imagxp_visit visit;

    headers[0] = header_of("User-Agent", IMAGXP_STR("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"));
    headers[1] = header_of("Accept", IMAGXP_STR("text/html"));
    IMAGXP_INIT(&visit);
    visit.method = IMAGXP_STR("GET");
    visit.scheme = IMAGXP_STR("https");
    visit.authority = IMAGXP_STR("pub.example.com");
    visit.target = IMAGXP_STR("/");
    visit.headers = headers;
    visit.headers_len = 2;
    host_make(&site, "{\"allowRAG\":true}");
    CHECK_STATUS(host_decide(&site, &visit, NOW), IMAGXP_OK);
    CHECK(strstr(told(&visit, 0), "No IMAGXP headers: strategy PASSIVE decides\n") != NULL);
}

static void other_roles(world *w)
{
    uint8_t key[124];
    imagxp_buf out = buf_of(memory, sizeof memory);
    imagxp_claims claims;
    imagxp_sent sent;
    imagxp_sale sale;
    size_t needed;

    CHECK_STATUS(imagxp_key_public(&w->key, IMAGXP_FORMAT_TEXT, buf_of(key, sizeof key), NULL), IMAGXP_OK);
    IMAGXP_INIT(&claims);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    IMAGXP_INIT(&sent);
    sent.signed_ms = NOW;
    sent.sent_ms = NOW + 1;
    sent.answered_ms = NOW + 30;
    sent.http_status = 403;
    sent.error = IMAGXP_STR("REPLAY_DETECTED");
    CHECK_STATUS(imagxp_story_agent(&claims, imagxp_str_of((char *)key, sizeof key), &sent, 0, out, &needed), IMAGXP_OK);
    memory[needed] = 0;
    expect((char *)memory,
           "12:00:00.000 | IDENTITY | Signing as bot.example.com, for RAG_RETRIEVAL\n"
           "12:00:00.000 | CRYPTO | Signed https://pub.example.com/a?b=c with the key "
           "gWjt7nmB1udyFpLYVp0SxJnI8lJEvl7q8AFYZRqnGV8\n"
           "12:00:00.001 | ACCESS | Sent\n"
           "12:00:00.030 | ACCESS | Answer: 403 REPLAY_DETECTED\n");

    IMAGXP_INIT(&sale);
    sale.agent_id = IMAGXP_STR(AGENT);
    sale.audience = IMAGXP_STR("pub.example.com");
    sale.jti = IMAGXP_STR("7");
    sale.amount_micros = 1500;
    sale.asked_ms = NOW;
    sale.answered_ms = NOW + 2;
    CHECK_STATUS(imagxp_story_broker(&sale, 0, out, &needed), IMAGXP_OK);
    memory[needed] = 0;
    expect((char *)memory,
           "12:00:00.000 | BROKER | Visa wanted: bot.example.com for pub.example.com, 0.0015\n"
           "12:00:00.002 | BROKER | Payment RELEASED: visa 7 issued\n");
    sale.status = IMAGXP_VISA_AMOUNT;
    CHECK_STATUS(imagxp_story_broker(&sale, 0, out, &needed), IMAGXP_OK);
    memory[needed] = 0;
    CHECK(strstr((char *)memory, "Payment REFUSED: VISA_AMOUNT\n") != NULL);
    sale.status = IMAGXP_NEED;
    CHECK_STATUS(imagxp_story_broker(&sale, 0, out, &needed), IMAGXP_ABI_ARGUMENT);
}

int main(void)
{
    static world w;

    world_make(&w);
    an_agent(&w);
    refusals(&w);
    a_browser();
    other_roles(&w);
    return 0;
}
