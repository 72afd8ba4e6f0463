/*
 * Every entry point with memory that is exactly as large as it says: a page that nobody may touch lies before it, and
 * another behind it. Then with what the contract forbids and C programs do all the same: NULL, lengths of nonsense, memory
 * that overlaps, is misaligned, was never made, or was damaged since. A status comes back, and nothing else has happened.
 */
#ifndef WALLS_H
#define WALLS_H

#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

/* ---- memory with a wall at both ends ---- */

enum side { START, END };
static enum side side;
static struct { void *map; size_t len; } walls[512];
static size_t walls_len;

static inline void *fenced(const void *bytes, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inner = (len + page - 1) / page * page;
    uint8_t *map = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *place;

    CHECK(map != MAP_FAILED);
    CHECK(inner == 0 || mprotect(map + page, inner, PROT_READ | PROT_WRITE) == 0);
    walls[walls_len].map = map;
    walls[walls_len++].len = inner + 2 * page;
    CHECK(walls_len < sizeof walls / sizeof walls[0]);
    place = side == START ? map + page : map + page + inner - len;
    if (bytes != NULL) memcpy(place, bytes, len);
    return place;
}

static inline void tear_down(void)
{
    while (walls_len > 0) {
        walls_len--;
        munmap(walls[walls_len].map, walls[walls_len].len);
    }
}

static inline imagxp_str fenced_str(imagxp_str text)
{
    return imagxp_str_of(fenced(text.ptr, text.len), text.len);
}

static inline imagxp_buf fenced_buf(size_t len)
{
    return buf_of(fenced(NULL, len), len);
}

/* ---- a world of which each part stands between walls ---- */

#define KEY_WORDS IMAGXP_KEY_CACHE_WORDS(8, 1, 1, 2)
#define REPLAY_WORDS IMAGXP_REPLAY_CACHE_WORDS(16)
#define POLICY "{\"allowRAG\":true,\"price\":0.5,\"monetization\":{\"paymentConfig\":{\"jwksUrl\":" \
               "\"https://broker.example.com/jwks\",\"issuer\":\"broker\"}}}"
#define JWKS "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"1\"," \
             "\"x\":\"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y\"," \
             "\"y\":\"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk\"}]}"

#define POLICY_OF(s) IMAGXP_POLICY((s).policy_words)

static world w;
static const imagxp_key_cache_sizes sizes = { 8, 1, 1, 2 };

typedef struct site {
    uint64_t *policy_words;
    imagxp_key_cache *keys;
    imagxp_replay_cache *replay;
    imagxp_visit *visit;
    imagxp_buf scratch;
    imagxp_verified *verified;
} site;

static inline void *fenced_view(size_t words)
{
    imagxp_key_cache view;
    view.words = fenced(NULL, words * sizeof(uint64_t));
    view.len = words;
    return fenced(&view, sizeof view);
}

static inline imagxp_visit *fenced_visit(const imagxp_visit *from)
{
    imagxp_visit *visit = fenced(from, sizeof *from);
    imagxp_header *headers = fenced(from->headers, from->headers_len * sizeof *headers);
    size_t i;

    for (i = 0; i < from->headers_len; i++) {
        headers[i].name = fenced_str(headers[i].name);
        headers[i].value = fenced_str(headers[i].value);
    }
    visit->headers = headers;
    visit->method = fenced_str(visit->method);
    visit->scheme = fenced_str(visit->scheme);
    visit->authority = fenced_str(visit->authority);
    visit->target = fenced_str(visit->target);
    return visit;
}

static inline site make_site(void)
{
    uint8_t *seed = fenced(NULL, 32);
    imagxp_verified verified;
    site s;

    s.policy_words = fenced(NULL, IMAGXP_POLICY_WORDS * sizeof(uint64_t));
    CHECK_STATUS(imagxp_policy_parse(fenced_str(IMAGXP_STR(POLICY)), s.policy_words, IMAGXP_POLICY_WORDS), IMAGXP_OK);
    s.keys = fenced_view(KEY_WORDS);
    CHECK_STATUS(imagxp_key_cache_new(s.keys, sizes, seed), IMAGXP_OK);
    s.replay = fenced_view(REPLAY_WORDS);
    CHECK_STATUS(imagxp_replay_cache_new(s.replay, seed, 0), IMAGXP_OK);
    s.visit = fenced_visit(&w.visit);
    s.visit->vouched = IMAGXP_VOUCHED_WHITELISTED;
    s.scratch = fenced_buf(2048);
    IMAGXP_INIT(&verified);
    s.verified = fenced(&verified, sizeof verified);
    return s;
}

static inline imagxp_status verify(const site *s)
{
    return imagxp_request_verify(s->visit, IMAGXP_POLICY(s->policy_words), s->keys, NOW, s->scratch, s->verified);
}

static inline imagxp_answer fenced_answer(imagxp_str body)
{
    imagxp_answer answer;
    answer.kind = IMAGXP_FOUND;
    answer.max_age_s = 60;
    answer.body = fenced_str(body);
    return answer;
}

/* ---- what is right, with nothing to spare ---- */

static inline imagxp_str public_text(void)
{
    uint8_t *text = fenced(NULL, 124);
    CHECK_STATUS(imagxp_key_public(&w.key, IMAGXP_FORMAT_TEXT, buf_of(text, 124), NULL), IMAGXP_OK);
    return imagxp_str_of((const char *)text, 124);
}

/* Calls once to learn the length, then with exactly that between walls, and with one byte less. */
#define WRITES(needed, call)                                                                       \
    do {                                                                                           \
        imagxp_buf out = buf_of(NULL, 0);                                                          \
        CHECK_STATUS(call, IMAGXP_BUFFER_TOO_SMALL);                                               \
        out = fenced_buf(needed - 1);                                                              \
        CHECK_STATUS(call, IMAGXP_BUFFER_TOO_SMALL);                                               \
        CHECK(is_zero(out.ptr, out.len));                                                          \
        out = fenced_buf(needed);                                                                  \
        CHECK_STATUS(call, IMAGXP_OK);                                                             \
    } while (0)

static inline int is_zero(const uint8_t *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] == 0) len--;
    return len == 0;
}

/* ---- misuse ---- */

#define HUGE ((size_t)-1 / 2 + 2)

/* Expects a status, and that the outputs are as they were. */
#define REFUSED(call, expected)                                                                    \
    do {                                                                                           \
        memset(out, 0xA5, sizeof out);                                                             \
        needed = 77;                                                                               \
        CHECK_STATUS(call, expected);                                                              \
        for (i = 0; i < sizeof out; i++) CHECK(out[i] == 0xA5);                                    \
        CHECK(needed == 77);                                                                       \
    } while (0)

#endif
