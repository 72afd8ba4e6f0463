/* Flat arguments in, views on the C stack: what cgo lets Go memory take part in. */
#ifndef IMAGXP_GO_SHIM_H
#define IMAGXP_GO_SHIM_H

#include "imagxp.h"

/* Two lines of each name that matters: a second line is judged, a third says no more. */
#define IMAGXP_GO_HEADERS 40

static imagxp_buf imagxp_go_buf(uint8_t *ptr, size_t len)
{
    imagxp_buf buf;
    buf.ptr = ptr;
    buf.len = len;
    return buf;
}

static imagxp_buf imagxp_go_scratch(uint8_t *scratch)
{
    return imagxp_go_buf(scratch, IMAGXP_SCRATCH_LEN);
}

static imagxp_key_cache imagxp_go_keys(const uint64_t *words, size_t len)
{
    imagxp_key_cache keys;
    keys.words = (uint64_t *)words;
    keys.len = len;
    return keys;
}

static imagxp_replay_cache imagxp_go_replay(uint64_t *words, size_t len)
{
    imagxp_replay_cache replay;
    replay.words = words;
    replay.len = len;
    return replay;
}

/* The block holds method, scheme, authority, target, and then names and values in turn. */
static void imagxp_go_visit(const uint8_t *block, const uint32_t *lens, uint32_t texts, uint32_t vouched,
                            imagxp_header *headers, imagxp_visit *visit)
{
    imagxp_str views[4 + 2 * IMAGXP_GO_HEADERS];
    const char *at = (const char *)block;
    uint32_t i;
    for (i = 0; i < texts; i++) {
        views[i] = imagxp_str_of(at, lens[i]);
        at += lens[i];
    }
    for (i = 4; i < texts; i += 2) {
        headers[i / 2 - 2].name = views[i];
        headers[i / 2 - 2].value = views[i + 1];
    }
    IMAGXP_INIT(visit);
    visit->method = views[0];
    visit->scheme = views[1];
    visit->authority = views[2];
    visit->target = views[3];
    visit->headers = headers;
    visit->headers_len = texts / 2 - 2;
    visit->vouched = vouched;
}

/*
 * How a request was decided. A fetch is six numbers: kind, found, length of its URL, length of its body, asked and
 * answered; its SHA-256 is zeros if it was not recorded. The list has IMAGXP_GO_FETCHES places.
 */
#define IMAGXP_GO_FETCHES 4

static void imagxp_go_decision(imagxp_fetch *list, const char *urls, const int64_t *told, const uint8_t *sha256,
                               uint32_t fetches, int32_t status, int64_t received_ms, int64_t decided_ms,
                               imagxp_decision *decision)
{
    uint32_t i, b;
    for (i = 0; i < fetches; i++, told += 6, sha256 += 32) {
        list[i].kind = (int32_t)told[0];
        list[i].found = (int32_t)told[1];
        list[i].url = imagxp_str_of(urls, (size_t)told[2]);
        list[i].len = (uint64_t)told[3];
        list[i].asked_ms = told[4];
        list[i].answered_ms = told[5];
        for (b = 0; b < 32; b++) {
            list[i].sha256[b] = sha256[b];
        }
        urls += told[2];
    }
    IMAGXP_INIT(decision);
    decision->status = status;
    decision->received_ms = received_ms;
    decision->decided_ms = decided_ms;
    decision->fetches = list;
    decision->fetches_len = fetches;
}

static imagxp_status imagxp_go_verify(const uint8_t *block, const uint32_t *lens, uint32_t texts, uint32_t vouched,
                                      const uint64_t *policy, const uint64_t *keys, size_t keys_len, int64_t now_ms,
                                      uint8_t *scratch, imagxp_verified *verified)
{
    imagxp_header headers[IMAGXP_GO_HEADERS];
    imagxp_visit visit;
    imagxp_key_cache view = imagxp_go_keys(keys, keys_len);
    imagxp_go_visit(block, lens, texts, vouched, headers, &visit);
    IMAGXP_INIT(verified);
    return imagxp_request_verify(&visit, IMAGXP_POLICY(policy), &view, now_ms, imagxp_go_scratch(scratch), verified);
}

static imagxp_status imagxp_go_parse(const uint8_t *block, const uint32_t *lens, uint32_t texts, uint8_t *scratch,
                                     imagxp_unproven *unproven)
{
    imagxp_header headers[IMAGXP_GO_HEADERS];
    imagxp_visit visit;
    imagxp_go_visit(block, lens, texts, 0, headers, &visit);
    IMAGXP_INIT(unproven);
    return imagxp_request_parse(&visit, imagxp_go_scratch(scratch), unproven);
}

static imagxp_status imagxp_go_admit(imagxp_verified *verified, uint8_t *scratch, uint64_t *replay, size_t replay_len,
                                     int64_t now_ms)
{
    imagxp_replay_cache view = imagxp_go_replay(replay, replay_len);
    return imagxp_request_admit(verified, imagxp_go_scratch(scratch), &view, now_ms);
}

static imagxp_status imagxp_go_tags(const imagxp_verified *verified, uint8_t *scratch, const uint8_t *secret,
                                    imagxp_tag *tags)
{
    return imagxp_request_tags(verified, imagxp_go_scratch(scratch), secret, tags);
}

static imagxp_status imagxp_go_refusal(imagxp_status status, const uint64_t *policy, const imagxp_verified *verified,
                                       uint8_t *out, size_t *needed)
{
    return imagxp_refusal_write(status, IMAGXP_POLICY(policy), verified, imagxp_go_buf(out, 128), needed);
}

#endif
