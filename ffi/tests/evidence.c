/* The evidence, as a host keeps it: written beside the decisions, sealed, verified, proven; and whatever is altered is found. */
#include "host.h"

static host site;
static world agent;
static char book[65536];
static size_t book_len;
static imagxp_head head, sealed;
static imagxp_key publisher;
static imagxp_str publisher_text;
static uint8_t line_memory[32768];

static void append(size_t len)
{
    CHECK(len > 0 && line_memory[len - 1] == '\n' && book_len + len < sizeof book);
    memcpy(book + book_len, line_memory, len);
    book_len += len;
}

static void record_document(host *h, imagxp_fetch *fetch, imagxp_str body)
{
    size_t needed;
    (void)h;
    CHECK_STATUS(imagxp_evidence_document(fetch->url, body, fetch->answered_ms, &head, buf_of(line_memory, sizeof line_memory),
                                          &needed, fetch->sha256), IMAGXP_OK);
    append(needed);
}

static imagxp_status record_decision(const imagxp_visit *visit)
{
    size_t needed;
    imagxp_status status = imagxp_evidence_decision(visit, &site.verified, &site.decision, &head,
                                                    buf_of(line_memory, sizeof line_memory), &needed);
    if (status == IMAGXP_OK) append(needed);
    return status;
}

static void seal(int64_t now_ms)
{
    size_t needed;
    CHECK_STATUS(imagxp_evidence_checkpoint(&publisher, NULL, IMAGXP_SIGN_CHECK, now_ms, &head,
                                            buf_of(line_memory, sizeof line_memory), &needed), IMAGXP_OK);
    append(needed);
    sealed = head;
}

/* document, decision, decision, checkpoint, decision: the second one knows the manifest from the key cache. */
static void write_book(void)
{
    world_make(&agent);
    host_make(&site, "{\"allowRAG\":true}");
    site.documents[0] = imagxp_str_of(agent.manifest, agent.manifest_len);
    site.fetched = record_document;
    CHECK_STATUS(host_decide(&site, &agent.visit, NOW), IMAGXP_OK);
    CHECK(memcmp(site.fetches[0].sha256, site.verified.manifest_sha256, 32) == 0);
    CHECK_STATUS(record_decision(&agent.visit), IMAGXP_OK);
    CHECK(imagxp_evidence_wants_checkpoint(&head, &sealed, 999) == 0);
    CHECK(imagxp_evidence_wants_checkpoint(&head, &sealed, 1000) == 1);
    CHECK_STATUS(host_decide(&site, &agent.visit, NOW + 1000), IMAGXP_REPLAY_DETECTED);
    CHECK(site.decision.fetches_len == 0);
    CHECK_STATUS(record_decision(&agent.visit), IMAGXP_OK);
    seal(NOW + 2000);
    CHECK(imagxp_evidence_wants_checkpoint(&head, &sealed, 99999) == 0);
    world_sign(&agent, 2);
    CHECK_STATUS(host_decide(&site, &agent.visit, NOW + 3000), IMAGXP_OK);
    CHECK_STATUS(record_decision(&agent.visit), IMAGXP_OK);
}

static imagxp_str next_line(size_t *at)
{
    const char *from = book + *at;
    const char *end = memchr(from, '\n', book_len - *at);
    imagxp_str line = imagxp_str_of(from, end == NULL ? 0 : (size_t)(end - from));
    *at = end == NULL ? book_len : (size_t)(end - book) + 1;
    return line;
}

/* The lines of the book, and how many faults there are; the first of them comes back. */
static int32_t verify_book(imagxp_log *log, imagxp_record *records, imagxp_str *lines)
{
    int32_t first = IMAGXP_FAULT_NONE;
    size_t at = 0, i;

    imagxp_init(log, sizeof *log);
    for (i = 0; at < book_len && i < 8; i++) {
        imagxp_status status;
        lines[i] = next_line(&at);
        imagxp_init(&records[i], sizeof records[i]);
        status = imagxp_log_line(log, &publisher_text, 1, lines[i], &records[i]);
        CHECK((status == IMAGXP_OK) == (records[i].fault == IMAGXP_FAULT_NONE));
        CHECK(status == IMAGXP_OK || status == IMAGXP_FAULT);
        CHECK(records[i].line == i + 1);
        if (first == IMAGXP_FAULT_NONE) first = records[i].fault;
    }
    return first;
}

static void is_borne_out(void)
{
    static uint8_t scratch[8192];
    imagxp_record records[8];
    imagxp_findings findings;
    imagxp_str lines[8];
    imagxp_log log;

    CHECK(verify_book(&log, records, lines) == IMAGXP_FAULT_NONE);
    CHECK(log.head.count == 5 && memcmp(&log.head, &head, sizeof head) == 0);
    CHECK(log.sealed == 4 && log.faults == 0 && log.bytes == book_len);
    CHECK(records[0].kind == IMAGXP_RECORD_DOCUMENT && records[0].at_ms == NOW + 40);
    CHECK(is_text(imagxp_str_of(lines[0].ptr + records[0].url.at, records[0].url.len),
                  "https://bot.example.com" IMAGXP_MANIFEST_PATH));
    CHECK(records[1].kind == IMAGXP_RECORD_DECISION && records[1].status == IMAGXP_OK);
    CHECK(records[1].at_ms == NOW && records[1].decided_ms == NOW + 41);
    CHECK(records[2].status == IMAGXP_REPLAY_DETECTED && records[3].kind == IMAGXP_RECORD_CHECKPOINT);
    CHECK(records[4].documents_len == 1 && memcmp(records[4].documents[0], records[0].sha256, 32) == 0);

    IMAGXP_INIT(&findings);
    CHECK_STATUS(imagxp_evidence_prove(lines[4], lines, 1, buf_of(scratch, sizeof scratch), &findings), IMAGXP_OK);
    CHECK(findings.signature == IMAGXP_FINDING_PROVEN && findings.manifest == IMAGXP_FINDING_PROVEN);
    CHECK(findings.bound == IMAGXP_FINDING_PROVEN && findings.visa == IMAGXP_FINDING_ABSENT);
    CHECK_STATUS(imagxp_evidence_prove(lines[1], NULL, 0, buf_of(NULL, 0), &findings), IMAGXP_OK);
    CHECK(findings.manifest == IMAGXP_FINDING_UNKNOWN && findings.fault == IMAGXP_FAULT_NONE);
    CHECK_STATUS(imagxp_evidence_prove(lines[0], NULL, 0, buf_of(NULL, 0), &findings), IMAGXP_ABI_ARGUMENT);
    CHECK_STATUS(imagxp_evidence_check_manifest(lines[1], site.documents[0]), IMAGXP_OK);
    CHECK_STATUS(imagxp_evidence_check_manifest(lines[1], IMAGXP_STR("{}")), IMAGXP_MANIFEST_MISMATCH);
    CHECK_STATUS(imagxp_evidence_check_manifest(lines[3], site.documents[0]), IMAGXP_ABI_ARGUMENT);

    /* From the checkpoint on, for whoever trusts it. */
    imagxp_init(&log, sizeof log);
    log.head = sealed;
    memcpy(log.before, sealed.hash, 32);
    log.sealed = sealed.count;
    imagxp_init(&records[0], sizeof records[0]);
    CHECK_STATUS(imagxp_log_line(&log, NULL, 0, lines[4], &records[0]), IMAGXP_OK);
    CHECK(records[0].line == 5 && log.sealed == 4);
    /* A checkpoint by a key that nobody vouches for. */
    CHECK_STATUS(imagxp_log_line(&log, NULL, 0, lines[3], &records[0]), IMAGXP_FAULT);
}

static void whatever_is_altered_is_found(void)
{
    imagxp_record records[8];
    imagxp_str lines[8];
    imagxp_log log;
    size_t i, last;
    char kept;

    CHECK(verify_book(&log, records, lines) == IMAGXP_FAULT_NONE);
    last = (size_t)(lines[4].ptr - book);
    for (i = 0; i < last; i += i % 31 + 1) {
        kept = book[i];
        if (kept == '\n') continue;
        book[i] = (char)(kept ^ 1);
        CHECK(verify_book(&log, records, lines) != IMAGXP_FAULT_NONE);
        book[i] = kept;
    }
    /* A line gone: the one behind it says so. The last line: its checkpoint is missing, and `sealed` says that. */
    last = lines[2].len + 1;
    memmove(book + (lines[2].ptr - book), lines[3].ptr, book_len - (size_t)(lines[3].ptr - book));
    book_len -= last;
    CHECK(verify_book(&log, records, lines) == IMAGXP_FAULT_CHAIN && records[2].fault == IMAGXP_FAULT_CHAIN);
}

static void a_record_that_is_not_so(void)
{
    imagxp_verified verified = site.verified;

    CHECK_STATUS(host_decide(&site, &agent.visit, NOW + 400000), IMAGXP_TIMESTAMP_STALE);
    site.decision.status = IMAGXP_OK;
    CHECK_STATUS(record_decision(&agent.visit), IMAGXP_ABI_STATE);
    site.verified = verified;
    site.verified.visitor = 9;
    CHECK_STATUS(record_decision(&agent.visit), IMAGXP_ABI_STATE);
}

int main(void)
{
    static uint8_t text[256];
    uint8_t random[32];
    size_t needed;

    memset(random, 9, sizeof random);
    CHECK_STATUS(imagxp_key_from_random(random, &publisher), IMAGXP_OK);
    CHECK_STATUS(imagxp_key_public(&publisher, IMAGXP_FORMAT_PEM, buf_of(text, sizeof text), &needed), IMAGXP_OK);
    publisher_text = imagxp_str_of((const char *)text, needed);
    write_book();
    is_borne_out();
    whatever_is_altered_is_found();
    a_record_that_is_not_so();
    imagxp_key_wipe(&publisher);
    return 0;
}
