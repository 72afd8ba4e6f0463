/*
 * Does it take longer with one key than with others? For each call two kinds of keys, one fixed and many random, are used in
 * an order that is drawn by lot, and the two means are compared by Welch's t-test (O. Reparaz, J. Balasch, I. Verbauwhede,
 * "Dude, is my code constant time?", 2017). Keys that make short work of careless arithmetic are taken as the fixed one.
 *
 * A busy machine makes noise, and a fault of the machine can look like a leak for a while. A leak is there every time: so
 * a call fails when every round shows it, and the planted leak is found when every round shows it. One calm round clears.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <time.h>

#include "check.h"

#define RANDOM_KEYS 256
#define SAMPLES 24000
#define ROUNDS 6
/* Of |t|, and all rounds must show it. The paper's "definitely"; some 0.03 % of the time of a signature. */
#define LEAK 10

static imagxp_key keys[RANDOM_KEYS];
static uint8_t scalars[RANDOM_KEYS][32];
static imagxp_key fixed_key;
static uint8_t fixed_scalar[32];

/* What is called, always from the same memory. */
static imagxp_key key;
static uint8_t scalar[32];
static uint8_t text[184];
static uint8_t memory[IMAGXP_SIGNED_LEN];
static imagxp_claims claims;
static imagxp_signed headers;

static uint64_t state = 0x9e3779b97f4a7c15;

/* xorshift64*, which is enough to draw lots. */
static uint64_t draw(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

static double now(void)
{
#if defined(__x86_64__)
    uint32_t low;
    uint32_t high;
    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high)::"memory");
    return (double)((uint64_t)high << 32 | low);
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks)::"memory");
    return (double)ticks;
#else
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
#endif
}

static void sign(void)
{
    static const uint8_t nonce[16] = { 1 };
    CHECK_STATUS(imagxp_request_sign(&key, &claims, nonce, NULL, 0, NOW, buf_of(memory, sizeof memory), &headers), IMAGXP_OK);
}

static void key_in(void)
{
    imagxp_key made;
    CHECK_STATUS(imagxp_key_from_random(scalar, &made), IMAGXP_OK);
}

static void text_out(void)
{
    CHECK_STATUS(imagxp_key_export(&key, IMAGXP_FORMAT_TEXT, buf_of(memory, sizeof memory), NULL), IMAGXP_OK);
}

static void text_in(void)
{
    imagxp_key made;
    CHECK_STATUS(imagxp_key_from_text(imagxp_str_of((const char *)text, sizeof text), &made), IMAGXP_OK);
}

/* A signature, and after it two multiplications for each bit of the key that is set: a few per cent of the time. */
static volatile uint64_t sink = 3;
static void sign_and_leak(void)
{
    size_t i;
    int bit;

    sign();
    for (i = 0; i < sizeof scalar; i++) {
        for (bit = 0; bit < 8; bit++) {
            if (scalar[i] >> bit & 1) {
                sink = sink * sink;
                sink = sink * sink;
            }
        }
    }
}

static void take(const imagxp_key *from, const uint8_t *from_scalar)
{
    memcpy(&key, from, sizeof key);
    memcpy(scalar, from_scalar, sizeof scalar);
    CHECK_STATUS(imagxp_key_export(&key, IMAGXP_FORMAT_TEXT, buf_of(text, sizeof text), NULL), IMAGXP_OK);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Welch's t of the samples below `limit`. */
static double welch(const double *times, const uint8_t *kinds, double limit)
{
    double n[2] = { 0, 0 };
    double mean[2] = { 0, 0 };
    double squares[2] = { 0, 0 };
    size_t i;

    for (i = 0; i < SAMPLES; i++) {
        int kind = kinds[i];
        double off = times[i] - mean[kind];
        if (times[i] <= limit) {
            n[kind] += 1;
            mean[kind] += off / n[kind];
            squares[kind] += off * (times[i] - mean[kind]);
        }
    }
    if (n[0] < 100 || n[1] < 100) {
        return 0;
    }
    return (mean[0] - mean[1]) /
           sqrt(squares[0] / (n[0] - 1) / n[0] + squares[1] / (n[1] - 1) / n[1] + 1e-9);
}

/* The largest |t| of one round: of all samples but the slowest, with several ideas of what the slowest are. */
static double one_round(void (*call)(void))
{
    static const double parts[] = { 0.25, 0.5, 0.75, 0.9, 0.95 };
    static double times[SAMPLES];
    static double sorted[SAMPLES];
    static uint8_t kinds[SAMPLES];
    double largest = 0;
    size_t i;

    for (i = 0; i < SAMPLES; i++) {
        uint64_t lot = draw();
        size_t which = (size_t)(lot >> 8) % RANDOM_KEYS;
        double begun;

        kinds[i] = (uint8_t)(lot & 1);
        take(kinds[i] ? &keys[which] : &fixed_key, kinds[i] ? scalars[which] : fixed_scalar);
        begun = now();
        call();
        times[i] = now() - begun;
    }
    memcpy(sorted, times, sizeof times);
    qsort(sorted, SAMPLES, sizeof sorted[0], ascending);
    for (i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        double t = fabs(welch(times, kinds, sorted[(size_t)(parts[i] * SAMPLES)]));
        largest = t > largest ? t : largest;
    }
    return largest;
}

/* Whether every round shows a leak. */
static int leaks(const char *name, void (*call)(void), int rounds)
{
    double t = 0;
    int i;

    printf("  %-30s |t|", name);
    for (i = 0; i < rounds; i++) {
        t = one_round(call);
        printf(" %.1f", t);
        fflush(stdout);
        if (t < LEAK) {
            break;
        }
    }
    puts(t < LEAK ? "" : "  every round");
    return t >= LEAK;
}

static void fix(const char *hex)
{
    size_t i;
    CHECK_STATUS(imagxp_key_from_text(imagxp_str_of(hex, 64), &fixed_key), IMAGXP_OK);
    for (i = 0; i < 32; i++) {
        unsigned byte;
        CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        fixed_scalar[i] = (uint8_t)byte;
    }
}

int main(void)
{
    static const struct {
        const char *name;
        const char *hex;
    } fixed[] = {
        { "1", "0000000000000000000000000000000000000000000000000000000000000001" },
        { "n - 1", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550" },
        { "any", "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721" },
    };
    int failures = 0;
    size_t i;

    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    state ^= (uint64_t)time(NULL) << 20;
    for (i = 0; i < RANDOM_KEYS; i++) {
        size_t j;
        for (j = 0; j < 32; j++) {
            scalars[i][j] = (uint8_t)(draw() >> 32);
        }
        scalars[i][0] &= 0x7f;
        CHECK_STATUS(imagxp_key_from_random(scalars[i], &keys[i]), IMAGXP_OK);
    }
    fix(fixed[0].hex);
    for (i = 0; i < 5 && !leaks("planted leak", sign_and_leak, 3); i++) {
    }
    if (i == 5) {
        puts("  the planted leak was not found: this machine is too noisy to tell anything");
        return 1;
    }
    for (i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        printf("the fixed scalar is %s\n", fixed[i].name);
        fix(fixed[i].hex);
        failures += leaks("signing", sign, ROUNDS);
        failures += leaks("key in", key_in, ROUNDS);
        failures += leaks("text in", text_in, ROUNDS);
        failures += leaks("text out", text_out, ROUNDS);
    }
    return failures != 0;
}
