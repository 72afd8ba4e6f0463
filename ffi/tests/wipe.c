/*
 * What is left of a secret when a call has returned? Every call runs on a stack of its own, painted before; afterwards the
 * stack, the buffers and the key object are searched for any eight bytes of the private key d, of the nonce k, of 1/k, of
 * r*d and its like, of what k was made from, and of the factors that blind them. All are computed here once more, with
 * another SHA-256 and another arithmetic; the nonce is shown to be right by the signature, the factors, which cancel out
 * of it, by being seen in the processor's registers while the library signs.
 */
#define _GNU_SOURCE
#include <ucontext.h>

#include "needles.h"
#include "watch.h"

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

/* b and z: what is computed is b times what it was, and the comb's sum begins with powers of z. */
static uint8_t b_bytes[32];
static uint8_t z_bytes[32];

static void search_for_blinding(const uint8_t k_bytes[32], const uint8_t drawn_with[32], const number *e, const number *r)
{
    number d = number_of(d_bytes);
    number k = number_of(k_bytes);
    number b, bd, bk, bk_inverse, be, rbd, sum;

    blinding_of(k_bytes, drawn_with, 0, z_bytes);
    blinding_of(k_bytes, drawn_with, 1, b_bytes);
    b = number_of(b_bytes);
    bd = multiply(&b, &d);
    bk = multiply(&b, &k);
    bk_inverse = invert(&bk);
    be = multiply(&b, e);
    rbd = multiply(r, &bd);
    sum = add(rbd, &be);
    search_for("b", b_bytes, sizeof b_bytes);
    search_for_number("b", &b);
    search_for_number("b*d", &bd);
    search_for_number("b*k", &bk);
    search_for_number("1/(b*k)", &bk_inverse);
    search_for_number("b*e", &be);
    search_for_number("r*b*d", &rbd);
    search_for_number("b*e + r*b*d", &sum);
    search_for_coordinates(z_bytes);
}

/* The secrets of a signature; and it is right, so they are. */
static void search_for_nonce(const uint8_t digest[32], const uint8_t signature[64], const uint8_t *extra)
{
    uint8_t k_bytes[32];
    uint8_t drawn_with[32];
    number d = number_of(d_bytes);
    number e = number_of(digest);
    number k, k_inverse, r, s, rd, sum, expected;

    if (!below(&e, &ORDER)) {
        minus(&e, &ORDER);
    }
    nonce_of(d_bytes, digest, extra, extra != NULL ? 32 : 0, k_bytes, drawn_with);
    k = number_of(k_bytes);
    k_inverse = invert(&k);
    r = number_of(signature);
    s = number_of(signature + 32);
    rd = multiply(&r, &d);
    sum = add(rd, &e);
    expected = multiply(&sum, &k_inverse);
    CHECK(memcmp(&expected, &s, sizeof s) == 0);

    search_for_number("k", &k);
    search_for_number("1/k", &k_inverse);
    search_for_number("r*d", &rd);
    search_for_number("e + r*d", &sum);
    search_for("the generator of k", drawn_with, sizeof drawn_with);
    if (extra != NULL) {
        search_for_blinding(k_bytes, drawn_with, &e, &r);
    }
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

/* 32 bytes of the caller's, which hedge the nonce and blind what is computed. */
static const uint8_t fresh[32] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };

static void search_for_request(const uint8_t digest[32])
{
    uint8_t signature[64];
    sign();
    CHECK_STATUS(status, IMAGXP_OK);
    unhex(IMAGXP_TEXT(buf_of(memory, sizeof memory), headers.signature).ptr, sizeof signature, signature);
    search_for_nonce(digest, signature, hedge);
}

/* Each secret passes through the registers: what is searched for is what the library computes with. */
static void sign_watched(void)
{
    static const char *secrets[] = { "b", "z", "b*d", "b*k", "1/(b*k)", "b*e", "r*b*d", "b*e + r*b*d", "k" };
    size_t i;

    if (!WATCHES) {
        return;
    }
    watch_begin();
    sign();
    watch_end();
    for (i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (!was_seen(secrets[i])) {
            printf("  %s is not what the library computes with\n", secrets[i]);
            failures++;
        }
    }
    printf("  watched: %lu steps\n", watched_steps);
}

static void signatures(void)
{
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
    search_for_request(digest);
    hedge = fresh;
    search_for_request(digest);
    sign_watched();
    for (hedge = NULL;; hedge = fresh) {
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
    status = imagxp_provenance_sign(&key, IMAGXP_ORIGIN_HUMAN, hedge, flags, NOW, buf_of(memory, sizeof memory), &provenance);
}

static void sign_checkpoint(void)
{
    memset(&head, 0, sizeof head);
    status = imagxp_evidence_checkpoint(&key, hedge, flags, NOW, &head, buf_of(memory, sizeof memory), &needed);
}

static void sign_feedback(void)
{
    status = imagxp_feedback_sign(&key, &feedback, hedge, flags, NOW, buf_of(memory, sizeof memory), &needed);
}

static void sign_visa(void)
{
    status = imagxp_visa_issue(&key, IMAGXP_STR("k"), &visa, hedge, flags, NOW, buf_of(memory, sizeof memory), &needed);
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
    for (i = 0; i < 2 * sizeof calls / sizeof calls[0]; i++) {
        uint8_t digest[32], signature[64];
        char name[32];
        hedge = i % 2 == 0 ? NULL : fresh;
        flags = 0;
        calls[i / 2].call();
        CHECK_STATUS(status, IMAGXP_OK);
        calls[i / 2].digest(digest, signature);
        search_for_nonce(digest, signature, hedge);
        for (flags = 0; flags <= IMAGXP_SIGN_CHECK; flags += IMAGXP_SIGN_CHECK) {
            sprintf(name, "%s%s%s", calls[i / 2].name, hedge != NULL ? ", hedged" : "", flags != 0 ? ", checked" : "");
            memset(memory, 0, sizeof memory);
            run(name, calls[i / 2].call, IMAGXP_OK);
            report(name, "in the buffer", found_in(memory, sizeof memory));
        }
        needles_len = before;
    }
}

/* A copy that is forgotten must be found. */
static volatile uint8_t sink;
static const uint8_t *planted;
static __attribute__((noinline)) void forgetful(void)
{
    volatile uint8_t copy[32];
    size_t i;
    for (i = 0; i < sizeof copy; i++) {
        copy[i] = ((const volatile uint8_t *)planted)[i];
    }
    sink = copy[3];
}

static void plant(const char *name, const uint8_t secret[32])
{
    const char *found;
    size_t depth;

    planted = secret;
    on_clean_stack(forgetful);
    found = left_on_stack(&depth);
    CHECK(found != NULL && strcmp(found, name) == 0);
    printf("  planted copy of %s: found\n", name);
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
    number d = number_of(d_bytes);

    a_known_nonce();
    CHECK_STATUS(imagxp_key_from_random(d_bytes, &key), IMAGXP_OK);
    search_for_number("d", &d);
    search_for_text();
    plant("d", d_bytes);
    keys();
    signatures();
    plant("b", b_bytes);
    plant("z", z_bytes);
    other_signatures();
    CHECK(found_in(&key, sizeof key) != NULL);
    imagxp_key_wipe(&key);
    report("wipe", "in the key", found_in(&key, sizeof key));
    return failures != 0;
}
