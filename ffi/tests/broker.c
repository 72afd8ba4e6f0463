/* The broker's side: a visa that is issued here pays here, once; its key set, the terms; and the evidence of it all. */
#include "host.h"

#define BROKER "https://broker.example.com"
#define POLICY "{\"allowRAG\":true,\"requiresPayment\":true,\"price\":0.001,\"visa_single_use\":true," \
               "\"visa_binding\":\"require\",\"audiences\":[\"pub.example.com\"],\"monetization\":{\"brokerUrl\":\"" BROKER "\"}}"

static host site;
static world agent;
static imagxp_key broker;
static char broker_text[124], agent_text[124], jwks[512], visa_text[4096], visit_url[256];
static size_t visa_len;

static imagxp_str str(const char *text, size_t len)
{
    return imagxp_str_of(text, len);
}

static imagxp_visa offer(void)
{
    imagxp_visa visa;

    IMAGXP_INIT(&visa);
    visa.issuer = IMAGXP_STR(BROKER);
    visa.audience = IMAGXP_STR("pub.example.com");
    visa.agent_id = IMAGXP_STR(AGENT);
    visa.public_key = str(agent_text, sizeof agent_text);
    visa.jti = IMAGXP_STR("v-7");
    visa.currency = IMAGXP_STR("EUR");
    visa.amount_micros = 1500;
    visa.lifetime_s = 600;
    visa.purpose = IMAGXP_RAG_RETRIEVAL;
    return visa;
}

static imagxp_status issue(const imagxp_visa *visa)
{
    return imagxp_visa_issue(&broker, IMAGXP_STR("k1"), visa, NULL, IMAGXP_SIGN_CHECK, NOW, buf_of(visa_text, sizeof visa_text),
                             &visa_len);
}

static void a_key_set(void)
{
    imagxp_published_key keys[2];
    size_t needed;

    keys[0].kid = IMAGXP_STR("k1");
    keys[0].public_key = str(broker_text, sizeof broker_text);
    keys[1] = keys[0];
    CHECK_STATUS(imagxp_jwks_write(keys, 2, buf_of(jwks, sizeof jwks), &needed), IMAGXP_JWKS_DUPLICATE_KID);
    CHECK_STATUS(imagxp_jwks_write(keys, 0, buf_of(jwks, sizeof jwks), &needed), IMAGXP_JWKS_INVALID);
    keys[1].kid = IMAGXP_STR("k2");
    keys[1].public_key = str(agent_text, sizeof agent_text);
    CHECK_STATUS(imagxp_jwks_write(keys, 2, buf_of(jwks, sizeof jwks), &needed), IMAGXP_OK);
    CHECK(needed < sizeof jwks && memcmp(jwks, "{\"keys\":[{", 10) == 0);
    site.documents[1] = str(jwks, needed);
}

static imagxp_status pay(unsigned number)
{
    world_sign(&agent, number);
    agent.headers[5] = header_of(IMAGXP_HEADER_CREDENTIAL, str(visa_text, visa_len));
    agent.visit.headers_len = 6;
    return host_decide(&site, &agent.visit, NOW);
}

static void a_visa_pays_once(void)
{
    imagxp_visa visa = offer();
    char memory[4096];
    size_t needed;

    CHECK_STATUS(issue(&visa), IMAGXP_OK);
    CHECK_STATUS(pay(1), IMAGXP_OK);
    CHECK(site.decision.fetches_len == 2 && site.verified.proof == IMAGXP_PROOF_VISA && site.verified.amount_micros == 1500);
    CHECK(site.verified.flags & IMAGXP_TOKEN_BOUND && site.verified.flags & IMAGXP_SINGLE_USE);
    CHECK_STATUS(imagxp_story_publisher(&agent.visit, site.policy, &site.verified, site.scratch, &site.decision, 0,
                                        buf_of(memory, sizeof memory), &needed), IMAGXP_OK);
    memory[needed] = 0;
    CHECK(strstr(memory, "| BROKER | Key set wanted: " BROKER IMAGXP_JWKS_PATH "\n") != NULL);
    CHECK(strstr(memory, "| BROKER | Payment ACCEPTED: visa of " BROKER " for 0.0015\n") != NULL);
    CHECK_STATUS(pay(2), IMAGXP_VISA_USED);
}

/* The record names the key set and the key, though neither was fetched for it. */
static void the_payment_is_proven(void)
{
    static char lines[3][8192];
    static uint8_t scratch[65536];
    imagxp_head head;
    imagxp_str texts[3];
    imagxp_findings findings;
    imagxp_visa visa = offer();
    size_t needed, i;

    memset(&head, 0, sizeof head);
    visa.jti = IMAGXP_STR("v-8");
    CHECK_STATUS(issue(&visa), IMAGXP_OK);
    CHECK_STATUS(pay(3), IMAGXP_OK);
    CHECK(site.decision.fetches_len == 0);
    for (i = 0; i < 2; i++) {
        uint8_t sha256[32];
        CHECK_STATUS(imagxp_evidence_document(str(site.urls[i], strlen(site.urls[i])), site.documents[i], NOW, &head,
                                              buf_of(lines[i], sizeof lines[i]), &needed, sha256), IMAGXP_OK);
        texts[i] = str(lines[i], needed - 1);
        CHECK(memcmp(sha256, i == 0 ? site.verified.manifest_sha256 : site.verified.jwks_sha256, 32) == 0);
    }
    CHECK_STATUS(imagxp_evidence_decision(&agent.visit, &site.verified, &site.decision, &head, buf_of(lines[2], sizeof lines[2]),
                                          &needed), IMAGXP_OK);
    texts[2] = str(lines[2], needed - 1);
    IMAGXP_INIT(&findings);
    CHECK_STATUS(imagxp_evidence_prove(texts[2], texts, 2, buf_of(scratch, sizeof scratch), &findings), IMAGXP_OK);
    CHECK(findings.visa == IMAGXP_FINDING_PROVEN && findings.visa_key == IMAGXP_FINDING_PROVEN);
    CHECK(findings.manifest == IMAGXP_FINDING_PROVEN && findings.bound == IMAGXP_FINDING_PROVEN);
}

static void a_visa_outside_a_request(void)
{
    imagxp_buf scratch = buf_of(visit_url, sizeof visit_url);
    imagxp_str none = IMAGXP_STR("");
    imagxp_visa visa = offer();
    imagxp_token token;

    IMAGXP_INIT(&token);
    CHECK_STATUS(issue(&visa), IMAGXP_OK);
#define VERIFY(text, role, agent_id, key) \
    imagxp_visa_verify(text, role, agent_id, key, site.policy, &site.keys, NOW, scratch, &token)
    CHECK_STATUS(VERIFY(str(visa_text, visa_len), IMAGXP_ROLE_BROKER, none, none), IMAGXP_VERIFIED);
    CHECK(token.status == IMAGXP_VERIFIED && token.amount_micros == 1500 && token.flags == IMAGXP_TOKEN_BOUND);
    CHECK(token.expires_s == NOW / 1000 + 600 && is_text(IMAGXP_TEXT(scratch, token.jti), "v-7"));
    CHECK(is_text(IMAGXP_TEXT(scratch, token.issuer), BROKER));
    CHECK_STATUS(VERIFY(str(visa_text, visa_len), IMAGXP_ROLE_BROKER, IMAGXP_STR(AGENT), str(agent_text, 124)), IMAGXP_VERIFIED);
    CHECK_STATUS(VERIFY(str(visa_text, visa_len), IMAGXP_ROLE_BROKER, IMAGXP_STR(AGENT), str(broker_text, 124)),
                 IMAGXP_VISA_BINDING);
    CHECK_STATUS(VERIFY(str(visa_text, visa_len), IMAGXP_ROLE_BROKER, IMAGXP_STR("x.example.com"), str(agent_text, 124)),
                 IMAGXP_JWT_SUBJECT);
    CHECK_STATUS(VERIFY(str(visa_text, visa_len), IMAGXP_ROLE_AD_NETWORK, none, none), IMAGXP_JWT_ISSUER);
    CHECK_STATUS(VERIFY(str(visa_text, visa_len - 1), IMAGXP_ROLE_BROKER, none, none), IMAGXP_JWT_FORMAT);
    CHECK_STATUS(VERIFY(str(visa_text, visa_len), IMAGXP_ROLE_BROKER, none, str(agent_text, 124)), IMAGXP_VISA_BINDING);
    host_make(&site, POLICY);
    CHECK_STATUS(VERIFY(str(visa_text, visa_len), IMAGXP_ROLE_BROKER, none, none), IMAGXP_NEED);
    CHECK(token.need.kind == IMAGXP_NEED_JWKS && is_text(IMAGXP_TEXT(scratch, token.need.url), BROKER IMAGXP_JWKS_PATH));
}

static void what_is_not_issued(void)
{
    static const struct { imagxp_str text; int64_t amount; uint32_t lifetime; imagxp_status status; } cases[] = {
        { { "", 0 }, 1, 1, IMAGXP_JWT_AUDIENCE },
        { { "a", 1 }, 0, 1, IMAGXP_VISA_AMOUNT },
        { { "a", 1 }, 1, 0, IMAGXP_JWT_LIFETIME },
        { { "a", 1 }, 1, 3601, IMAGXP_JWT_LIFETIME },
        { { "\xff", 1 }, 1, 1, IMAGXP_JWT_AUDIENCE },
        { { "a", 1 }, 1, 1, IMAGXP_OK },
    };
    imagxp_visa visa;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        visa = offer();
        visa.audience = cases[i].text;
        visa.amount_micros = cases[i].amount;
        visa.lifetime_s = cases[i].lifetime;
        CHECK_STATUS(issue(&visa), cases[i].status);
    }
    visa = offer();
    visa.agent_id.len = 0;
    CHECK_STATUS(issue(&visa), IMAGXP_VISA_BINDING);
    visa.public_key.len = 0;
    CHECK_STATUS(issue(&visa), IMAGXP_OK);
    visa.purpose = 6;
    CHECK_STATUS(issue(&visa), IMAGXP_ABI_ARGUMENT);
    visa = offer();
    visa.currency = IMAGXP_STR("eur");
    CHECK_STATUS(issue(&visa), IMAGXP_JWT_CLAIMS);
}

static void terms(void)
{
    char memory[1024];
    size_t needed;

    CHECK_STATUS(imagxp_policy_discovery(site.policy, buf_of(memory, sizeof memory), &needed), IMAGXP_OK);
    memory[needed] = 0;
    CHECK(strstr(memory, "\"price\":0.001,") != NULL && strstr(memory, "\"brokerUrl\":\"" BROKER "\"") != NULL);
    CHECK(strstr(memory, "strategy") == NULL);
}

int main(void)
{
    uint8_t random[32] = { 4 };

    CHECK_STATUS(imagxp_key_from_random(random, &broker), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_public(&broker, IMAGXP_FORMAT_TEXT, buf_of(broker_text, sizeof broker_text), NULL), IMAGXP_OK);
    world_make(&agent);
    CHECK_STATUS(imagxp_key_public(&agent.key, IMAGXP_FORMAT_TEXT, buf_of(agent_text, sizeof agent_text), NULL), IMAGXP_OK);
    host_make(&site, POLICY);
    site.documents[0] = str(agent.manifest, agent.manifest_len);
    a_key_set();
    a_visa_pays_once();
    the_payment_is_proven();
    a_visa_outside_a_request();
    what_is_not_issued();
    terms();
    imagxp_key_wipe(&broker);
    return 0;
}
