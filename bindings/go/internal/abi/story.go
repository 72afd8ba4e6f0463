//go:build cgo

package abi

/*
#include "shim.h"

// A fetch is six numbers: kind, found, length of its URL, length of its body, asked and answered.
static imagxp_status imagxp_go_story(const uint8_t *block, const uint32_t *lens, uint32_t texts, uint32_t vouched,
                                     const uint64_t *policy, const imagxp_verified *verified, uint8_t *scratch,
                                     int32_t status, int64_t received_ms, int64_t decided_ms, const char *urls,
                                     const int64_t *told, uint32_t fetches, uint8_t *out, size_t out_len, size_t *needed)
{
    imagxp_header headers[IMAGXP_GO_HEADERS];
    imagxp_visit visit;
    imagxp_fetch list[4];
    imagxp_decision decision;
    uint32_t i, b;
    imagxp_go_visit(block, lens, texts, vouched, headers, &visit);
    for (i = 0; i < fetches; i++, told += 6) {
        list[i].kind = (int32_t)told[0];
        list[i].found = (int32_t)told[1];
        list[i].url = imagxp_str_of(urls, (size_t)told[2]);
        list[i].len = (uint64_t)told[3];
        list[i].asked_ms = told[4];
        list[i].answered_ms = told[5];
        for (b = 0; b < 32; b++) {
            list[i].sha256[b] = 0;
        }
        urls += told[2];
    }
    IMAGXP_INIT(&decision);
    decision.status = status;
    decision.received_ms = received_ms;
    decision.decided_ms = decided_ms;
    decision.fetches = list;
    decision.fetches_len = fetches;
    return imagxp_story_publisher(&visit, IMAGXP_POLICY(policy), verified, imagxp_go_scratch(scratch), &decision,
                                  IMAGXP_STORY_JSON, imagxp_go_buf(out, out_len), needed);
}

#cgo noescape imagxp_go_story
#cgo nocallback imagxp_go_story
*/
import "C"

// Told is a document that was fetched while a request waited.
type Told struct {
	Kind, Found         int32
	URL                 string
	Len                 int
	AskedMs, AnsweredMs int64
}

// ToldMax is how many fetches a decision has at most.
const ToldMax = 4

// Decision is how a request was decided.
type Decision struct {
	Status                int32
	Admission             bool // Admit was reached
	Vouched               uint32
	ReceivedMs, DecidedMs int64
	Told                  []Told
}

const storyMax = 8192

// Story writes the story of the request, a JSON object a line.
func (c *Call) Story(policy []uint64, decision *Decision) ([]byte, int32) {
	var urls []byte
	var numbers [6 * ToldMax]C.int64_t
	told := decision.Told[:min(len(decision.Told), ToldMax)]
	for i, fetch := range told {
		urls = append(urls, fetch.URL...)
		for at, number := range [6]int64{int64(fetch.Kind), int64(fetch.Found), int64(len(fetch.URL)), int64(fetch.Len), fetch.AskedMs, fetch.AnsweredMs} {
			numbers[6*i+at] = C.int64_t(number)
		}
	}
	var verified *C.imagxp_verified
	if decision.Admission {
		verified = &c.verified
	}
	out, needed := make([]byte, storyMax), C.size_t(0)
	status := C.imagxp_go_story(bytesPtr(c.block), &c.lens[0], C.uint32_t(c.texts), C.uint32_t(decision.Vouched), wordsPtr(policy), verified,
		&c.scratch[0], C.int32_t(decision.Status), C.int64_t(decision.ReceivedMs), C.int64_t(decision.DecidedMs),
		(*C.char)(unsafePointer(urls)), &numbers[0], C.uint32_t(len(told)), bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}
