/* The agent's side: keys in and out, signing in one step and in two, the manifest. */
#include "check.h"

static void keys_go_out_and_come_back(const imagxp_key *key)
{
    static const int32_t formats[] = { IMAGXP_FORMAT_TEXT, IMAGXP_FORMAT_PEM, IMAGXP_FORMAT_DER, IMAGXP_FORMAT_JWK };
    uint8_t memory[260];
    imagxp_key again;
    size_t needed = 0;
    size_t i;

    for (i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        imagxp_str text;
        CHECK_STATUS(imagxp_key_export(key, formats[i], buf_of(NULL, 0), &needed), IMAGXP_BUFFER_TOO_SMALL);
        CHECK(needed > 0 && needed <= sizeof memory);
        CHECK_STATUS(imagxp_key_export(key, formats[i], buf_of(memory, needed - 1), NULL), IMAGXP_BUFFER_TOO_SMALL);
        CHECK_STATUS(imagxp_key_export(key, formats[i], buf_of(memory, sizeof memory), &needed), IMAGXP_OK);
        text = imagxp_str_of((const char *)memory, needed);
        if (formats[i] == IMAGXP_FORMAT_DER) {
            CHECK_STATUS(imagxp_key_from_der(text, &again), IMAGXP_OK);
        } else {
            CHECK_STATUS(imagxp_key_from_text(text, &again), IMAGXP_OK);
        }
        CHECK(memcmp(key, &again, sizeof again) == 0);
    }
    CHECK_STATUS(imagxp_key_export(key, IMAGXP_FORMAT_KID, buf_of(memory, sizeof memory), NULL), IMAGXP_ABI_ARGUMENT);
    CHECK_STATUS(imagxp_key_from_text(IMAGXP_STR("no key"), &again), IMAGXP_PRIVKEY_INVALID);
    CHECK(memcmp(key, &again, sizeof again) == 0);

    imagxp_key_wipe(&again);
    for (i = 0; i < sizeof again.opaque / sizeof again.opaque[0]; i++) {
        CHECK(again.opaque[i] == 0);
    }
    CHECK_STATUS(imagxp_key_export(&again, IMAGXP_FORMAT_TEXT, buf_of(memory, sizeof memory), NULL), IMAGXP_ABI_STATE);
    imagxp_key_wipe(NULL);
}

static void public_keys(const imagxp_key *key)
{
    static const int32_t formats[] = { IMAGXP_FORMAT_TEXT, IMAGXP_FORMAT_PEM, IMAGXP_FORMAT_DER, IMAGXP_FORMAT_JWK,
                                       IMAGXP_FORMAT_KID };
    static const size_t lens[] = { 124, 0, 91, 0, 43 };
    uint8_t memory[240];
    size_t needed = 0;
    size_t i;

    for (i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        CHECK_STATUS(imagxp_key_public(key, formats[i], buf_of(memory, sizeof memory), &needed), IMAGXP_OK);
        CHECK(lens[i] == 0 || needed == lens[i]);
    }
    CHECK_STATUS(imagxp_key_public(key, 6, buf_of(memory, sizeof memory), NULL), IMAGXP_ABI_ARGUMENT);
}

/* RFC 6979 A.2.5 */
static void a_known_key(void)
{
    uint8_t text[124];
    imagxp_key key;

    CHECK_STATUS(imagxp_key_from_text(
                     IMAGXP_STR("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"), &key),
                 IMAGXP_OK);
    CHECK_STATUS(imagxp_key_public(&key, IMAGXP_FORMAT_TEXT, buf_of(text, sizeof text), NULL), IMAGXP_OK);
    CHECK(is_text(imagxp_str_of((const char *)text, sizeof text),
                  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7"
                  "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ=="));
}

static unsigned nibble(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'a') + 10;
}

static void signing_in_two_steps_is_the_same(const world *w)
{
    uint8_t memory[IMAGXP_SIGNED_LEN];
    uint8_t public_key[240];
    uint8_t digest[32];
    uint8_t signature[64];
    uint8_t nonce[16] = { 1 };
    imagxp_buf out = buf_of(memory, sizeof memory);
    imagxp_buf before = buf_of((void *)(uintptr_t)w->signed_memory, sizeof w->signed_memory);
    imagxp_str text = IMAGXP_TEXT(before, w->signed_request.signature);
    imagxp_signed headers;
    imagxp_claims claims;
    size_t needed;
    size_t i;

    CHECK_STATUS(imagxp_key_public(&w->key, IMAGXP_FORMAT_PEM, buf_of(public_key, sizeof public_key), &needed), IMAGXP_OK);
    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    CHECK_STATUS(imagxp_request_prepare(imagxp_str_of((const char *)public_key, needed), &claims, nonce, NOW, out,
                                        &headers, digest), IMAGXP_OK);
    for (i = 0; i < sizeof signature; i++) {
        signature[i] = (uint8_t)(nibble(text.ptr[2 * i]) << 4 | nibble(text.ptr[2 * i + 1]));
    }
    CHECK_STATUS(imagxp_request_attach(&headers, signature, out), IMAGXP_OK);
    CHECK(headers.needed == w->signed_request.needed);
    CHECK(memcmp(memory, w->signed_memory, headers.needed) == 0);

    headers.signature.len = 127;
    CHECK_STATUS(imagxp_request_attach(&headers, signature, out), IMAGXP_ABI_STATE);
}

static void what_a_verifier_would_refuse(const world *w)
{
    uint8_t memory[IMAGXP_SIGNED_LEN];
    uint8_t nonce[16] = { 0 };
    uint8_t hedge[32] = { 0 };
    imagxp_buf out = buf_of(memory, sizeof memory);
    imagxp_signed headers;
    imagxp_claims claims;

    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    claims.agent_id = IMAGXP_STR("10.0.0.1");
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = IMAGXP_SUMMARY;
#define SIGN(flags, now) imagxp_request_sign(&w->key, &claims, nonce, hedge, flags, now, out, &headers)
    CHECK_STATUS(SIGN(0, NOW), IMAGXP_AGENT_ID_INVALID);
    claims.agent_id = IMAGXP_STR(AGENT);
    CHECK_STATUS(SIGN(2, NOW), IMAGXP_ABI_ARGUMENT);
    CHECK_STATUS(SIGN(0, 0), IMAGXP_CLOCK_UNKNOWN);
    claims.purpose = 6;
    CHECK_STATUS(SIGN(0, NOW), IMAGXP_ABI_ARGUMENT);
    claims.purpose = IMAGXP_SUMMARY;
    claims.ads_displayed = 2;
    CHECK_STATUS(SIGN(0, NOW), IMAGXP_ABI_ARGUMENT);
    claims.ads_displayed = 1;
    CHECK_STATUS(SIGN(IMAGXP_SIGN_CHECK, NOW), IMAGXP_OK);
    out.len = headers.needed - 1;
    headers.needed = 0;
    CHECK_STATUS(SIGN(0, NOW), IMAGXP_BUFFER_TOO_SMALL);
    CHECK(headers.needed == out.len + 1);
}

static void manifests(const imagxp_key *key)
{
    uint8_t text[124];
    char memory[2048];
    size_t needed = 0;
    imagxp_listed_key listed = { { NULL, 0 }, 0, 1800000000 };
    imagxp_revoked_key revoked = { { NULL, 0 }, 1700000000 };
    imagxp_manifest manifest;

    CHECK_STATUS(imagxp_key_public(key, IMAGXP_FORMAT_TEXT, buf_of(text, sizeof text), NULL), IMAGXP_OK);
    IMAGXP_INIT(&manifest);
    manifest.agent_id = IMAGXP_STR(AGENT);
    manifest.public_key = imagxp_str_of((const char *)text, sizeof text);
    listed.public_key = manifest.public_key;
    revoked.kid = IMAGXP_STR("kid");
    manifest.keys = &listed;
    manifest.keys_len = 1;
    manifest.revoked = &revoked;
    manifest.revoked_len = 1;
    CHECK_STATUS(imagxp_manifest_write(&manifest, buf_of(memory, sizeof memory), &needed), IMAGXP_OK);
    memory[needed] = '\0';
    CHECK(strstr(memory, "\"exp\":1800000000") != NULL);
    CHECK(strstr(memory, "\"revoked\":[{\"kid\":\"kid\",\"at\":1700000000}]") != NULL);
    CHECK(strstr(memory, "nbf") == NULL && strstr(memory, "contact") == NULL);
    listed.exp_s = -1;
    CHECK_STATUS(imagxp_manifest_write(&manifest, buf_of(memory, sizeof memory), &needed), IMAGXP_ABI_ARGUMENT);
    manifest.keys_len = 0;
    manifest.public_key.len = 123;
    CHECK_STATUS(imagxp_manifest_write(&manifest, buf_of(memory, sizeof memory), &needed), IMAGXP_KEY_FORMAT);
}

int main(void)
{
    static world w;

    world_make(&w);
    keys_go_out_and_come_back(&w.key);
    public_keys(&w.key);
    a_known_key();
    signing_in_two_steps_is_the_same(&w);
    what_a_verifier_would_refuse(&w);
    manifests(&w.key);
    return 0;
}
