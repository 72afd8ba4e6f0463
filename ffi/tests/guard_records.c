/* What is told and recorded of a request, between walls and misused: stories, provenance, evidence. */
#include "walls.h"

static imagxp_decision *fenced_decision(imagxp_status status, size_t fetches)
{
    imagxp_decision *decision = fenced(NULL, sizeof *decision);
    imagxp_fetch *fetch = fenced(NULL, fetches * sizeof *fetch);
    size_t i;

    for (i = 0; i < fetches; i++) {
        fetch[i].kind = IMAGXP_NEED_MANIFEST;
        fetch[i].found = IMAGXP_FOUND;
        fetch[i].url = fenced_str(IMAGXP_STR("https://bot.example.com/"));
    }
    imagxp_init(decision, sizeof *decision);
    decision->status = status;
    decision->received_ms = decision->decided_ms = NOW;
    decision->fetches = fetch;
    decision->fetches_len = fetches;
    return decision;
}

static site admitted_site(void)
{
    site s = make_site();
    imagxp_answer manifest = fenced_answer(imagxp_str_of(w.manifest, w.manifest_len));

    CHECK_STATUS(verify(&s), IMAGXP_NEED);
    CHECK_STATUS(imagxp_key_cache_supply(s.keys, &s.verified->need, s.scratch, manifest, NOW), IMAGXP_OK);
    CHECK_STATUS(verify(&s), IMAGXP_VERIFIED);
    CHECK_STATUS(imagxp_request_admit(s.verified, s.scratch, s.replay, NOW), IMAGXP_OK);
    return s;
}

static void stories_between_walls(void)
{
    site s = admitted_site();
    const imagxp_policy *policy = IMAGXP_POLICY(s.policy_words);
    imagxp_decision *decision = fenced_decision(IMAGXP_OK, 4);
    imagxp_claims *claims = fenced(NULL, sizeof *claims);
    imagxp_sent *sent = fenced(NULL, sizeof *sent);
    imagxp_sale *sale = fenced(NULL, sizeof *sale);
    size_t *needed = fenced(NULL, sizeof *needed);
    int32_t format;

    imagxp_init(claims, sizeof *claims);
    claims->agent_id = fenced_str(IMAGXP_STR(AGENT));
    claims->resource = fenced_str(IMAGXP_STR(RESOURCE));
    claims->purpose = IMAGXP_SUMMARY;
    imagxp_init(sent, sizeof *sent);
    sent->signed_ms = sent->sent_ms = sent->answered_ms = NOW;
    sent->error = fenced_str(IMAGXP_STR("BUSY"));
    imagxp_init(sale, sizeof *sale);
    sale->agent_id = claims->agent_id;
    sale->audience = claims->resource;
    sale->jti = fenced_str(IMAGXP_STR("7"));
    for (format = IMAGXP_STORY_TEXT; format <= IMAGXP_STORY_JSON; format++) {
        WRITES(*needed, imagxp_story_publisher(s.visit, policy, s.verified, s.scratch, decision, format, out, needed));
        WRITES(*needed, imagxp_story_agent(claims, public_text(), sent, format, out, needed));
        WRITES(*needed, imagxp_story_broker(sale, format, out, needed));
    }
    /* Scratch of every length. */
    decision->status = IMAGXP_BUSY;
    for (s.scratch.len = 0; s.scratch.len < 2000; s.scratch.len += 97) {
        imagxp_status status;
        s.scratch.ptr = fenced(NULL, s.scratch.len);
        status = imagxp_story_publisher(s.visit, policy, NULL, s.scratch, decision, 0, fenced_buf(4096), needed);
        CHECK(status == IMAGXP_OK || status == IMAGXP_BUFFER_TOO_SMALL);
    }
}

static void provenance_between_walls(void)
{
    imagxp_key *key = fenced(&w.key, sizeof *key);
    imagxp_provenance *headers = fenced(NULL, sizeof *headers);
    int32_t *origin = fenced(NULL, sizeof *origin);
    int64_t *ts_ms = fenced(NULL, sizeof *ts_ms);
    imagxp_buf texts;

    imagxp_init(headers, sizeof *headers);
    WRITES(headers->needed, imagxp_provenance_sign(key, 2, fenced(NULL, 32), IMAGXP_SIGN_CHECK, NOW, texts = out, headers));
    CHECK_STATUS(imagxp_provenance_verify(public_text(), fenced_str(IMAGXP_TEXT(texts, headers->origin)),
                                          fenced_str(IMAGXP_TEXT(texts, headers->signature)),
                                          fenced_str(IMAGXP_TEXT(texts, headers->ts)), NOW, 0, 0, origin, ts_ms), IMAGXP_OK);
    CHECK(*origin == 2 && *ts_ms == NOW);
}

static void evidence_between_walls(void)
{
    site s = admitted_site();
    imagxp_decision *decision = fenced_decision(IMAGXP_OK, 4);
    imagxp_key *key = fenced(&w.key, sizeof *key);
    imagxp_head *head = fenced(NULL, sizeof *head), *sealed = fenced(NULL, sizeof *sealed);
    imagxp_str url = fenced_str(IMAGXP_STR("https://bot.example.com" IMAGXP_MANIFEST_PATH));
    imagxp_str body = fenced_str(imagxp_str_of(w.manifest, w.manifest_len));
    imagxp_log *log = fenced(NULL, sizeof *log);
    imagxp_record *record = fenced(NULL, sizeof *record);
    imagxp_findings *findings = fenced(NULL, sizeof *findings);
    imagxp_str *keys = fenced(NULL, sizeof *keys), *lines = fenced(NULL, 4 * sizeof *lines);
    size_t *needed = fenced(NULL, sizeof *needed);
    uint8_t *sha256 = fenced(NULL, 32);
    imagxp_buf text;
    size_t i;

    for (i = 0; i < 2; i++) {
        imagxp_head before = *head;
        WRITES(*needed, (text = out, *head = before,
                         imagxp_evidence_document(url, body, NOW, head, out, needed, i == 0 ? sha256 : NULL)));
        lines[i] = fenced_str(imagxp_str_of((char *)text.ptr, *needed - 1));
        CHECK(head->count == i + 1);
    }
    WRITES(*needed, (text = out, imagxp_evidence_decision(s.visit, s.verified, decision, head, out, needed)));
    lines[2] = fenced_str(imagxp_str_of((char *)text.ptr, *needed - 1));
    WRITES(*needed, (text = out, imagxp_evidence_checkpoint(key, fenced(NULL, 32), 1, NOW, head, out, needed)));
    lines[3] = fenced_str(imagxp_str_of((char *)text.ptr, *needed - 1));
    CHECK(head->count == 4 && imagxp_evidence_wants_checkpoint(head, sealed, 1000) == 1);
    CHECK(memcmp(sha256, s.verified->manifest_sha256, 32) == 0);
    keys[0] = public_text();
    imagxp_init(log, sizeof *log);
    imagxp_init(record, sizeof *record);
    imagxp_init(findings, sizeof *findings);
    for (i = 0; i < 4; i++) CHECK_STATUS(imagxp_log_line(log, keys, 1, lines[i], record), IMAGXP_OK);
    CHECK(memcmp(&log->head, head, sizeof *head) == 0 && log->sealed == 4);
    CHECK_STATUS(imagxp_evidence_prove(lines[2], lines, 2, fenced_buf(w.manifest_len), findings), IMAGXP_OK);
    CHECK(findings->manifest == IMAGXP_FINDING_PROVEN);
    CHECK_STATUS(imagxp_evidence_prove(lines[2], lines, 2, fenced_buf(w.manifest_len - 1), findings), IMAGXP_BUFFER_TOO_SMALL);
    CHECK_STATUS(imagxp_evidence_check_manifest(lines[2], body), IMAGXP_OK);
    for (i = 0; i < lines[2].len; i += 41) {
        CHECK_STATUS(imagxp_log_line(log, keys, 1, fenced_str(imagxp_str_of(lines[2].ptr, i)), record), IMAGXP_FAULT);
        CHECK(record->fault == IMAGXP_FAULT_NOT_A_RECORD);
    }
}

static void stories_misused(void)
{
    static uint8_t out[4096];
    imagxp_buf good = { out, sizeof out };
    site s = admitted_site();
    imagxp_decision *decision = fenced_decision(IMAGXP_OK, 1), saved = *decision;
    imagxp_fetch *fetch = (imagxp_fetch *)(uintptr_t)decision->fetches;
    imagxp_verified *inside = (imagxp_verified *)(void *)out;
    imagxp_claims claims;
    imagxp_sent sent;
    imagxp_sale sale;
    size_t needed = 0, i;

#define STORY(verified, scratch, decision, format, out, needed)                                    \
    imagxp_story_publisher(s.visit, IMAGXP_POLICY(s.policy_words), verified, scratch, decision, format, out, needed)
    REFUSED(imagxp_story_publisher(NULL, IMAGXP_POLICY(s.policy_words), s.verified, s.scratch, decision, 0, good, &needed),
            IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_publisher(s.visit, NULL, s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_publisher(s.visit, IMAGXP_POLICY(s.keys->words), s.verified, s.scratch, decision, 0, good, &needed),
            IMAGXP_ABI_STATE);
    REFUSED(STORY(s.verified, s.scratch, NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(STORY(s.verified, s.scratch, decision, 2, good, &needed), IMAGXP_ABI_ARGUMENT);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, buf_of(NULL, 1), &needed), IMAGXP_ABI_NULL);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, buf_of(out, HUGE), &needed), IMAGXP_ABI_LENGTH);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, s.scratch, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(STORY(s.verified, good, decision, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, (size_t *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(STORY(inside, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_VERSION);
    REFUSED(STORY(s.verified, buf_of(NULL, 0), decision, 0, good, &needed), IMAGXP_BUFFER_TOO_SMALL);
    decision->size--;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_VERSION);
    *decision = saved;
    decision->reserved = 1;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    *decision = saved;
    decision->status = 1;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    decision->status = -9999;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    *decision = saved;
    decision->fetches_len = 5;
    decision->fetches = fenced(NULL, 5 * sizeof *fetch);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    decision->fetches_len = HUGE / 8;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_LENGTH);
    decision->fetches = NULL;
    decision->fetches_len = 1;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_NULL);
    decision->fetches = (imagxp_fetch *)(void *)out;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    *decision = saved;
    fetch->kind = 0;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    fetch->kind = 1;
    fetch->url.ptr = NULL;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_NULL);
    fetch->url = imagxp_str_of("\xff", 1);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    fetch->url = imagxp_str_of((char *)out, 1);
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    fetch->url.len = 0;
    s.verified->visitor = 4;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_STATE);
    s.verified->visitor = 1;
    s.verified->issuer = s.verified->agent_id;
    REFUSED(STORY(s.verified, s.scratch, decision, 0, good, &needed), IMAGXP_ABI_STATE);

    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&sent);
    IMAGXP_INIT(&sale);
    claims.purpose = 1;
    REFUSED(imagxp_story_agent(NULL, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_agent(&claims, IMAGXP_STR("x"), &sent, 0, good, &needed), IMAGXP_KEY_FORMAT);
    REFUSED(imagxp_story_agent(&claims, public_text(), NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, -1, good, &needed), IMAGXP_ABI_ARGUMENT);
    sent.error = imagxp_str_of((char *)out, 2);
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_OVERLAP);
    sent.error.len = 0;
    sent.http_status = 65536;
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    sent.size = 0;
    REFUSED(imagxp_story_agent(&claims, public_text(), &sent, 0, good, &needed), IMAGXP_ABI_VERSION);
    REFUSED(imagxp_story_broker(NULL, 0, good, &needed), IMAGXP_ABI_NULL);
    sale.agent_id = imagxp_str_of("\xff", 1);
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_ARGUMENT);
    sale.agent_id = imagxp_str_of(NULL, 1);
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_NULL);
    sale.agent_id.len = HUGE;
    sale.agent_id.ptr = "x";
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_LENGTH);
    sale.size = 1;
    REFUSED(imagxp_story_broker(&sale, 0, good, &needed), IMAGXP_ABI_VERSION);
}

static void provenance_misused(void)
{
    static uint8_t out[256];
    imagxp_buf good = { out, sizeof out };
    imagxp_str spki = public_text(), text = IMAGXP_STR("HUMAN");
    imagxp_provenance headers, before;
    imagxp_key unmade;
    int64_t ts_ms = 0;
    int32_t origin = 0;
    size_t needed = 0, i;

    memset(&unmade, 0xFF, sizeof unmade);
    IMAGXP_INIT(&headers);
    before = headers;
#define PROVE(key, origin, hedge, flags, now, out, headers) imagxp_provenance_sign(key, origin, hedge, flags, now, out, headers)
    REFUSED(PROVE(NULL, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_NULL);
    REFUSED(PROVE(&unmade, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_STATE);
    REFUSED(PROVE((imagxp_key *)(void *)out, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(PROVE(&w.key, 0, NULL, 0, NOW, good, &headers), IMAGXP_ABI_ARGUMENT);
    REFUSED(PROVE(&w.key, 4, NULL, 0, NOW, good, &headers), IMAGXP_ABI_ARGUMENT);
    REFUSED(PROVE(&w.key, 1, out, 0, NOW, good, &headers), IMAGXP_ABI_OVERLAP);
    REFUSED(PROVE(&w.key, 1, NULL, 2, NOW, good, &headers), IMAGXP_ABI_ARGUMENT);
    REFUSED(PROVE(&w.key, 1, NULL, 0, 0, good, &headers), IMAGXP_CLOCK_UNKNOWN);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, buf_of(NULL, 1), &headers), IMAGXP_ABI_NULL);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, buf_of(out, HUGE), &headers), IMAGXP_ABI_LENGTH);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, good, NULL), IMAGXP_ABI_NULL);
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, good, (imagxp_provenance *)(void *)(out + 8)), IMAGXP_ABI_VERSION);
    headers.size = 2;
    REFUSED(PROVE(&w.key, 1, NULL, 0, NOW, good, &headers), IMAGXP_ABI_VERSION);
    headers.size = before.size;
    CHECK(memcmp(&headers, &before, sizeof before) == 0);
#define ORIGIN(spki, origin_text, signature, ts, origin, ts_ms)                                    \
    imagxp_provenance_verify(spki, origin_text, signature, ts, NOW, 1, 1, origin, ts_ms)
    REFUSED(ORIGIN(text, text, text, text, &origin, &ts_ms), IMAGXP_KEY_FORMAT);
    REFUSED(ORIGIN(imagxp_str_of(NULL, 1), text, text, text, &origin, &ts_ms), IMAGXP_ABI_NULL);
    REFUSED(ORIGIN(spki, imagxp_str_of(NULL, 1), text, text, &origin, &ts_ms), IMAGXP_ABI_NULL);
    REFUSED(ORIGIN(spki, text, imagxp_str_of("x", HUGE), text, &origin, &ts_ms), IMAGXP_ABI_LENGTH);
    REFUSED(ORIGIN(spki, text, text, imagxp_str_of((char *)out, 9), (int32_t *)(void *)out, &ts_ms), IMAGXP_ABI_OVERLAP);
    REFUSED(ORIGIN(spki, text, text, text, (int32_t *)(void *)out, (int64_t *)(void *)out), IMAGXP_ABI_OVERLAP);
    REFUSED(ORIGIN(spki, text, text, text, (int32_t *)(void *)(out + 1), &ts_ms), IMAGXP_ABI_STORAGE);
    REFUSED(ORIGIN(spki, text, text, text, &origin, (int64_t *)(void *)(out + 4)), IMAGXP_ABI_STORAGE);
    REFUSED(ORIGIN(spki, imagxp_str_of(NULL, 0), text, text, &origin, &ts_ms), IMAGXP_FIELD_MISSING);
    CHECK(origin == 0 && ts_ms == 0);
}

static void evidence_misused(void)
{
    static uint8_t out[4096];
    imagxp_buf good = { out, sizeof out };
    site s = admitted_site();
    imagxp_decision *decision = fenced_decision(IMAGXP_OK, 1);
    imagxp_str text = IMAGXP_STR("https://bot.example.com/"), null = { NULL, 1 }, huge = { "x", HUGE };
    imagxp_str inside = { (char *)out, 1 }, too_many[9];
    imagxp_head head = { { 7 }, 7 }, before = head;
    imagxp_key unmade;
    imagxp_log log, log_before;
    imagxp_record record, record_before;
    imagxp_findings findings, findings_before;
    uint8_t sha256[32] = { 0 };
    size_t needed = 0, i;

#define DOCUMENT(url, body, head, out, needed, sha256) imagxp_evidence_document(url, body, NOW, head, out, needed, sha256)
    REFUSED(DOCUMENT(null, text, &head, good, &needed, sha256), IMAGXP_ABI_NULL);
    REFUSED(DOCUMENT(text, huge, &head, good, &needed, sha256), IMAGXP_ABI_LENGTH);
    REFUSED(DOCUMENT(text, inside, &head, good, &needed, sha256), IMAGXP_ABI_OVERLAP);
    REFUSED(DOCUMENT(IMAGXP_STR("a\"b"), text, &head, good, &needed, sha256), IMAGXP_ABI_LENGTH);
    REFUSED(DOCUMENT(IMAGXP_STR("\xff"), text, &head, good, &needed, sha256), IMAGXP_ABI_LENGTH);
    REFUSED(DOCUMENT(text, text, NULL, good, &needed, sha256), IMAGXP_ABI_NULL);
    REFUSED(DOCUMENT(text, text, (imagxp_head *)(void *)out, good, &needed, sha256), IMAGXP_ABI_OVERLAP);
    REFUSED(DOCUMENT(text, text, (imagxp_head *)(void *)(out + 4), buf_of(NULL, 0), &needed, sha256), IMAGXP_ABI_STORAGE);
    REFUSED(DOCUMENT(text, text, &head, buf_of(NULL, 1), &needed, sha256), IMAGXP_ABI_NULL);
    REFUSED(DOCUMENT(text, text, &head, good, &needed, out), IMAGXP_ABI_OVERLAP);
    REFUSED(DOCUMENT(text, text, &head, good, &needed, (uint8_t *)&head), IMAGXP_ABI_OVERLAP);
    REFUSED(imagxp_evidence_document(text, text, -1, &head, good, &needed, sha256), IMAGXP_TIMESTAMP_INVALID);

#define DECISION(visit, verified, decision, head, out) imagxp_evidence_decision(visit, verified, decision, head, out, &needed)
    REFUSED(DECISION(NULL, s.verified, decision, &head, good), IMAGXP_ABI_NULL);
    REFUSED(DECISION(s.visit, NULL, decision, &head, good), IMAGXP_ABI_STATE);
    REFUSED(DECISION(s.visit, s.verified, NULL, &head, good), IMAGXP_ABI_NULL);
    REFUSED(DECISION(s.visit, s.verified, decision, NULL, good), IMAGXP_ABI_NULL);
    REFUSED(DECISION(s.visit, s.verified, decision, &head, buf_of(out, HUGE)), IMAGXP_ABI_LENGTH);
    REFUSED(DECISION(s.visit, s.verified, decision, &head, buf_of(s.visit, sizeof *s.visit)), IMAGXP_ABI_OVERLAP);
    REFUSED(DECISION(s.visit, s.verified, decision, &head, buf_of(s.verified, sizeof *s.verified)), IMAGXP_ABI_OVERLAP);
    s.verified->jwks_sha256[0] = 1;
    REFUSED(DECISION(s.visit, s.verified, decision, &head, good), IMAGXP_ABI_STATE);
    s.verified->jwks_sha256[0] = 0;
    decision->decided_ms = -1;
    REFUSED(DECISION(s.visit, s.verified, decision, &head, good), IMAGXP_TIMESTAMP_INVALID);

    memset(&unmade, 0xFF, sizeof unmade);
#define SEAL(key, hedge, flags, head, out) imagxp_evidence_checkpoint(key, hedge, flags, NOW, head, out, &needed)
    REFUSED(SEAL(NULL, NULL, 0, &head, good), IMAGXP_ABI_NULL);
    REFUSED(SEAL(&unmade, NULL, 0, &head, good), IMAGXP_ABI_STATE);
    REFUSED(SEAL((imagxp_key *)(void *)&head, NULL, 0, &head, good), IMAGXP_ABI_OVERLAP);
    REFUSED(SEAL(&w.key, out, 0, &head, good), IMAGXP_ABI_OVERLAP);
    REFUSED(SEAL(&w.key, NULL, 2, &head, good), IMAGXP_ABI_ARGUMENT);
    REFUSED(SEAL(&w.key, NULL, 0, NULL, good), IMAGXP_ABI_NULL);
    REFUSED(SEAL(&w.key, NULL, 0, &head, buf_of(NULL, 1)), IMAGXP_ABI_NULL);
    REFUSED(imagxp_evidence_checkpoint(&w.key, NULL, 0, -1, &head, good, &needed), IMAGXP_TIMESTAMP_INVALID);
    CHECK(memcmp(&head, &before, sizeof head) == 0 && is_zero(sha256, 32));
    head.count = (uint64_t)-1;
    REFUSED(SEAL(&w.key, NULL, 0, &head, good), IMAGXP_ABI_LENGTH);
    CHECK(imagxp_evidence_wants_checkpoint(NULL, &head, 5000) == 0 && imagxp_evidence_wants_checkpoint(&head, NULL, 5000) == 0);

    IMAGXP_INIT(&log);
    IMAGXP_INIT(&record);
    IMAGXP_INIT(&findings);
    log_before = log;
    record_before = record;
    findings_before = findings;
    for (i = 0; i < 9; i++) too_many[i] = public_text();
#define READ(log, keys, keys_len, line, record) imagxp_log_line(log, keys, keys_len, line, record)
    REFUSED(READ(NULL, NULL, 0, text, &record), IMAGXP_ABI_NULL);
    REFUSED(READ(&log, NULL, 1, text, &record), IMAGXP_ABI_NULL);
    REFUSED(READ(&log, &text, 1, text, &record), IMAGXP_KEY_FORMAT);
    REFUSED(READ(&log, &null, 1, text, &record), IMAGXP_ABI_NULL);
    REFUSED(READ(&log, too_many, 9, text, &record), IMAGXP_ABI_ARGUMENT);
    REFUSED(READ(&log, too_many, HUGE / 8, text, &record), IMAGXP_ABI_LENGTH);
    REFUSED(READ(&log, NULL, 0, null, &record), IMAGXP_ABI_NULL);
    REFUSED(READ(&log, NULL, 0, imagxp_str_of((char *)&log, 4), &record), IMAGXP_ABI_OVERLAP);
    REFUSED(READ(&log, NULL, 0, text, NULL), IMAGXP_ABI_NULL);
    record.size++;
    REFUSED(READ(&log, NULL, 0, text, &record), IMAGXP_ABI_VERSION);
    record.size--;
    log.size = 0;
    REFUSED(READ(&log, NULL, 0, text, &record), IMAGXP_ABI_VERSION);
    log.size = sizeof log;
    CHECK(memcmp(&log, &log_before, sizeof log) == 0 && memcmp(&record, &record_before, sizeof record) == 0);

#define EVIDENCE(line, documents, len, scratch, findings) imagxp_evidence_prove(line, documents, len, scratch, findings)
    REFUSED(EVIDENCE(text, NULL, 0, good, &findings), IMAGXP_ABI_ARGUMENT);
    REFUSED(EVIDENCE(null, NULL, 0, good, &findings), IMAGXP_ABI_NULL);
    REFUSED(EVIDENCE(inside, NULL, 0, good, &findings), IMAGXP_ABI_OVERLAP);
    REFUSED(EVIDENCE(text, NULL, 1, good, &findings), IMAGXP_ABI_NULL);
    REFUSED(EVIDENCE(text, too_many, 5, good, &findings), IMAGXP_ABI_ARGUMENT);
    REFUSED(EVIDENCE(text, &text, 1, good, &findings), IMAGXP_ABI_ARGUMENT);
    REFUSED(EVIDENCE(text, NULL, 0, good, NULL), IMAGXP_ABI_NULL);
    REFUSED(EVIDENCE(text, NULL, 0, buf_of(&findings, 4), &findings), IMAGXP_ABI_OVERLAP);
    REFUSED(EVIDENCE(text, NULL, 0, buf_of(NULL, 4), &findings), IMAGXP_ABI_NULL);
    findings.size = 3;
    REFUSED(EVIDENCE(text, NULL, 0, good, &findings), IMAGXP_ABI_VERSION);
    findings.size = sizeof findings;
    CHECK(memcmp(&findings, &findings_before, sizeof findings) == 0);
    REFUSED(imagxp_evidence_check_manifest(null, text), IMAGXP_ABI_NULL);
    REFUSED(imagxp_evidence_check_manifest(text, huge), IMAGXP_ABI_LENGTH);
    REFUSED(imagxp_evidence_check_manifest(text, text), IMAGXP_ABI_ARGUMENT);
}

int main(void)
{
    world_make(&w);
    for (side = START; side <= END; side++) {
        stories_between_walls();
        provenance_between_walls();
        evidence_between_walls();
        tear_down();
    }
    stories_misused();
    provenance_misused();
    evidence_misused();
    tear_down();
    return 0;
}
