/*
 * Does time depend on a private key? Run under valgrind's memcheck, on the library that is shipped, this program declares
 * every secret that it hands over uninitialised: then memcheck calls each branch and each address that depends on one an
 * error (A. Langley, "Checking that functions are constant time with Valgrind", 2010).
 *
 * Some verdicts on a secret are public, and show in the status anyway: that a text is a key's, that a number is a private
 * key. They are listed with each call, as the number of branches that it may make, and why. Nothing else may be found.
 * The branch that is allowed can only say what the list says: on a valid key it always goes the same way. A token is read
 * as text when it is finished: constant_time_token.supp.
 *
 *   tools/constant-time.sh
 *
 * With `checked`, it makes the signatures that are verified before they leave: with constant_time.supp, for the verifier
 * takes its time, and memcheck does not know that a finished signature is public.
 */
#include <valgrind/memcheck.h>

#include "check.h"

/* Public verdicts, in branches: each is true of every key, or of all but one in 2^32. */
#define BELOW_N 1    /* d is below n */
#define SCALAR 2     /* that; and it is not zero, which is known already where one character of it is left public */
#define NONCE 2      /* the same of a candidate for k; one that is refused is never used */
#define ALPHABET 1   /* all characters are of the alphabet */
#define LAST_BLOCK 1 /* base64ct: the last characters carry no stray bits */
#define SAME_POINT 2 /* the public part of the text is the scalar's: x; y */
#define R_AND_S 2    /* r is not zero; s is not */

static int failures;

static void hide(const void *secret, size_t len)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, len);
}

static void show(const void *public, size_t len)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(public, len);
}

/* Makes the call, with `verdicts` branches on public verdicts. */
#define CALL(name, verdicts, call)                                                                \
    do {                                                                                           \
        unsigned long before_ = VALGRIND_COUNT_ERRORS;                                             \
        unsigned long found_;                                                                      \
        CHECK_STATUS(call, IMAGXP_OK);                                                             \
        found_ = VALGRIND_COUNT_ERRORS - before_;                                                  \
        report(name, verdicts, found_);                                                            \
    } while (0)

static void report(const char *name, unsigned long verdicts, unsigned long found)
{
    int fails = found > verdicts;

    printf("  %-34s %lu of %lu%s\n", name, found, verdicts, fails ? "  A LEAK" : "");
    failures += fails;
}

/* The public key is public: it was computed from the secret, so memcheck cannot know. */
static void show_public(const imagxp_key *key)
{
    show(&key->opaque[5], 8 * sizeof key->opaque[5]);
}

static void hide_private(const imagxp_key *key)
{
    hide(&key->opaque[1], 4 * sizeof key->opaque[1]);
}

/* The texts of one key, and which of their bytes are secret. */
typedef struct form {
    const char *name;
    int der;
    unsigned long verdicts;
    char text[400];
    size_t len;
    size_t secret_at;
    size_t secret_len;
} form;

enum { FORMS = 10 };

static const uint8_t scalar[32] = {
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93,
    0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
};

static void base64_of(const uint8_t *bytes, size_t len, size_t line, char *text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    size_t written = 0;
    size_t i;

    for (i = 0; i < len; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (i + 2 < len ? bytes[i + 2] : 0);
        size_t j;
        for (j = 0; j < 4; j++) {
            text[at++] = i + j > len ? '=' : alphabet[three >> (18 - 6 * j) & 63];
        }
        written += 4;
        if (line != 0 && (written % line == 0 || i + 3 >= len)) {
            text[at++] = '\n';
        }
    }
    text[at] = '\0';
}

static form *add(form *forms, const char *name, unsigned long verdicts)
{
    while (forms->name != NULL) {
        forms++;
    }
    forms->name = name;
    forms->verdicts = verdicts;
    return forms;
}

/* Whole characters of the scalar: one that shares its bits with a public byte is left public. */
static void secret_characters(form *f, size_t text_at, size_t byte_at)
{
    size_t first = text_at + (byte_at * 8 + 5) / 6;
    size_t past = text_at + (byte_at + 32) * 8 / 6;

    f->len = strlen(f->text);
    f->secret_at = first;
    f->secret_len = past - first;
}

/* In PEM, lines of 64 characters; those that fall on a line end with it. */
static void add_pem(form *forms, const char *name, unsigned long verdicts, const char *label, const char *before,
                    const uint8_t *der, size_t len, size_t scalar_at)
{
    form *f = add(forms, name, verdicts);
    size_t at = (size_t)sprintf(f->text, "%s-----BEGIN %s-----\n", before, label);

    base64_of(der, len, 64, f->text + at);
    sprintf(f->text + strlen(f->text), "-----END %s-----\n", label);
    secret_characters(f, at, scalar_at);
}

static void hide_text(form *f)
{
    size_t i;

    for (i = 0; i < f->secret_len; i++) {
        if (f->text[f->secret_at + i] != '\n') {
            hide(&f->text[f->secret_at + i], 1);
        }
    }
}

static void make_forms(form *forms)
{
    static const uint8_t sec1_head[] = { 0x30, 0x77, 2, 1, 1, 4, 0x20 };
    static const uint8_t sec1_parameters[] = { 0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
    uint8_t pkcs8[138];
    uint8_t sec1[121];
    imagxp_key key;
    size_t needed;
    size_t i;
    form *f;

    CHECK_STATUS(imagxp_key_from_random(scalar, &key), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_export(&key, IMAGXP_FORMAT_DER, buf_of(pkcs8, sizeof pkcs8), NULL), IMAGXP_OK);
    memcpy(sec1, sec1_head, 7);
    memcpy(sec1 + 7, scalar, 32);
    memcpy(sec1 + 39, sec1_parameters, 12);
    memcpy(sec1 + 51, pkcs8 + 68, 70);

    f = add(forms, "hex", ALPHABET + SCALAR);
    for (i = 0; i < 32; i++) {
        sprintf(f->text + 2 * i, "%02x", scalar[i]);
    }
    f->len = f->secret_len = 64;
    f = add(forms, "hex, newline", ALPHABET + SCALAR);
    memcpy(f->text, forms->text, 64);
    f->text[64] = '\n';
    f->len = 65;
    f->secret_len = 64;

    f = add(forms, "base64 of PKCS#8", ALPHABET + BELOW_N + SAME_POINT);
    base64_of(pkcs8, sizeof pkcs8, 0, f->text);
    secret_characters(f, 0, 36);
    f = add(forms, "base64 of SEC1", ALPHABET + BELOW_N + SAME_POINT);
    base64_of(sec1, sizeof sec1, 0, f->text);
    secret_characters(f, 0, 7);

    add_pem(forms, "PEM, PKCS#8", 2 * ALPHABET + LAST_BLOCK + BELOW_N + SAME_POINT, "PRIVATE KEY", "", pkcs8,
            sizeof pkcs8, 36);
    add_pem(forms, "PEM, SEC1", ALPHABET + SCALAR + SAME_POINT, "EC PRIVATE KEY", "", sec1, sizeof sec1, 7);
    add_pem(forms, "PEM, SEC1 with parameters", ALPHABET + SCALAR + SAME_POINT, "EC PRIVATE KEY",
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", sec1, sizeof sec1, 7);

    f = add(forms, "JWK", ALPHABET + LAST_BLOCK + SCALAR + SAME_POINT);
    CHECK_STATUS(imagxp_key_export(&key, IMAGXP_FORMAT_JWK, buf_of(f->text, sizeof f->text), &needed), IMAGXP_OK);
    f->len = needed;
    f->secret_at = (size_t)(strstr(f->text, "\"d\":\"") - f->text) + 5;
    f->secret_len = 43;

    f = add(forms, "DER, PKCS#8", SCALAR + SAME_POINT);
    memcpy(f->text, pkcs8, sizeof pkcs8);
    f->der = 1;
    f->len = sizeof pkcs8;
    f->secret_at = 36;
    f->secret_len = 32;
    f = add(forms, "DER, SEC1", SCALAR + SAME_POINT);
    memcpy(f->text, sec1, sizeof sec1);
    f->der = 1;
    f->len = sizeof sec1;
    f->secret_at = 7;
    f->secret_len = 32;
}

static void keys_come_in(void)
{
    static form forms[FORMS + 1];
    uint8_t random[32];
    imagxp_key expected;
    imagxp_key key;
    form *f;

    make_forms(forms);
    CHECK_STATUS(imagxp_key_from_random(scalar, &expected), IMAGXP_OK);
    memcpy(random, scalar, sizeof random);
    hide(random, sizeof random);
    CALL("raw scalar", SCALAR, imagxp_key_from_random(random, &key));
    for (f = forms; f->name != NULL; f++) {
        imagxp_str text = imagxp_str_of(f->text, f->len);
        hide_text(f);
        if (f->der) {
            CALL(f->name, f->verdicts, imagxp_key_from_der(text, &key));
        } else {
            CALL(f->name, f->verdicts, imagxp_key_from_text(text, &key));
        }
        show(&key, sizeof key);
        CHECK(memcmp(&key, &expected, sizeof key) == 0);
    }
}

static void keys_go_out(void)
{
    static const struct {
        int32_t format;
        const char *name;
    } formats[] = {
        { IMAGXP_FORMAT_TEXT, "base64" }, { IMAGXP_FORMAT_PEM, "PEM" }, { IMAGXP_FORMAT_DER, "DER" },
        { IMAGXP_FORMAT_JWK, "JWK" },
    };
    uint8_t out[260];
    imagxp_key key;
    size_t i;

    CHECK_STATUS(imagxp_key_from_random(scalar, &key), IMAGXP_OK);
    hide_private(&key);
    for (i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        CALL(formats[i].name, SCALAR, imagxp_key_export(&key, formats[i].format, buf_of(out, sizeof out), NULL));
        CALL("  its public half", SCALAR, imagxp_key_public(&key, formats[i].format, buf_of(out, sizeof out), NULL));
    }
    CALL("kid", SCALAR, imagxp_key_public(&key, IMAGXP_FORMAT_KID, buf_of(out, sizeof out), NULL));
    imagxp_key_wipe(&key);
}

/* From hidden bytes on, as a program would: made, then used. */
static imagxp_key hidden_key(void)
{
    uint8_t random[32];
    imagxp_key key;

    memcpy(random, scalar, sizeof random);
    hide(random, sizeof random);
    CHECK_STATUS(imagxp_key_from_random(random, &key), IMAGXP_OK);
    show_public(&key);
    return key;
}

#define SIGNS (SCALAR + NONCE + R_AND_S)

static void signatures(uint32_t flags, const uint8_t *hedge)
{
    static uint8_t memory[IMAGXP_SIGNED_LEN];
    imagxp_buf out = buf_of(memory, sizeof memory);
    uint8_t nonce[16] = { 1 };
    imagxp_key key = hidden_key();
    imagxp_claims claims;
    imagxp_signed headers;

    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    CALL("request", SIGNS, imagxp_request_sign(&key, &claims, nonce, hedge, flags, NOW, out, &headers));
    /* The headers are sent to strangers. */
    show(memory, sizeof memory);
    show(&headers, sizeof headers);
    CHECK(headers.signature.len == 128);
}

static void other_signatures(uint32_t flags, const uint8_t *hedge)
{
    static uint8_t memory[4096];
    imagxp_buf out = buf_of(memory, sizeof memory);
    imagxp_str name = IMAGXP_STR("pub.example.com");
    imagxp_key key = hidden_key();
    imagxp_head head = { { 0 }, 0 };
    imagxp_provenance provenance;
    imagxp_feedback feedback;
    imagxp_visa visa;
    uint8_t text[124];
    size_t needed = 0;

    IMAGXP_INIT(&provenance);
    IMAGXP_INIT(&feedback);
    IMAGXP_INIT(&visa);
    CALL("  its public half", SCALAR, imagxp_key_public(&key, IMAGXP_FORMAT_TEXT, buf_of(text, sizeof text), NULL));
    feedback.agent_id = visa.agent_id = IMAGXP_STR(AGENT);
    feedback.audience = feedback.jti = feedback.url = visa.issuer = visa.audience = name;
    feedback.reason = IMAGXP_REASON_HIGH_QUALITY;
    visa.public_key = imagxp_str_of((const char *)text, sizeof text);
    visa.amount_micros = 1;
    visa.lifetime_s = 60;
    CALL("provenance", SIGNS, imagxp_provenance_sign(&key, IMAGXP_ORIGIN_HUMAN, hedge, flags, NOW, out, &provenance));
    CALL("checkpoint", SIGNS, imagxp_evidence_checkpoint(&key, hedge, flags, NOW, &head, out, &needed));
    CALL("feedback", SIGNS, imagxp_feedback_sign(&key, &feedback, hedge, flags, NOW, out, &needed));
    CALL("visa", SIGNS, imagxp_visa_issue(&key, name, &visa, hedge, flags, NOW, out, &needed));
}

static void all_signatures(uint32_t flags)
{
    uint8_t hedge[32];

    signatures(flags, NULL);
    other_signatures(flags, NULL);
    puts("hedged");
    memset(hedge, 0x5a, sizeof hedge);
    hide(hedge, sizeof hedge);
    signatures(flags, hedge);
    other_signatures(flags, hedge);
}

/* Leaks on purpose: without them found, nothing that was not found means anything. */
static const uint8_t table[256] = { 1, 2, 3 };
static volatile uint8_t sink;

static __attribute__((noinline)) void a_branch(const uint8_t *secret)
{
    if (secret[5] & 1) {
        sink = 1;
    }
}

static __attribute__((noinline)) void an_index(const uint8_t *secret)
{
    sink = table[secret[7]];
}

static void plants(void)
{
    uint8_t secret[32];
    imagxp_key key;
    unsigned long before;

    memcpy(secret, scalar, sizeof secret);
    hide(secret, sizeof secret);
    before = VALGRIND_COUNT_ERRORS;
    a_branch(secret);
    CHECK(VALGRIND_COUNT_ERRORS == before + 1);
    before = VALGRIND_COUNT_ERRORS;
    an_index(secret);
    CHECK(VALGRIND_COUNT_ERRORS == before + 1);

    /* And the secret is still one after it went through the library. */
    CHECK_STATUS(imagxp_key_from_random(secret, &key), IMAGXP_OK);
    before = VALGRIND_COUNT_ERRORS;
    a_branch((const uint8_t *)&key.opaque[1]);
    CHECK(VALGRIND_COUNT_ERRORS == before + 1);
    puts("  planted branch, index: found");
}

int main(int argc, char **argv)
{
    int checked = argc == 2 && strcmp(argv[1], "checked") == 0;

    if (!RUNNING_ON_VALGRIND) {
        fputs("run this under valgrind\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    plants();
    if (checked) {
        puts("signatures, verified before they leave");
        all_signatures(IMAGXP_SIGN_CHECK);
    } else {
        puts("keys come in: branches found, of those on public verdicts");
        keys_come_in();
        puts("keys go out");
        keys_go_out();
        puts("signatures");
        all_signatures(0);
    }
    return failures != 0;
}
