/* Where a response's content comes from: what is signed here verifies, and nothing else does. */
#include "check.h"

int main(void)
{
    static const uint8_t random[32] = { 5 };
    static const char *const origins[] = { "HUMAN", "SYNTHETIC", "HYBRID" };
    uint8_t memory[IMAGXP_PROVENANCE_LEN], text[124];
    imagxp_buf out = buf_of(memory, sizeof memory);
    imagxp_str spki = imagxp_str_of((const char *)text, sizeof text);
    imagxp_provenance headers;
    imagxp_str origin, signature, ts;
    imagxp_key key;
    int32_t number, found;
    int64_t ts_ms;

    CHECK_STATUS(imagxp_key_from_random(random, &key), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_public(&key, IMAGXP_FORMAT_TEXT, buf_of(text, sizeof text), NULL), IMAGXP_OK);
    IMAGXP_INIT(&headers);
    for (number = IMAGXP_ORIGIN_HUMAN; number <= IMAGXP_ORIGIN_HYBRID; number++) {
        out.len = 3;
        CHECK_STATUS(imagxp_provenance_sign(&key, number, random, 0, NOW, out, &headers), IMAGXP_BUFFER_TOO_SMALL);
        out.len = headers.needed;
        CHECK(out.len <= IMAGXP_PROVENANCE_LEN);
        CHECK_STATUS(imagxp_provenance_sign(&key, number, NULL, IMAGXP_SIGN_CHECK, NOW, out, &headers), IMAGXP_OK);
        origin = IMAGXP_TEXT(out, headers.origin);
        signature = IMAGXP_TEXT(out, headers.signature);
        ts = IMAGXP_TEXT(out, headers.ts);
        CHECK(is_text(origin, origins[number - 1]) && signature.len == 128 && is_text(ts, "1769428800000"));
        found = 0;
        CHECK_STATUS(imagxp_provenance_verify(spki, origin, signature, ts, NOW + 9, 10, 0, &found, &ts_ms), IMAGXP_OK);
        CHECK(found == number && ts_ms == NOW);
    }
    found = 77;
    ts_ms = 77;
#define VERIFY(origin, signature, ts, now) imagxp_provenance_verify(spki, origin, signature, ts, now, 10, 5, &found, &ts_ms)
    CHECK_STATUS(VERIFY(origin, signature, ts, NOW + 11), IMAGXP_TIMESTAMP_STALE);
    CHECK_STATUS(VERIFY(origin, signature, ts, NOW - 6), IMAGXP_TIMESTAMP_FUTURE);
    CHECK_STATUS(VERIFY(IMAGXP_STR("HUMAN"), signature, ts, NOW), IMAGXP_SIGNATURE_INVALID);
    CHECK_STATUS(VERIFY(IMAGXP_STR("Human"), signature, ts, NOW), IMAGXP_FIELD_TYPE);
    CHECK_STATUS(VERIFY(origin, signature, IMAGXP_STR("1769428800001"), NOW), IMAGXP_SIGNATURE_INVALID);
    CHECK_STATUS(VERIFY(origin, signature, IMAGXP_STR("01769428800000"), NOW), IMAGXP_TIMESTAMP_INVALID);
    CHECK_STATUS(VERIFY(origin, signature, IMAGXP_STR(""), NOW), IMAGXP_FIELD_MISSING);
    CHECK_STATUS(VERIFY(origin, ts, ts, NOW), IMAGXP_SIGNATURE_FORMAT);
    CHECK(found == 77 && ts_ms == 77);
    CHECK_STATUS(imagxp_provenance_verify(spki, origin, signature, ts, NOW, 0, 0, NULL, NULL), IMAGXP_OK);
    imagxp_key_wipe(&key);
    return 0;
}
