/* An agent's calls, between walls and misused: keys, texts, signatures, manifests. */
#include "walls.h"

static void agent_between_walls(void)
{
    uint8_t random[32] = { 3 };
    imagxp_key *key = fenced(NULL, sizeof *key);
    size_t *needed = fenced(NULL, sizeof *needed);
    uint8_t *digest = fenced(NULL, 32);
    imagxp_claims *claims = fenced(NULL, sizeof *claims);
    imagxp_signed *headers = fenced(NULL, sizeof *headers);
    imagxp_manifest *manifest = fenced(NULL, sizeof *manifest);
    imagxp_listed_key *listed = fenced(NULL, 4 * sizeof *listed);
    imagxp_revoked_key *revoked = fenced(NULL, 16 * sizeof *revoked);
    imagxp_buf out, text;
    int32_t format;
    size_t i;

    CHECK_STATUS(imagxp_key_from_random(fenced(random, 32), key), IMAGXP_OK);
    for (format = 1; format <= 5; format++) {
        CHECK_STATUS(imagxp_key_public(key, format, buf_of(NULL, 0), needed), IMAGXP_BUFFER_TOO_SMALL);
        CHECK_STATUS(imagxp_key_public(key, format, fenced_buf(*needed), needed), IMAGXP_OK);
        if (format == 5) break;
        CHECK_STATUS(imagxp_key_export(key, format, buf_of(NULL, 0), needed), IMAGXP_BUFFER_TOO_SMALL);
        out = fenced_buf(*needed);
        CHECK_STATUS(imagxp_key_export(key, format, out, needed), IMAGXP_OK);
        CHECK_STATUS(format == IMAGXP_FORMAT_DER ? imagxp_key_from_der(imagxp_str_of((char *)out.ptr, out.len), key)
                                                 : imagxp_key_from_text(imagxp_str_of((char *)out.ptr, out.len), key),
                     IMAGXP_OK);
    }
    imagxp_init(claims, sizeof *claims);
    claims->agent_id = fenced_str(IMAGXP_STR(AGENT));
    claims->resource = fenced_str(IMAGXP_STR(RESOURCE));
    claims->purpose = IMAGXP_QUOTATION;
    imagxp_init(headers, sizeof *headers);
    CHECK_STATUS(imagxp_request_sign(key, claims, fenced(random, 16), fenced(random, 32), 1, NOW, buf_of(NULL, 0), headers),
                 IMAGXP_BUFFER_TOO_SMALL);
    out = fenced_buf(headers->needed);
    CHECK_STATUS(imagxp_request_sign(key, claims, fenced(random, 16), fenced(random, 32), 1, NOW, out, headers), IMAGXP_OK);
    text = fenced_buf(124);
    CHECK_STATUS(imagxp_key_public(key, IMAGXP_FORMAT_TEXT, text, NULL), IMAGXP_OK);
    CHECK_STATUS(imagxp_request_prepare(imagxp_str_of((char *)text.ptr, 124), claims, fenced(random, 16), NOW, out, headers,
                                        digest), IMAGXP_OK);
    CHECK_STATUS(imagxp_request_attach(headers, fenced(NULL, 64), out), IMAGXP_OK);

    imagxp_init(manifest, sizeof *manifest);
    manifest->agent_id = claims->agent_id;
    manifest->public_key = imagxp_str_of((char *)text.ptr, 124);
    manifest->keys = listed;
    manifest->keys_len = 4;
    manifest->revoked = revoked;
    manifest->revoked_len = 16;
    for (i = 0; i < 4; i++) listed[i].public_key = manifest->public_key;
    for (i = 0; i < 16; i++) revoked[i].kid = claims->agent_id;
    CHECK_STATUS(imagxp_manifest_write(manifest, buf_of(NULL, 0), needed), IMAGXP_BUFFER_TOO_SMALL);
    CHECK_STATUS(imagxp_manifest_write(manifest, fenced_buf(*needed), needed), IMAGXP_OK);
    manifest->keys_len = 5;
    listed = fenced(NULL, 5 * sizeof *listed);
    for (i = 0; i < 5; i++) listed[i].public_key = manifest->public_key;
    manifest->keys = listed;
    CHECK_STATUS(imagxp_manifest_write(manifest, buf_of(NULL, 0), needed), IMAGXP_MANIFEST_INVALID);
    imagxp_key_wipe(key);
}

static void texts_and_keys_misused(void)
{
    static uint8_t out[512];
    uint64_t odd[40];
    uint8_t bytes[64] = { 0 };
    imagxp_buf good = { out, sizeof out };
    imagxp_buf null = { NULL, 1 }, huge = { out, HUGE };
    imagxp_str null_text = { NULL, 1 }, huge_text = { "x", HUGE };
    imagxp_str inside = { (const char *)out + 511, 1 };
    imagxp_key key = w.key, unmade;
    imagxp_key *crooked = (imagxp_key *)(void *)((uint8_t *)odd + 1);
    size_t needed = 0, i;

    memset(&unmade, 0xFF, sizeof unmade);
    REFUSED(imagxp_jcs(null_text, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_jcs(huge_text, good, &needed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_jcs(inside, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), null, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), huge, &needed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), good, (size_t *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_jcs(IMAGXP_STR("1"), good, (size_t *)(void *)((uint8_t *)odd + 1)), IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_jcs(imagxp_str_of(NULL, 0), good, &needed), IMAGXP_JSON_SYNTAX);
    REFUSED(imagxp_key_public(NULL, 1, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_public(&unmade, 1, good, &needed), IMAGXP_ABI_STATE);
    REFUSED(imagxp_key_public(crooked, 1, good, &needed), IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_key_public((imagxp_key *)(void *)out, 1, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_key_export(NULL, 1, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_export(&unmade, 1, good, &needed), IMAGXP_ABI_STATE);
    REFUSED(imagxp_key_export(&key, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    REFUSED(imagxp_key_export(&key, 1, huge, &needed), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_key_from_random(NULL, (imagxp_key *)(void *)out), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_from_random(bytes, (imagxp_key *)(void *)out), IMAGXP_PRIVKEY_INVALID);
    REFUSED(imagxp_key_from_random(bytes, NULL), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_from_random(out, (imagxp_key *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_key_from_random(bytes, crooked), IMAGXP_ABI_STORAGE);
    REFUSED(imagxp_key_from_text(null_text, (imagxp_key *)(void *)out), IMAGXP_ABI_NULL);
    REFUSED(imagxp_key_from_text(IMAGXP_STR("-----BEGIN"), (imagxp_key *)(void *)out), IMAGXP_PRIVKEY_INVALID);
    REFUSED(imagxp_key_from_der(huge_text, (imagxp_key *)(void *)out), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_key_from_der(IMAGXP_STR("0"), (imagxp_key *)(void *)out), IMAGXP_PRIVKEY_INVALID);
    REFUSED(imagxp_host_may_connect(NULL, 4), IMAGXP_ABI_NULL);
    REFUSED(imagxp_host_may_connect(NULL, 0), IMAGXP_ABI_ARGUMENT);
    REFUSED(imagxp_host_may_connect(bytes, HUGE), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_host_check_agent_id(null_text, 0), IMAGXP_ABI_NULL);
    CHECK(imagxp_header_matters(null_text) == 0 && imagxp_header_matters(huge_text) == 0);
    imagxp_key_wipe(crooked);
}

static void signing_misused(void)
{
    static uint8_t out[8192];
    uint8_t nonce[16] = { 0 }, signature[64] = { 0 }, digest[32];
    imagxp_buf good = { out, 4096 };
    imagxp_signed headers, before;
    imagxp_claims claims;
    imagxp_manifest manifest;
    imagxp_key unmade;
    size_t needed = 0, i;

    memset(&unmade, 0, sizeof unmade);
    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    IMAGXP_INIT(&manifest);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = 1;
    before = headers;
#define SIGN(key, claims, nonce, hedge, out, headers) imagxp_request_sign(key, claims, nonce, hedge, 0, NOW, out, headers)
    REFUSED(SIGN(NULL, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&unmade, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_STATE);
    REFUSED(SIGN(&w.key, NULL, nonce, NULL, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&w.key, &claims, NULL, NULL, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&w.key, &claims, out, NULL, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(SIGN(&w.key, &claims, nonce, out + 4090, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, NULL), IMAGXP_ABI_NULL);
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, buf_of(NULL, 5), &headers), IMAGXP_ABI_NULL);
    claims.agent_id = imagxp_str_of((char *)out, 10);
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_OVERLAP);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.size -= 8;
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_VERSION);
    claims.size += 8;
    {
        /* As a newer header might have it. */
        struct {
            imagxp_signed known;
            uint64_t added;
        } newer;
        memset(&newer, 0, sizeof newer);
        newer.known.size = sizeof newer;
        REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &newer.known), IMAGXP_ABI_VERSION);
    }
    headers.size = 0;
    REFUSED(SIGN(&w.key, &claims, nonce, NULL, good, &headers), IMAGXP_ABI_VERSION);
    headers.size = sizeof headers;
    CHECK(memcmp(&headers, &before, sizeof before) == 0);
    REFUSED(imagxp_request_prepare(IMAGXP_STR("MFkw"), &claims, nonce, NOW, good, &headers, digest), IMAGXP_KEY_FORMAT);
    REFUSED(imagxp_request_prepare(IMAGXP_STR("MFkw"), &claims, nonce, NOW, good, &headers, NULL), IMAGXP_ABI_NULL);
    REFUSED(imagxp_request_prepare(IMAGXP_STR("MFkw"), &claims, nonce, NOW, good, &headers, out), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_request_attach(&headers, signature, good), IMAGXP_ABI_STATE);
    headers.signature.at = 0xFFFFFFFF;
    headers.signature.len = 128;
    REFUSED(imagxp_request_attach(&headers, signature, good), IMAGXP_ABI_STATE);
    REFUSED(imagxp_request_attach(NULL, signature, good), IMAGXP_ABI_NULL);
    REFUSED(imagxp_request_attach(&headers, NULL, good), IMAGXP_ABI_NULL);
    REFUSED(imagxp_manifest_write(NULL, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_KEY_FORMAT);
    manifest.keys_len = 1;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_NULL);
    manifest.keys = (imagxp_listed_key *)(void *)out;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_OVERLAP);
    manifest.keys_len = HUGE / 8;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_LENGTH);
    manifest.size = 1;
    REFUSED(imagxp_manifest_write(&manifest, good, &needed), IMAGXP_ABI_VERSION);
}

int main(void)
{
    world_make(&w);
    for (side = START; side <= END; side++) {
        agent_between_walls();
        tear_down();
    }
    texts_and_keys_misused();
    signing_misused();
    tear_down();
    return 0;
}
