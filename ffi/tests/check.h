/* What every test here shares: a check that tells where it failed, and a world to test in. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "imagxp.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_STATUS(call, expected)                                                               \
    do {                                                                                           \
        imagxp_status status_ = (call);                                                            \
        if (status_ != (expected)) {                                                               \
            imagxp_str got_ = imagxp_status_name(status_);                                         \
            fprintf(stderr, "%s:%d: %s is %d %.*s, not %d\n", __FILE__, __LINE__, #call,           \
                    (int)status_, (int)got_.len, got_.ptr, (int)(expected));                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define NOW 1769428800000 /* 2026-01-26T12:00:00Z */
#define AGENT "bot.example.com"
#define RESOURCE "https://pub.example.com/a?b=c"

static inline int is_text(imagxp_str text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.ptr, expected, text.len) == 0;
}

/* An agent with a key, its manifest, and one signed request. */
typedef struct world {
    imagxp_key key;
    char manifest[1024];
    size_t manifest_len;
    uint8_t signed_memory[IMAGXP_SIGNED_LEN];
    imagxp_signed signed_request;
    imagxp_header headers[8];
    imagxp_visit visit;
} world;

static inline imagxp_buf buf_of(void *memory, size_t len)
{
    imagxp_buf buf;
    buf.ptr = memory;
    buf.len = len;
    return buf;
}

static inline imagxp_header header_of(const char *name, imagxp_str value)
{
    imagxp_header header;
    header.name = imagxp_str_of(name, strlen(name));
    header.value = value;
    return header;
}

/* Signs a request that differs from others by `number`. */
static inline void world_sign(world *w, unsigned number)
{
    uint8_t nonce[16] = { 0 };
    imagxp_claims claims;
    imagxp_buf out = buf_of(w->signed_memory, sizeof w->signed_memory);

    memcpy(nonce, &number, sizeof number);
    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&w->signed_request);
    claims.agent_id = IMAGXP_STR(AGENT);
    claims.resource = IMAGXP_STR(RESOURCE);
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    CHECK_STATUS(imagxp_request_sign(&w->key, &claims, nonce, NULL, 0, NOW, out, &w->signed_request), IMAGXP_OK);

    w->headers[0] = header_of("Accept", IMAGXP_STR("*/*"));
    w->headers[1] = header_of(IMAGXP_HEADER_PAYLOAD, IMAGXP_TEXT(out, w->signed_request.payload));
    w->headers[2] = header_of(IMAGXP_HEADER_SIGNATURE, IMAGXP_TEXT(out, w->signed_request.signature));
    w->headers[3] = header_of(IMAGXP_HEADER_PUBLIC_KEY, IMAGXP_TEXT(out, w->signed_request.public_key));
    w->headers[4] = header_of(IMAGXP_HEADER_KEY, IMAGXP_TEXT(out, w->signed_request.public_key));
    IMAGXP_INIT(&w->visit);
    w->visit.method = IMAGXP_STR("GET");
    w->visit.scheme = IMAGXP_STR("https");
    w->visit.authority = IMAGXP_STR("pub.example.com");
    w->visit.target = IMAGXP_STR("/a?b=c");
    w->visit.headers = w->headers;
    w->visit.headers_len = 5;
}

static inline void world_make(world *w)
{
    uint8_t random[32];
    uint8_t text[124];
    imagxp_manifest manifest;

    memset(random, 7, sizeof random);
    CHECK_STATUS(imagxp_key_from_random(random, &w->key), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_public(&w->key, IMAGXP_FORMAT_TEXT, buf_of(text, sizeof text), NULL), IMAGXP_OK);
    IMAGXP_INIT(&manifest);
    manifest.agent_id = IMAGXP_STR(AGENT);
    manifest.public_key = imagxp_str_of((const char *)text, sizeof text);
    manifest.contact_email = IMAGXP_STR("security@example.com");
    CHECK_STATUS(imagxp_manifest_write(&manifest, buf_of(w->manifest, sizeof w->manifest), &w->manifest_len), IMAGXP_OK);
    world_sign(w, 1);
}

/* The visit in one piece, which is written to `memory`. */
static inline imagxp_packed pack(const imagxp_visit *visit, char *memory)
{
    imagxp_packed packed;
    size_t len = 0, i;

    IMAGXP_INIT(&packed);
#define PACK(text) (memcpy(memory + len, (text).ptr, (text).len), len += (text).len, memory[len++] = '\0', packed.count++)
    PACK(visit->method);
    PACK(visit->scheme);
    PACK(visit->authority);
    PACK(visit->target);
    for (i = 0; i < visit->headers_len; i++) {
        PACK(visit->headers[i].name);
        PACK(visit->headers[i].value);
    }
#undef PACK
    packed.fields = imagxp_str_of(memory, len - 1);
    packed.vouched = visit->vouched;
    return packed;
}

/* What the agent's server would answer. */
static inline imagxp_answer world_get(const world *w)
{
    imagxp_answer answer;
    answer.kind = IMAGXP_FOUND;
    answer.max_age_s = -1;
    answer.body = imagxp_str_of(w->manifest, w->manifest_len);
    return answer;
}

#endif
