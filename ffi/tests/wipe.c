/*
 * What is left of a secret when a call has returned? Every call runs on a stack of its own, painted before; afterwards the
 * stack, the buffers and the key object are searched for any eight bytes of the private key d, of the nonce k, of 1/k, of
 * r*d and its like, and of what k was made from. The nonce is computed here once more, with another SHA-256 and another
 * arithmetic, and shown to be right by the signature.
 */
#define _GNU_SOURCE
#include <ucontext.h>

#include "arithmetic.h"

/* What must not be left. */
enum { NEEDLES_MAX = 4096 };
static uint64_t needles[NEEDLES_MAX];
static const char *names[NEEDLES_MAX];
static size_t needles_len;

static void search_for(const char *name, const void *bytes, size_t len)
{
    size_t i;
    for (i = 0; i + 8 <= len; i++) {
        CHECK(needles_len < NEEDLES_MAX);
        memcpy(&needles[needles_len], (const uint8_t *)bytes + i, 8);
        names[needles_len++] = name;
    }
}

/* As bytes, as words, and in the limbs of 62 bits of an inversion. */
static void search_for_plain(const char *name, const number *a)
{
    uint8_t bytes[32];
    uint64_t limbs[4];
    int i;

    write(a, bytes);
    search_for(name, bytes, sizeof bytes);
    search_for(name, a->words, sizeof a->words);
    for (i = 0; i < 4; i++) {
        int at = 62 * i;
        uint64_t limb = a->words[at / 64] >> (at % 64);
        if (at % 64 > 2) {
            limb |= a->words[at / 64 + 1] << (64 - at % 64);
        }
        limbs[i] = limb & UINT64_MAX >> 2;
        search_for(name, &limbs[i], 8);
    }
}

/* Also in Montgomery form, and as a comb reads it: (a + 2^256 - 1)/2. */
static void search_for_number(const char *name, const number *a)
{
    static const number r = { { 0x0c46353d039cdaaf, 0x4319055258e8617b, 0, 0xffffffff } };
    number two = { { 2 } };
    number half = invert(&two);
    number minus_one = ORDER;
    number other;

    search_for_plain(name, a);
    other = multiply(a, &r);
    search_for_plain(name, &other);
    minus_one.words[0] -= 1;
    other = add(*a, &r);
    other = add(other, &minus_one);
    other = multiply(&other, &half);
    search_for_plain(name, &other);
}

/* Says what of it is in this memory. */
static const char *found_in(const void *memory, size_t len)
{
    const uint8_t *bytes = memory;
    size_t i;
    size_t j;

    for (i = 0; i + 8 <= len; i++) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        for (j = 0; j < needles_len; j++) {
            if (word == needles[j]) {
                return names[j];
            }
        }
    }
    return NULL;
}

#define DEPTH 131072
#define PAINT 0xA5
static _Alignas(64) uint8_t stack[DEPTH];
static ucontext_t here;
static ucontext_t there;
static int failures;

static void on_clean_stack(void (*call)(void))
{
    memset(stack, PAINT, sizeof stack);
    CHECK(getcontext(&there) == 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &here;
    makecontext(&there, call, 0);
    CHECK(swapcontext(&here, &there) == 0);
}

static const char *left_on_stack(size_t *depth)
{
    size_t untouched = 0;
    while (untouched < DEPTH && stack[untouched] == PAINT) {
        untouched++;
    }
    *depth = DEPTH - untouched;
    CHECK(untouched >= 65536);
    return found_in(stack + untouched, *depth);
}

static void report(const char *name, const char *where, const char *what)
{
    if (what != NULL) {
        printf("  %s: %s is left %s\n", name, what, where);
        failures++;
    }
}

/* The calls, their arguments and results. */
static imagxp_key key;
static imagxp_key made;
static imagxp_str text;
static int32_t format;
static uint8_t exported[260];
static imagxp_buf out;
static size_t needed;
static const uint8_t *hedge;
static uint32_t flags;
static uint8_t memory[IMAGXP_SIGNED_LEN];
static imagxp_claims claims;
static imagxp_signed headers;
static uint8_t public_key[124];
static imagxp_status status;

static void from_random(void) { status = imagxp_key_from_random(d_bytes, &made); }
static void from_text(void) { status = imagxp_key_from_text(text, &made); }
static void from_der(void) { status = imagxp_key_from_der(text, &made); }
static void go_out(void) { status = imagxp_key_export(&key, format, out, &needed); }
static void public_out(void) { status = imagxp_key_public(&key, format, out, &needed); }
static void wipe(void) { imagxp_key_wipe(&made); }
static void sign(void)
{
    static const uint8_t nonce[16] = { 1 };
    status = imagxp_request_sign(&key, &claims, nonce, hedge, flags, NOW, buf_of(memory, sizeof memory), &headers);
}

static void run(const char *name, void (*call)(void), imagxp_status expected)
{
    size_t depth;
    on_clean_stack(call);
    CHECK_STATUS(status, expected);
    report(name, "on the stack", left_on_stack(&depth));
    printf("  %-28s %5zu bytes of stack\n", name, depth);
}

static void keys(void)
{
    static const struct {
        int32_t format;
        const char *out;
        const char *in;
    } forms[] = {
        { IMAGXP_FORMAT_TEXT, "key to base64", "key from base64" },
        { IMAGXP_FORMAT_PEM, "key to PEM", "key from PEM" },
        { IMAGXP_FORMAT_DER, "key to DER", "key from DER" },
        { IMAGXP_FORMAT_JWK, "key to JWK", "key from JWK" },
    };
    static char copy[260];
    size_t i;

    run("key from random bytes", from_random, IMAGXP_OK);
    CHECK(memcmp(&made, &key, sizeof key) == 0);
    text = IMAGXP_STR("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    run("key from hex", from_text, IMAGXP_OK);
    text = IMAGXP_STR("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f672g");
    run("  refused", from_text, IMAGXP_PRIVKEY_INVALID);
    for (i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        int der = forms[i].format == IMAGXP_FORMAT_DER;
        format = forms[i].format;
        out = buf_of(exported, sizeof exported);
        run(forms[i].out, go_out, IMAGXP_OK);
        memcpy(copy, exported, needed);
        text = imagxp_str_of(copy, needed);
        run(forms[i].in, der ? from_der : from_text, IMAGXP_OK);
        CHECK(memcmp(&made, &key, sizeof key) == 0);
        /* A right key with a wrong public part, or a wrong text. */
        copy[needed - (format == IMAGXP_FORMAT_PEM ? 40 : format == IMAGXP_FORMAT_JWK ? 60 : 4)] ^= 1;
        run("  refused", der ? from_der : from_text, IMAGXP_PRIVKEY_INVALID);
        memset(exported, 0, sizeof exported);
        out.len = needed - 1;
        run("  no room", go_out, IMAGXP_BUFFER_TOO_SMALL);
        report(forms[i].out, "in the buffer that was too small", found_in(exported, sizeof exported));
        out.len = sizeof exported;
        run("  its public half", public_out, IMAGXP_OK);
    }
    status = IMAGXP_OK;
    run("wipe", wipe, IMAGXP_OK);
    report("wipe", "in the key", found_in(&made, sizeof made));
}

/* The secrets of a signature; and it is right, so they are. */
static void search_for_nonce(const uint8_t digest[32], const uint8_t signature[64], const uint8_t *extra, size_t extra_len)
{
    uint8_t k_bytes[32];
    uint8_t drawn_with[32];
    number d = read(d_bytes);
    number e = read(digest);
    number k, k_inverse, r, s, rd, sum, expected;

    if (!below(&e, &ORDER)) {
        minus(&e, &ORDER);
    }
    nonce_of(d_bytes, digest, extra, extra_len, k_bytes, drawn_with);
    k = read(k_bytes);
    k_inverse = invert(&k);
    r = read(signature);
    s = read(signature + 32);
    rd = multiply(&r, &d);
    sum = add(rd, &e);
    expected = multiply(&sum, &k_inverse);
    CHECK(memcmp(&expected, &s, sizeof s) == 0);

    search_for_number("k", &k);
    search_for_number("1/k", &k_inverse);
    search_for_number("r*d", &rd);
    search_for_number("e + r*d", &sum);
    search_for("the generator of k", drawn_with, sizeof drawn_with);
}

static void unhex(const char *hex, size_t len, uint8_t *bytes)
{
    size_t i;
    for (i = 0; i < len; i++) {
        unsigned byte = 0;
        CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        bytes[i] = (uint8_t)byte;
    }
}

/* 86 characters of base64url. */
static void unbase64(const char *text, uint8_t bytes[64])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    size_t i, at = 0;
    for (i = 0; i < 86; i++) {
        bits = bits << 6 | (uint32_t)(strchr(alphabet, text[i]) - alphabet);
        if (i % 4 > 0 && at < 64) {
            bytes[at++] = (uint8_t)(bits >> (6 - i % 4 * 2));
        }
    }
}

static void search_for_request(const uint8_t digest[32], const uint8_t *extra, size_t extra_len)
{
    uint8_t signature[64];
    sign();
    CHECK_STATUS(status, IMAGXP_OK);
    unhex(IMAGXP_TEXT(buf_of(memory, sizeof memory), headers.signature).ptr, sizeof signature, signature);
    search_for_nonce(digest, signature, extra, extra_len);
}

static void signatures(void)
{
    static const uint8_t random[32] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };
    static const uint8_t nonce[16] = { 1 };
    uint8_t digest[32];
    imagxp_signed prepared;

    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    IMAGXP_INIT(&prepared);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    CHECK_STATUS(imagxp_key_public(&key, IMAGXP_FORMAT_TEXT, buf_of(public_key, sizeof public_key), NULL), IMAGXP_OK);
    CHECK_STATUS(imagxp_request_prepare(imagxp_str_of((const char *)public_key, sizeof public_key), &claims, nonce, NOW,
                                        buf_of(memory, sizeof memory), &prepared, digest), IMAGXP_OK);
    search_for_request(digest, NULL, 0);
    hedge = random;
    search_for_request(digest, random, sizeof random);
    for (hedge = NULL;; hedge = random) {
        for (flags = 0; flags <= IMAGXP_SIGN_CHECK; flags += IMAGXP_SIGN_CHECK) {
            memset(memory, 0, sizeof memory);
            run(hedge == NULL ? flags ? "sign, checked" : "sign" : flags ? "sign hedged, checked" : "sign hedged", sign,
                IMAGXP_OK);
            report("sign", "in the buffer", found_in(memory, sizeof memory));
        }
        if (hedge != NULL) {
            break;
        }
    }
    headers.size = sizeof headers;
}

/* What else is signed: a response's origin, a checkpoint, feedback, a visa. */
static imagxp_provenance provenance;
static imagxp_feedback feedback;
static imagxp_visa visa;
static imagxp_head head;

static void sign_origin(void)
{
    status = imagxp_provenance_sign(&key, IMAGXP_ORIGIN_HUMAN, NULL, flags, NOW, buf_of(memory, sizeof memory), &provenance);
}

static void sign_checkpoint(void)
{
    memset(&head, 0, sizeof head);
    status = imagxp_evidence_checkpoint(&key, NULL, flags, NOW, &head, buf_of(memory, sizeof memory), &needed);
}

static void sign_feedback(void)
{
    status = imagxp_feedback_sign(&key, &feedback, NULL, flags, NOW, buf_of(memory, sizeof memory), &needed);
}

static void sign_visa(void)
{
    status = imagxp_visa_issue(&key, IMAGXP_STR("k"), &visa, NULL, flags, NOW, buf_of(memory, sizeof memory), &needed);
}

static void origin_digest(uint8_t digest[32], uint8_t signature[64])
{
    static const char text[] = "{\"origin\":\"HUMAN\",\"ts\":1769428800000}";
    sha256((const uint8_t *)text, sizeof text - 1, digest);
    unhex(IMAGXP_TEXT(buf_of(memory, sizeof memory), provenance.signature).ptr, 64, signature);
}

/* The line without its newline and its member `signature`. */
static void checkpoint_digest(uint8_t digest[32], uint8_t signature[64])
{
    static const char member[] = ",\"signature\":\"";
    char text[1024];
    char *at;
    memcpy(text, memory, needed - 1);
    text[needed - 1] = 0;
    at = strstr(text, member);
    CHECK(at != NULL);
    unhex(at + sizeof member - 1, 64, signature);
    memmove(at, at + sizeof member + 128, strlen(at + sizeof member + 128) + 1);
    sha256((const uint8_t *)text, strlen(text), digest);
}

static void token_digest(uint8_t digest[32], uint8_t signature[64])
{
    sha256(memory, needed - 87, digest);
    unbase64((const char *)memory + needed - 86, signature);
}

static void other_signatures(void)
{
    static const struct {
        const char *name;
        void (*call)(void);
        void (*digest)(uint8_t digest[32], uint8_t signature[64]);
    } calls[] = {
        { "provenance", sign_origin, origin_digest },
        { "checkpoint", sign_checkpoint, checkpoint_digest },
        { "feedback", sign_feedback, token_digest },
        { "visa", sign_visa, token_digest },
    };
    size_t i, before = needles_len;

    IMAGXP_INIT(&provenance);
    IMAGXP_INIT(&feedback);
    IMAGXP_INIT(&visa);
    feedback.agent_id = visa.agent_id = IMAGXP_STR(AGENT);
    feedback.audience = feedback.jti = feedback.url = visa.issuer = visa.audience = IMAGXP_STR("pub.example.com");
    feedback.reason = IMAGXP_REASON_HIGH_QUALITY;
    visa.public_key = imagxp_str_of((const char *)public_key, sizeof public_key);
    visa.amount_micros = 1;
    visa.lifetime_s = 60;
    for (i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        uint8_t digest[32], signature[64];
        flags = 0;
        calls[i].call();
        CHECK_STATUS(status, IMAGXP_OK);
        calls[i].digest(digest, signature);
        search_for_nonce(digest, signature, NULL, 0);
        for (flags = 0; flags <= IMAGXP_SIGN_CHECK; flags += IMAGXP_SIGN_CHECK) {
            memset(memory, 0, sizeof memory);
            run(calls[i].name, calls[i].call, IMAGXP_OK);
            report(calls[i].name, "in the buffer", found_in(memory, sizeof memory));
        }
        needles_len = before;
    }
}

/* A copy that is forgotten must be found. */
static volatile uint8_t sink;
static __attribute__((noinline)) void forgetful(void)
{
    volatile uint8_t copy[32];
    size_t i;
    for (i = 0; i < sizeof copy; i++) {
        copy[i] = ((const volatile uint8_t *)d_bytes)[i];
    }
    sink = copy[3];
}

static void search_for_text(void)
{
    size_t i;
    char hex[65];

    /* Whole characters of the scalar in base64 of PKCS#8; in a JWK it begins elsewhere. */
    CHECK_STATUS(imagxp_key_export(&key, IMAGXP_FORMAT_TEXT, buf_of(exported, sizeof exported), NULL), IMAGXP_OK);
    search_for("d in base64", exported + 48, 42);
    CHECK_STATUS(imagxp_key_export(&key, IMAGXP_FORMAT_JWK, buf_of(exported, sizeof exported), &needed), IMAGXP_OK);
    search_for("d in base64url", exported + needed - 45, 43);
    for (i = 0; i < 32; i++) {
        sprintf(hex + 2 * i, "%02x", d_bytes[i]);
    }
    search_for("d in hex", hex, 64);
    memset(exported, 0, sizeof exported);
}

int main(void)
{
    number d = read(d_bytes);
    size_t depth;

    a_known_nonce();
    CHECK_STATUS(imagxp_key_from_random(d_bytes, &key), IMAGXP_OK);
    search_for_number("d", &d);
    search_for_text();
    on_clean_stack(forgetful);
    CHECK(left_on_stack(&depth) != NULL);
    puts("  planted copy: found");
    keys();
    signatures();
    other_signatures();
    CHECK(found_in(&key, sizeof key) != NULL);
    imagxp_key_wipe(&key);
    report("wipe", "in the key", found_in(&key, sizeof key));
    return failures != 0;
}
