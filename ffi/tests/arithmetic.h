/*
 * SHA-256, HMAC, numbers modulo n and p, RFC 6979 and the blinding (docs/design-ec.md, "Signing") once more: by it a test
 * knows what the library must not leave behind.
 */
#ifndef ARITHMETIC_H
#define ARITHMETIC_H

#include "check.h"

/* The key of RFC 6979 A.2.5. */
static const uint8_t d_bytes[32] = {
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93,
    0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
};

/* Numbers below 2^256, least significant word first. */
typedef struct number {
    uint64_t words[4];
} number;

static const number ORDER = { { 0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000 } };
static const number FIELD = { { 0xffffffffffffffff, 0xffffffff, 0, 0xffffffff00000001 } };

static inline int below(const number *a, const number *b)
{
    int i;
    for (i = 3; i > 0 && a->words[i] == b->words[i]; i--) {
    }
    return a->words[i] < b->words[i];
}

static inline uint64_t plus(number *sum, const number *a)
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

static inline void minus(number *difference, const number *a)
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

static inline number add_modulo(number a, const number *b, const number *m)
{
    if (plus(&a, b) != 0 || !below(&a, m)) {
        minus(&a, m);
    }
    return a;
}

static inline int bit_of(const number *a, int i)
{
    return (int)(a->words[i / 64] >> (i % 64) & 1);
}

static inline number multiply_modulo(const number *a, const number *b, const number *m)
{
    number product = { { 0 } };
    int i;
    for (i = 255; i >= 0; i--) {
        product = add_modulo(product, &product, m);
        if (bit_of(b, i)) {
            product = add_modulo(product, a, m);
        }
    }
    return product;
}

/* Modulo n. */
static inline number add(number a, const number *b)
{
    return add_modulo(a, b, &ORDER);
}

static inline number multiply(const number *a, const number *b)
{
    return multiply_modulo(a, b, &ORDER);
}

/* a^(n-2) */
static inline number invert(const number *a)
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

static inline number number_of(const uint8_t bytes[32])
{
    number a = { { 0 } };
    int i;
    for (i = 0; i < 32; i++) {
        a.words[(31 - i) / 8] |= (uint64_t)bytes[i] << ((31 - i) % 8 * 8);
    }
    return a;
}

static inline void bytes_of(const number *a, uint8_t bytes[32])
{
    int i;
    for (i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(a->words[(31 - i) / 8] >> ((31 - i) % 8 * 8));
    }
}

/* FIPS 180-4, of messages of at most 4,087 bytes. */
static inline uint32_t turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

/* The first 32 bits of the fractional parts of the roots of the first primes: square (2) or cube (3). */
static inline uint32_t root_bits(unsigned prime, int power)
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

static inline void sha256(const uint8_t *message, size_t len, uint8_t digest[32])
{
    static uint32_t constants[64];
    static uint32_t first[8];
    uint8_t padded[4096] = { 0 };
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
    CHECK(len + 9 <= sizeof padded);
    memcpy(padded, message, len);
    padded[len] = 0x80;
    padded[64 * blocks - 3] = (uint8_t)(len >> 13);
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

static inline void hmac(const uint8_t secret[32], const uint8_t *message, size_t len, uint8_t mac[32])
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
static inline void nonce_of(const uint8_t d[32], const uint8_t digest[32], const uint8_t *extra, size_t extra_len,
                     uint8_t k[32], uint8_t drawn_with[32])
{
    uint8_t message[32 + 1 + 32 + 32 + 32];
    number reduced = number_of(digest);
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
        bytes_of(&reduced, message + 65);
        if (extra_len > 0) {
            memcpy(message + 97, extra, extra_len);
        }
        hmac(drawn_with, message, 97 + extra_len, drawn_with);
        hmac(drawn_with, k, 32, k);
    }
    hmac(drawn_with, k, 32, k);
}

/* What is drawn beside the nonce: HMAC(K, V || 2 || 0) for z, 1 for b, odd and below 2^255. */
static inline void blinding_of(const uint8_t k[32], const uint8_t drawn_with[32], uint8_t which, uint8_t factor[32])
{
    uint8_t message[34];

    memcpy(message, k, 32);
    message[32] = 2;
    message[33] = which;
    hmac(drawn_with, message, sizeof message, factor);
    factor[31] |= 1;
    factor[0] &= 0x7f;
}

/* A second implementation that is wrong would find nothing: RFC 6979 A.2.5, SHA-256, "sample". */
static inline void a_known_nonce(void)
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

#endif
