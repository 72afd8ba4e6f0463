/*
 * The loop of nginx: workers that were forked, phase handlers that are called again, one replay cache in shared memory
 * under one lock that is held for `admit` only. A key cache is a worker's own; the documents are shared, so that what
 * one worker fetched costs the others a memory read.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"

#define WORKERS 4
#define REQUESTS 64
#define DECLINED 0
#define AGAIN 1

/* What the master maps before it forks. */
static struct zone {
    pthread_mutex_t lock;
    uint64_t replay_words[IMAGXP_REPLAY_CACHE_WORDS(1024)];
    int admitted[REQUESTS];
    pthread_mutex_t documents_lock;
    size_t document_len;
    char document[1024];
    int fetches;
} *zone;

static uint64_t policy_words[IMAGXP_POLICY_WORDS];
static uint64_t key_words[IMAGXP_KEY_CACHE_WORDS(64, 1, 4, 8)];
static imagxp_key_cache keys = IMAGXP_VIEW(key_words);

/* A request's context: what survives from one call of the handler to the next. */
typedef struct context {
    uint8_t memory[2048];
    imagxp_verified verified;
    imagxp_answer answer;
    int fetching;
    imagxp_status status;
} context;

static int handler(context *ctx, const imagxp_visit *visit)
{
    imagxp_buf scratch = buf_of(ctx->memory, sizeof ctx->memory);
    imagxp_replay_cache replay = IMAGXP_VIEW(zone->replay_words);

    if (ctx->fetching) {
        ctx->fetching = 0;
        ctx->status = imagxp_key_cache_supply(&keys, &ctx->verified.need, scratch, ctx->answer, NOW);
        if (ctx->status != IMAGXP_OK) return DECLINED;
    }
    ctx->status = imagxp_request_verify(visit, IMAGXP_POLICY(policy_words), &keys, NOW, scratch, &ctx->verified);
    if (ctx->status == IMAGXP_NEED) {
        ctx->fetching = 1;
        return AGAIN;
    }
    if (ctx->status == IMAGXP_VERIFIED) {
        CHECK(pthread_mutex_lock(&zone->lock) == 0);
        ctx->status = imagxp_request_admit(&ctx->verified, scratch, &replay, NOW);
        CHECK(pthread_mutex_unlock(&zone->lock) == 0);
    }
    return DECLINED;
}

/* The subrequest: proxy_cache with proxy_cache_lock, in short. */
static void subrequest(context *ctx, const world *w)
{
    CHECK(pthread_mutex_lock(&zone->documents_lock) == 0);
    if (zone->document_len == 0) {
        zone->fetches++;
        memcpy(zone->document, w->manifest, w->manifest_len);
        zone->document_len = w->manifest_len;
    }
    ctx->answer.kind = IMAGXP_FOUND;
    ctx->answer.max_age_s = -1;
    ctx->answer.body = imagxp_str_of(zone->document, zone->document_len);
    CHECK(pthread_mutex_unlock(&zone->documents_lock) == 0);
}

static void work(world *w)
{
    unsigned number;

    for (number = 0; number < REQUESTS; number++) {
        static context ctx;
        memset(&ctx, 0, sizeof ctx);
        IMAGXP_INIT(&ctx.verified);
        world_sign(w, number);
        while (handler(&ctx, &w->visit) == AGAIN) subrequest(&ctx, w);
        if (ctx.status == IMAGXP_OK) {
            __atomic_add_fetch(&zone->admitted[number], 1, __ATOMIC_SEQ_CST);
            if (ctx.verified.prepare != 0) imagxp_key_cache_prepare(&keys, ctx.verified.prepare, NOW);
        } else {
            CHECK_STATUS(ctx.status, IMAGXP_REPLAY_DETECTED);
        }
    }
}

static void lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(lock, &shared);
}

int main(void)
{
    static world w;
    uint8_t seed[32] = { 1 };
    imagxp_key_cache_sizes sizes = { 64, 1, 4, 8 };
    imagxp_replay_cache replay;
    int number, worker;

    zone = mmap(NULL, sizeof *zone, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(zone != MAP_FAILED);
    lock_init(&zone->lock);
    lock_init(&zone->documents_lock);
    world_make(&w);
    replay.words = zone->replay_words;
    replay.len = sizeof zone->replay_words / sizeof zone->replay_words[0];
    CHECK_STATUS(imagxp_replay_cache_new(&replay, seed, 0), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_cache_new(&keys, sizes, seed), IMAGXP_OK);
    CHECK_STATUS(imagxp_policy_parse(IMAGXP_STR("{\"allowRAG\":true}"), policy_words, IMAGXP_POLICY_WORDS), IMAGXP_OK);
    for (worker = 0; worker < WORKERS; worker++) {
        if (fork() == 0) {
            work(&w);
            _exit(0);
        }
    }
    for (worker = 0; worker < WORKERS; worker++) {
        int status;
        CHECK(wait(&status) > 0 && status == 0);
    }
    for (number = 0; number < REQUESTS; number++) CHECK(zone->admitted[number] == 1);
    CHECK(zone->fetches == 1);
    return 0;
}
