/*
 * What is left of a secret when a call has returned? Every call runs on a stack of its own, painted before; afterwards the
 * stack, the buffers and the key object are searched for any eight bytes of the private key d, of the nonce k, of 1/k, of
 * r*d and its like, and of what k was made from. The nonce is computed here once more, with another SHA-256 and another
 * arithmetic, and shown to be right by the signature.
 */
#define _GNU_SOURCE
#include <ucontext.h>

#include "check.h"

/* Numbers modulo n, least significant word first. */
typedef struct number {
    uint64_t words[4];
} number;

static const number ORDER = { { 0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000 } };

static int below(const number *a, const number *b)
{
    int i;
    for (i = 3; i > 0 && a->words[i] == b->words[i]; i--) {
    }
    return a->words[i] < b->words[i];
}

static uint64_t plus(number *sum, const number *a)
{
    uint64_t carry = 0;
    int i;
    for (i = 0; i < 4; i++) {
        uint64_t word = sum->words[i] + carry;
        carry = word < carry;
        word += a->words[i];
        carry += word < a->words[i];
        sum->words[i] = word;
    }
    return carry;
}

static void minus(number *difference, const number *a)
{
    uint64_t borrow = 0;
    int i;
    for (i = 0; i < 4; i++) {
        uint64_t word = difference->words[i] - a->words[i];
        uint64_t next = difference->words[i] < a->words[i];
        next += word < borrow;
        difference->words[i] = word - borrow;
        borrow = next;
    }
}

static number add(number a, const number *b)
{
    if (plus(&a, b) != 0 || !below(&a, &ORDER)) {
        minus(&a, &ORDER);
    }
    return a;
}

static int bit_of(const number *a, int i)
{
    return (int)(a->words[i / 64] >> (i % 64) & 1);
}

static number multiply(const number *a, const number *b)
{
    number product = { { 0 } };
    int i;
    for (i = 255; i >= 0; i--) {
        product = add(product, &product);
        if (bit_of(b, i)) {
            product = add(product, a);
        }
    }
    return product;
}

/* a^(n-2) */
static number invert(const number *a)
{
    number power = { { 1 } };
    number exponent = ORDER;
    int i;
    exponent.words[0] -= 2;
    for (i = 255; i >= 0; i--) {
        power = multiply(&power, &power);
        if (bit_of(&exponent, i)) {
            power = multiply(&power, a);
        }
    }
    return power;
}

static number read(const uint8_t bytes[32])
{
    number a = { { 0 } };
    int i;
    for (i = 0; i < 32; i++) {
        a.words[(31 - i) / 8] |= (uint64_t)bytes[i] << ((31 - i) % 8 * 8);
    }
    return a;
}

static void write(const number *a, uint8_t bytes[32])
{
    int i;
    for (i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(a->words[(31 - i) / 8] >> ((31 - i) % 8 * 8));
    }
}

/* FIPS 180-4, of messages of at most 247 bytes. */
static uint32_t turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

/* The first 32 bits of the fractional parts of the roots of the first primes: square (2) or cube (3). */
static uint32_t root_bits(unsigned prime, int power)
{
    /* The largest x with x^power <= prime * 2^(32 * power), found bit by bit; 36 bits suffice. */
    unsigned __int128 x = 0;
    int bit;
    for (bit = 36; bit >= 0; bit--) {
        unsigned __int128 y = x | (unsigned __int128)1 << bit;
        /* y^3 < 2^111, and prime * 2^96 < 2^105 */
        unsigned __int128 value = power == 2 ? y * y : y * y * y;
        if (value <= (unsigned __int128)prime << (32 * power)) {
            x = y;
        }
    }
    return (uint32_t)x;
}

static void sha256(const uint8_t *message, size_t len, uint8_t digest[32])
{
    static uint32_t constants[64];
    static uint32_t first[8];
    uint8_t padded[256] = { 0 };
    size_t blocks = (len + 9 + 63) / 64;
    uint32_t h[8];
    size_t block;
    size_t i;

    if (constants[0] == 0) {
        unsigned prime = 2;
        for (i = 0; i < 64; prime++) {
            unsigned divisor = 2;
            while (divisor * divisor <= prime && prime % divisor != 0) {
                divisor++;
            }
            if (divisor * divisor > prime) {
                if (i < 8) {
                    first[i] = root_bits(prime, 2);
                }
                constants[i++] = root_bits(prime, 3);
            }
        }
    }
    CHECK(len <= 247);
    memcpy(padded, message, len);
    padded[len] = 0x80;
    padded[64 * blocks - 2] = (uint8_t)(len >> 5);
    padded[64 * blocks - 1] = (uint8_t)(len << 3);
    memcpy(h, first, sizeof h);
    for (block = 0; block < blocks; block++) {
        uint32_t w[64];
        uint32_t v[8];
        for (i = 0; i < 16; i++) {
            const uint8_t *at = padded + 64 * block + 4 * i;
            w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        }
        for (; i < 64; i++) {
            uint32_t a = w[i - 15];
            uint32_t b = w[i - 2];
            w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
        }
        memcpy(v, h, sizeof v);
        for (i = 0; i < 64; i++) {
            uint32_t t1 = v[7] + (turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
                          constants[i] + w[i];
            uint32_t t2 = (turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22)) +
                          ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            memmove(v + 1, v, 7 * sizeof v[0]);
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (i = 0; i < 8; i++) {
            h[i] += v[i];
        }
    }
    for (i = 0; i < 32; i++) {
        digest[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
    }
}

static void hmac(const uint8_t secret[32], const uint8_t *message, size_t len, uint8_t mac[32])
{
    uint8_t block[247];
    uint8_t inner[32];
    size_t i;

    CHECK(64 + len <= sizeof block);
    for (i = 0; i < 64; i++) {
        block[i] = (uint8_t)((i < 32 ? secret[i] : 0) ^ 0x36);
    }
    memcpy(block + 64, message, len);
    sha256(block, 64 + len, inner);
    for (i = 0; i < 64; i++) {
        block[i] = (uint8_t)((i < 32 ? secret[i] : 0) ^ 0x5c);
    }
    memcpy(block + 64, inner, 32);
    sha256(block, 96, mac);
}

/* RFC 6979 section 3.2: the first candidate, which is the nonce but for one in 2^32, and the key that it is drawn with. */
static void nonce_of(const uint8_t d[32], const uint8_t digest[32], const uint8_t *extra, size_t extra_len,
                     uint8_t k[32], uint8_t drawn_with[32])
{
    uint8_t message[32 + 1 + 32 + 32 + 32];
    number reduced = read(digest);
    uint8_t separator;

    if (!below(&reduced, &ORDER)) {
        minus(&reduced, &ORDER);
    }
    memset(k, 1, 32);
    memset(drawn_with, 0, 32);
    for (separator = 0; separator < 2; separator++) {
        memcpy(message, k, 32);
        message[32] = separator;
        memcpy(message + 33, d, 32);
        write(&reduced, message + 65);
        if (extra_len > 0) {
            memcpy(message + 97, extra, extra_len);
        }
        hmac(drawn_with, message, 97 + extra_len, drawn_with);
        hmac(drawn_with, k, 32, k);
    }
    hmac(drawn_with, k, 32, k);
}

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
static const uint8_t d_bytes[32] = {
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93,
    0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
};
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

static number hex_number(const char *hex)
{
    number a = { { 0 } };
    int i;
    for (i = 0; i < 64; i++) {
        uint64_t digit = (uint64_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
        a.words[(63 - i) / 16] |= digit << ((63 - i) % 16 * 4);
    }
    return a;
}

/* The secrets of this signature; and it is right, so they are. */
static void search_for_nonce(const uint8_t digest[32], const uint8_t *extra, size_t extra_len)
{
    imagxp_str signature;
    uint8_t k_bytes[32];
    uint8_t drawn_with[32];
    number d = read(d_bytes);
    number e = read(digest);
    number k, k_inverse, r, s, rd, sum, expected;

    if (!below(&e, &ORDER)) {
        minus(&e, &ORDER);
    }
    nonce_of(d_bytes, digest, extra, extra_len, k_bytes, drawn_with);
    sign();
    CHECK_STATUS(status, IMAGXP_OK);
    signature = IMAGXP_TEXT(buf_of(memory, sizeof memory), headers.signature);
    k = read(k_bytes);
    k_inverse = invert(&k);
    r = hex_number(signature.ptr);
    s = hex_number(signature.ptr + 64);
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

static void signatures(void)
{
    static const uint8_t random[32] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };
    static const uint8_t nonce[16] = { 1 };
    uint8_t public_key[124];
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
    search_for_nonce(digest, NULL, 0);
    hedge = random;
    search_for_nonce(digest, random, sizeof random);
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

/* A second implementation that is wrong would find nothing: RFC 6979 A.2.5, SHA-256, "sample". */
static void a_known_nonce(void)
{
    static const uint8_t expected[32] = {
        0xa6, 0xe3, 0xc5, 0x7d, 0xd0, 0x1a, 0xbe, 0x90, 0x08, 0x65, 0x38, 0x39, 0x83, 0x55, 0xdd, 0x4c,
        0x3b, 0x17, 0xaa, 0x87, 0x33, 0x82, 0xb0, 0xf2, 0x4d, 0x61, 0x29, 0x49, 0x3d, 0x8a, 0xad, 0x60,
    };
    uint8_t digest[32];
    uint8_t k[32];
    uint8_t drawn_with[32];

    sha256((const uint8_t *)"sample", 6, digest);
    nonce_of(d_bytes, digest, NULL, 0, k, drawn_with);
    CHECK(memcmp(k, expected, sizeof k) == 0);
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
    CHECK(found_in(&key, sizeof key) != NULL);
    imagxp_key_wipe(&key);
    report("wipe", "in the key", found_in(&key, sizeof key));
    return failures != 0;
}
