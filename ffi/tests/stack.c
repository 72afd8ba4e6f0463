/* How deep each call goes: on a stack that was painted before. No more than 16 KiB (threats.md section 6). */
#define _GNU_SOURCE
#include <pthread.h>

#include "check.h"

#define DEPTH 65536
#define LIMIT 16384

static _Alignas(4096) uint8_t stack[DEPTH];
static uint64_t policy_words[IMAGXP_POLICY_WORDS];
static uint64_t key_words[IMAGXP_KEY_CACHE_WORDS(16, 1, 2, 8)];
static uint64_t replay_words[IMAGXP_REPLAY_CACHE_WORDS(64)];
static imagxp_key_cache keys = IMAGXP_VIEW(key_words);
static imagxp_replay_cache replay = IMAGXP_VIEW(replay_words);
static uint8_t memory[IMAGXP_SCRATCH_LEN];
static imagxp_verified verified;
static world w;
static imagxp_status status;

static void *nothing(void *arg) { return arg; }
static void *policy(void *arg)
{
    status = imagxp_policy_parse(IMAGXP_STR("{\"allowRAG\":true}"), policy_words, IMAGXP_POLICY_WORDS);
    return arg;
}
static void *verify(void *arg)
{
    status = imagxp_request_verify(&w.visit, IMAGXP_POLICY(policy_words), &keys, NOW, buf_of(memory, sizeof memory),
                                   &verified);
    return arg;
}
static void *supply(void *arg)
{
    status = imagxp_key_cache_supply(&keys, &verified.need, buf_of(memory, sizeof memory), world_get(&w), NOW);
    return arg;
}
static void *prepare(void *arg)
{
    status = imagxp_key_cache_prepare(&keys, verified.key, NOW);
    return arg;
}
static void *admit(void *arg)
{
    status = imagxp_request_admit(&verified, buf_of(memory, sizeof memory), &replay, NOW);
    return arg;
}
static void *sign(void *arg)
{
    world_sign(&w, 1);
    return arg;
}

static size_t depth(void *(*call)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    size_t untouched = 0;

    memset(stack, 0xA5, sizeof stack);
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstack(&attributes, stack, sizeof stack) == 0);
    CHECK(pthread_create(&thread, &attributes, call, NULL) == 0);
    pthread_join(thread, NULL);
    while (stack[untouched] == 0xA5) untouched++;
    return DEPTH - untouched;
}

#define MEASURE(call, expected)                                                                    \
    do {                                                                                           \
        size_t deep = depth(call) - depth(nothing);                                                \
        printf("  stack of %s: %u bytes\n", #call, (unsigned)deep);                                \
        CHECK_STATUS(status, expected);                                                            \
        CHECK(deep <= LIMIT);                                                                      \
    } while (0)

int main(void)
{
    uint8_t seed[32] = { 1 };
    imagxp_key_cache_sizes sizes = { 16, 1, 2, 8 };

    world_make(&w);
    CHECK_STATUS(imagxp_key_cache_new(&keys, sizes, seed), IMAGXP_OK);
    CHECK_STATUS(imagxp_replay_cache_new(&replay, seed, 0), IMAGXP_OK);
    IMAGXP_INIT(&verified);
    MEASURE(policy, IMAGXP_OK);
    MEASURE(verify, IMAGXP_NEED);
    MEASURE(supply, IMAGXP_OK);
    MEASURE(verify, IMAGXP_VERIFIED);
    MEASURE(prepare, IMAGXP_OK);
    MEASURE(verify, IMAGXP_VERIFIED);
    MEASURE(admit, IMAGXP_OK);
    MEASURE(sign, IMAGXP_OK);
    return 0;
}
