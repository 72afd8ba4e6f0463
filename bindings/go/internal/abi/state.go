//go:build cgo

package abi

/*
#include "shim.h"

static imagxp_status imagxp_go_key_cache_new(uint64_t *words, size_t len, uint32_t names, uint32_t issuers,
                                             uint32_t tables, uint32_t table_kib, const uint8_t *seed)
{
    imagxp_key_cache_sizes sizes;
    imagxp_key_cache keys = imagxp_go_keys(words, len);
    sizes.names = names;
    sizes.issuers = issuers;
    sizes.tables = tables;
    sizes.table_kib = table_kib;
    return imagxp_key_cache_new(&keys, sizes, seed);
}

static size_t imagxp_go_key_cache_words(uint32_t names, uint32_t issuers, uint32_t tables, uint32_t table_kib)
{
    imagxp_key_cache_sizes sizes;
    sizes.names = names;
    sizes.issuers = issuers;
    sizes.tables = tables;
    sizes.table_kib = table_kib;
    return imagxp_key_cache_words(sizes);
}

// A need of our own: the texts are the URL and the host in it, in memory of ours.
static imagxp_status imagxp_go_supply(uint64_t *words, size_t len, int32_t kind, int32_t configured, uint32_t max_len,
                                      uint8_t *texts, size_t url_len, size_t texts_len, int32_t answer, int32_t max_age_s,
                                      const char *body, size_t body_len, int64_t now_ms)
{
    imagxp_key_cache keys = imagxp_go_keys(words, len);
    imagxp_need need;
    imagxp_answer found;
    need.kind = kind;
    need.configured = configured;
    need.max_len = max_len;
    need.check = 0;
    need.url.at = 0;
    need.url.len = (uint32_t)url_len;
    need.host.at = (uint32_t)url_len;
    need.host.len = (uint32_t)(texts_len - url_len);
    found.kind = answer;
    found.max_age_s = max_age_s;
    found.body = imagxp_str_of(body, body_len);
    return imagxp_key_cache_supply(&keys, &need, imagxp_go_buf(texts, texts_len), found, now_ms);
}

static imagxp_status imagxp_go_prepare(uint64_t *words, size_t len, uint64_t prepare, int64_t now_ms)
{
    imagxp_key_cache keys = imagxp_go_keys(words, len);
    return imagxp_key_cache_prepare(&keys, prepare, now_ms);
}

static imagxp_status imagxp_go_alarm(const uint64_t *words, size_t len, const char *url, size_t url_len)
{
    imagxp_key_cache keys = imagxp_go_keys(words, len);
    return imagxp_key_cache_alarm(&keys, imagxp_str_of(url, url_len));
}

static imagxp_status imagxp_go_replay_new(uint64_t *words, size_t len, const uint8_t *seed, int64_t accept_from_ms)
{
    imagxp_replay_cache replay = imagxp_go_replay(words, len);
    return imagxp_replay_cache_new(&replay, seed, accept_from_ms);
}

static uint32_t imagxp_go_retry_after(uint64_t *words, size_t len)
{
    imagxp_replay_cache replay = imagxp_go_replay(words, len);
    return imagxp_replay_cache_retry_after_s(&replay);
}

static imagxp_status imagxp_go_stats(uint64_t *words, size_t len, imagxp_replay_stats *stats)
{
    imagxp_replay_cache replay = imagxp_go_replay(words, len);
    IMAGXP_INIT(stats);
    return imagxp_replay_cache_stats(&replay, stats);
}

static imagxp_status imagxp_go_policy_parse(const char *json, size_t len, uint64_t *memory)
{
    return imagxp_policy_parse(imagxp_str_of(json, len), memory, IMAGXP_POLICY_WORDS);
}

static imagxp_status imagxp_go_document(const uint64_t *policy, size_t index, uint8_t *scratch, imagxp_need *need)
{
    return imagxp_policy_document(IMAGXP_POLICY(policy), index, imagxp_go_scratch(scratch), need);
}

static imagxp_status imagxp_go_terms(const uint64_t *policy, uint8_t *scratch, imagxp_terms *terms)
{
    IMAGXP_INIT(terms);
    return imagxp_policy_terms(IMAGXP_POLICY(policy), imagxp_go_scratch(scratch), terms);
}

static imagxp_status imagxp_go_discovery(const uint64_t *policy, uint8_t *out, size_t len, size_t *needed)
{
    return imagxp_policy_discovery(IMAGXP_POLICY(policy), imagxp_go_buf(out, len), needed);
}

#cgo noescape imagxp_go_alarm
#cgo nocallback imagxp_go_alarm
#cgo noescape imagxp_go_discovery
#cgo nocallback imagxp_go_discovery
#cgo noescape imagxp_go_document
#cgo nocallback imagxp_go_document
#cgo noescape imagxp_go_key_cache_new
#cgo nocallback imagxp_go_key_cache_new
#cgo noescape imagxp_go_key_cache_words
#cgo nocallback imagxp_go_key_cache_words
#cgo noescape imagxp_go_policy_parse
#cgo nocallback imagxp_go_policy_parse
#cgo noescape imagxp_go_prepare
#cgo nocallback imagxp_go_prepare
#cgo noescape imagxp_go_replay_new
#cgo nocallback imagxp_go_replay_new
#cgo noescape imagxp_go_retry_after
#cgo nocallback imagxp_go_retry_after
#cgo noescape imagxp_go_stats
#cgo nocallback imagxp_go_stats
#cgo noescape imagxp_go_supply
#cgo nocallback imagxp_go_supply
#cgo noescape imagxp_go_terms
#cgo nocallback imagxp_go_terms
#cgo noescape imagxp_replay_cache_words
#cgo nocallback imagxp_replay_cache_words
*/
import "C"

// What is more is a mistake, and must not end the process: 8 GiB of keys, 7 of nonces.
const (
	wordsMax = 1 << 30
	slotsMax = 1 << 28
)

// Sizes says what a key cache is to hold.
type Sizes struct{ Names, Issuers, Tables, TableKiB uint32 }

// PolicyParse compiles a policy.
func PolicyParse(json string) ([]uint64, int32) {
	memory := make([]uint64, policyWords)
	status := C.imagxp_go_policy_parse(textPtr(json), C.size_t(len(json)), wordsPtr(memory))
	return memory, int32(status)
}

// PolicyDocuments lists what to fetch at start.
func PolicyDocuments(policy []uint64) []Document {
	scratch := make([]C.uint8_t, scratchLen)
	var documents []Document
	for index := 0; ; index++ {
		var need C.imagxp_need
		if C.imagxp_go_document(wordsPtr(policy), C.size_t(index), &scratch[0], &need) != Need {
			return documents
		}
		documents = append(documents, documentOf(&need, scratch))
	}
}

// Terms is what a policy says.
type Terms struct {
	Flags                            uint32
	Strategy                         int32
	WindowMs, SkewMs                 uint32
	PriceMicros                      int64
	Price, BrokerURL, PaymentPointer string
}

// PolicyTerms reads a policy.
func PolicyTerms(policy []uint64) (Terms, int32) {
	scratch := make([]C.uint8_t, scratchLen)
	var terms C.imagxp_terms
	status := C.imagxp_go_terms(wordsPtr(policy), &scratch[0], &terms)
	text := func(span C.imagxp_span) string { return string(spanOf(scratch, span)) }
	return Terms{uint32(terms.flags), int32(terms.strategy), uint32(terms.window_ms), uint32(terms.skew_ms),
		int64(terms.price_micros), text(terms.price), text(terms.broker_url), text(terms.payment_pointer)}, int32(status)
}

// PolicyDiscovery writes what a site tells everybody of its policy.
func PolicyDiscovery(policy []uint64) ([]byte, int32) {
	out := make([]byte, scratchLen)
	for {
		var needed C.size_t
		status := C.imagxp_go_discovery(wordsPtr(policy), bytesPtr(out), C.size_t(len(out)), &needed)
		switch {
		case status == OK:
			return out[:needed:needed], OK
		case status != C.IMAGXP_BUFFER_TOO_SMALL || int(needed) <= len(out):
			return nil, int32(status)
		}
		out = make([]byte, needed)
	}
}

// KeyCacheNew makes an empty key cache.
func KeyCacheNew(sizes Sizes, seed *[32]byte) ([]uint64, int32) {
	names, issuers := C.uint32_t(sizes.Names), C.uint32_t(sizes.Issuers)
	tables, kib := C.uint32_t(sizes.Tables), C.uint32_t(sizes.TableKiB)
	count := C.imagxp_go_key_cache_words(names, issuers, tables, kib)
	if count == 0 || count > wordsMax {
		return nil, C.IMAGXP_ABI_ARGUMENT
	}
	words := make([]uint64, count)
	status := C.imagxp_go_key_cache_new(wordsPtr(words), C.size_t(len(words)), names, issuers, tables, kib, bytesPtr(seed[:]))
	return words, int32(status)
}

// Supply takes what came of a fetch.
func Supply(keys []uint64, document *Document, answer int32, body []byte, maxAgeS int32, nowMs int64) int32 {
	texts := []byte(document.URL + document.Host)
	configured := C.int32_t(0)
	if document.Configured {
		configured = 1
	}
	return int32(C.imagxp_go_supply(wordsPtr(keys), C.size_t(len(keys)), C.int32_t(document.Kind), configured,
		C.uint32_t(document.MaxLen), bytesPtr(texts), C.size_t(len(document.URL)), C.size_t(len(texts)), C.int32_t(answer),
		C.int32_t(maxAgeS), (*C.char)(unsafePointer(body)), C.size_t(len(body)), C.int64_t(nowMs)))
}

// Prepare gives the key of a busy agent a table.
func Prepare(keys []uint64, id uint64, nowMs int64) int32 {
	return int32(C.imagxp_go_prepare(wordsPtr(keys), C.size_t(len(keys)), C.uint64_t(id), C.int64_t(nowMs)))
}

// Alarm says whether the key set of this URL publishes a private key.
func Alarm(keys []uint64, url string) int32 {
	return int32(C.imagxp_go_alarm(wordsPtr(keys), C.size_t(len(keys)), textPtr(url), C.size_t(len(url))))
}

// ReplayNew makes an empty replay cache.
func ReplayNew(slots int, seed *[32]byte, acceptFromMs int64) ([]uint64, int32) {
	if slots < 1 || slots > slotsMax {
		return nil, C.IMAGXP_ABI_ARGUMENT
	}
	words := make([]uint64, C.imagxp_replay_cache_words(C.size_t(slots)))
	status := C.imagxp_go_replay_new(wordsPtr(words), C.size_t(len(words)), bytesPtr(seed[:]), C.int64_t(acceptFromMs))
	return words, int32(status)
}

// ReplayRetryAfterS says, under the lock, when a full replay cache may have room.
func ReplayRetryAfterS(replay []uint64) uint32 {
	return uint32(C.imagxp_go_retry_after(wordsPtr(replay), C.size_t(len(replay))))
}

// Stats are the counts of a replay cache.
type Stats struct {
	Slots, Live, LiveOfNewNames, Admitted, RefusedUsed, RefusedFull, RefusedQuota, ClockStepsBack uint64
}

// ReplayStats reads the counts, under the lock.
func ReplayStats(replay []uint64) (Stats, int32) {
	var s C.imagxp_replay_stats
	status := C.imagxp_go_stats(wordsPtr(replay), C.size_t(len(replay)), &s)
	return Stats{uint64(s.slots), uint64(s.live), uint64(s.live_of_new_names), uint64(s.admitted), uint64(s.refused_used),
		uint64(s.refused_full), uint64(s.refused_quota), uint64(s.clock_steps_back)}, int32(status)
}
