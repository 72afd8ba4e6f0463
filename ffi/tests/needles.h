/* What must not be left in memory: numbers, in each form that the library has them in. */
#ifndef NEEDLES_H
#define NEEDLES_H

#include "arithmetic.h"

enum { NEEDLES_MAX = 8192 };
static uint64_t needles[NEEDLES_MAX];
static const char *names[NEEDLES_MAX];
static size_t needles_len;

static inline void search_for(const char *name, const void *bytes, size_t len)
{
    size_t i;
    for (i = 0; i + 8 <= len; i++) {
        CHECK(needles_len < NEEDLES_MAX);
        memcpy(&needles[needles_len], (const uint8_t *)bytes + i, 8);
        names[needles_len++] = name;
    }
}

/* As bytes, as words, and in the limbs of 62 bits of an inversion. */
static inline void search_for_plain(const char *name, const number *a)
{
    uint8_t bytes[32];
    uint64_t limbs[4];
    int i;

    bytes_of(a, bytes);
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
static inline void search_for_number(const char *name, const number *a)
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

/* z and its powers, as the field has them: in Montgomery form modulo p. */
static inline void search_for_coordinates(const uint8_t z_bytes[32])
{
    static const number r = { { 1, 0xffffffff00000000, 0xffffffffffffffff, 0xfffffffe } };
    number z = number_of(z_bytes);
    number power = multiply_modulo(&z, &r, &FIELD);
    int i;

    search_for("z", z_bytes, 32);
    search_for_plain("z", &z);
    for (i = 1; i <= 3; i++) {
        search_for_plain(i == 1 ? "z" : i == 2 ? "z^2" : "z^3", &power);
        power = multiply_modulo(&power, &z, &FIELD);
    }
}

/* Says what of it is in this memory. */
static inline const char *found_in(const void *memory, size_t len)
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

#endif
