//go:build cgo

package abi

/*
#include "shim.h"

static imagxp_status imagxp_go_story(const uint8_t *block, const uint32_t *lens, uint32_t texts, uint32_t vouched,
                                     const uint64_t *policy, const imagxp_verified *verified, uint8_t *scratch,
                                     int32_t status, int64_t received_ms, int64_t decided_ms, const char *urls,
                                     const int64_t *told, const uint8_t *sha256, uint32_t fetches, uint8_t *out,
                                     size_t out_len, size_t *needed)
{
    imagxp_header headers[IMAGXP_GO_HEADERS];
    imagxp_visit visit;
    imagxp_fetch list[IMAGXP_GO_FETCHES];
    imagxp_decision decision;
    imagxp_go_visit(block, lens, texts, vouched, headers, &visit);
    imagxp_go_decision(list, urls, told, sha256, fetches, status, received_ms, decided_ms, &decision);
    return imagxp_story_publisher(&visit, IMAGXP_POLICY(policy), verified, imagxp_go_scratch(scratch), &decision,
                                  IMAGXP_STORY_JSON, imagxp_go_buf(out, out_len), needed);
}

static imagxp_status imagxp_go_evidence_decision(const uint8_t *block, const uint32_t *lens, uint32_t texts,
                                                 uint32_t vouched, const imagxp_verified *verified, int32_t status,
                                                 int64_t received_ms, int64_t decided_ms, const char *urls,
                                                 const int64_t *told, const uint8_t *sha256, uint32_t fetches,
                                                 imagxp_head *head, uint8_t *out, size_t out_len, size_t *needed)
{
    imagxp_header headers[IMAGXP_GO_HEADERS];
    imagxp_visit visit;
    imagxp_fetch list[IMAGXP_GO_FETCHES];
    imagxp_decision decision;
    imagxp_go_visit(block, lens, texts, vouched, headers, &visit);
    imagxp_go_decision(list, urls, told, sha256, fetches, status, received_ms, decided_ms, &decision);
    return imagxp_evidence_decision(&visit, verified, &decision, head, imagxp_go_buf(out, out_len), needed);
}

#cgo noescape imagxp_go_evidence_decision
#cgo nocallback imagxp_go_evidence_decision
#cgo noescape imagxp_go_story
#cgo nocallback imagxp_go_story
*/
import "C"

// Told is a document that was fetched while a request waited. SHA256 is zeros if it was not recorded.
type Told struct {
	Kind, Found         int32
	URL                 string
	Len                 int
	AskedMs, AnsweredMs int64
	SHA256              [32]byte
}

const toldMax = C.IMAGXP_GO_FETCHES

// Decision is how a request was decided.
type Decision struct {
	Status                int32
	Admission             bool // Admit was reached
	Vouched               uint32
	ReceivedMs, DecidedMs int64
	Told                  []Told
}

// flatTold is what imagxp_go_decision takes.
type flatTold struct {
	urls    []byte
	numbers [6 * toldMax]C.int64_t
	sha256  [32 * toldMax]byte
	count   C.uint32_t
}

func (d *Decision) flat() *flatTold {
	flat := new(flatTold)
	for i, fetch := range d.Told[:min(len(d.Told), toldMax)] {
		flat.urls = append(flat.urls, fetch.URL...)
		for at, number := range [6]int64{int64(fetch.Kind), int64(fetch.Found), int64(len(fetch.URL)), int64(fetch.Len), fetch.AskedMs, fetch.AnsweredMs} {
			flat.numbers[6*i+at] = C.int64_t(number)
		}
		copy(flat.sha256[32*i:], fetch.SHA256[:])
		flat.count++
	}
	return flat
}

func (c *Call) verifiedOf(decision *Decision) *C.imagxp_verified {
	if decision.Admission {
		return &c.verified
	}
	return nil
}

const (
	storyMax    = 8192
	decisionMax = 24576
)

// Story writes the story of the request, a JSON object a line.
func (c *Call) Story(policy []uint64, decision *Decision) ([]byte, int32) {
	told := decision.flat()
	out, needed := make([]byte, storyMax), C.size_t(0)
	status := C.imagxp_go_story(bytesPtr(c.block), &c.lens[0], C.uint32_t(c.texts), C.uint32_t(decision.Vouched), wordsPtr(policy),
		c.verifiedOf(decision), &c.scratch[0], C.int32_t(decision.Status), C.int64_t(decision.ReceivedMs), C.int64_t(decision.DecidedMs),
		(*C.char)(unsafePointer(told.urls)), &told.numbers[0], bytesPtr(told.sha256[:]), told.count, bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}

// EvidenceDecision appends the line that records a decision to out, and moves the head on.
func (c *Call) EvidenceDecision(decision *Decision, head *Head, out []byte) ([]byte, int32) {
	told, needed := decision.flat(), C.size_t(0)
	out = room(out, decisionMax)
	status := C.imagxp_go_evidence_decision(bytesPtr(c.block), &c.lens[0], C.uint32_t(c.texts), C.uint32_t(decision.Vouched),
		c.verifiedOf(decision), C.int32_t(decision.Status), C.int64_t(decision.ReceivedMs), C.int64_t(decision.DecidedMs),
		(*C.char)(unsafePointer(told.urls)), &told.numbers[0], bytesPtr(told.sha256[:]), told.count, &head.c, bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}
