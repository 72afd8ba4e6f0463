//go:build cgo

package abi

/*
#include "shim.h"

static imagxp_status imagxp_go_evidence_document(const char *url, size_t url_len, const char *body, size_t body_len,
                                                 int64_t at_ms, imagxp_head *head, uint8_t *out, size_t out_len,
                                                 size_t *needed, uint8_t *sha256)
{
    return imagxp_evidence_document(imagxp_str_of(url, url_len), imagxp_str_of(body, body_len), at_ms, head,
                                    imagxp_go_buf(out, out_len), needed, sha256);
}

static imagxp_status imagxp_go_checkpoint(const uint64_t *key, const uint8_t *hedge, int64_t now_ms, imagxp_head *head,
                                          uint8_t *out, size_t out_len, size_t *needed)
{
    return imagxp_evidence_checkpoint((const imagxp_key *)key, hedge, IMAGXP_SIGN_CHECK, now_ms, head,
                                      imagxp_go_buf(out, out_len), needed);
}

static void imagxp_go_log_init(imagxp_log *log) { IMAGXP_INIT(log); }

static imagxp_status imagxp_go_log_line(imagxp_log *log, const char *key, size_t key_len, const char *line,
                                        size_t line_len, imagxp_record *record)
{
    imagxp_str keys[1];
    keys[0] = imagxp_str_of(key, key_len);
    IMAGXP_INIT(record);
    return imagxp_log_line(log, keys, 1, imagxp_str_of(line, line_len), record);
}

// The block holds the lines of the documents.
static imagxp_status imagxp_go_prove(const char *line, size_t line_len, const char *block, const uint32_t *lens,
                                     uint32_t documents, uint8_t *scratch, size_t scratch_len, imagxp_findings *findings)
{
    imagxp_str list[4];
    uint32_t i;
    for (i = 0; i < documents; i++) {
        list[i] = imagxp_str_of(block, lens[i]);
        block += lens[i];
    }
    IMAGXP_INIT(findings);
    return imagxp_evidence_prove(imagxp_str_of(line, line_len), list, documents, imagxp_go_buf(scratch, scratch_len),
                                 findings);
}

#cgo noescape imagxp_evidence_wants_checkpoint
#cgo nocallback imagxp_evidence_wants_checkpoint
#cgo noescape imagxp_go_checkpoint
#cgo nocallback imagxp_go_checkpoint
#cgo noescape imagxp_go_evidence_document
#cgo nocallback imagxp_go_evidence_document
#cgo noescape imagxp_go_log_init
#cgo nocallback imagxp_go_log_init
#cgo noescape imagxp_go_log_line
#cgo nocallback imagxp_go_log_line
#cgo noescape imagxp_go_prove
#cgo nocallback imagxp_go_prove
*/
import "C"

import "slices"

// Faults and kinds of records.
const (
	Fault            = C.IMAGXP_FAULT
	RecordDocument   = C.IMAGXP_RECORD_DOCUMENT
	RecordDecision   = C.IMAGXP_RECORD_DECISION
	RecordCheckpoint = C.IMAGXP_RECORD_CHECKPOINT
	documentMargin   = 512
	checkpointMax    = 512
	documentBodyMax  = 65536
)

// Head is where a log of evidence ends. A copy is a head, too.
type Head struct{ c C.imagxp_head }

// Count is how many lines there are.
func (h *Head) Count() uint64 { return uint64(h.c.count) }

// WantsCheckpoint says whether a checkpoint is due.
func (h *Head) WantsCheckpoint(sealed *Head, elapsedMs int64) bool {
	return C.imagxp_evidence_wants_checkpoint(&h.c, &sealed.c, C.int64_t(elapsedMs)) != 0
}

// Document writes the line that records a document, into out, and moves the head on.
func (h *Head) Document(url string, body []byte, atMs int64, out []byte) (line []byte, sha256 [32]byte, status int32) {
	needed := C.size_t(0)
	out = room(out, documentMargin+len(url)+(len(body)+2)/3*4)
	status = int32(C.imagxp_go_evidence_document(textPtr(url), C.size_t(len(url)), (*C.char)(unsafePointer(body)), C.size_t(len(body)),
		C.int64_t(atMs), &h.c, bytesPtr(out), C.size_t(len(out)), &needed, bytesPtr(sha256[:])))
	return out[:min(int(needed), len(out))], sha256, status
}

// Checkpoint writes a checkpoint, and moves the head on.
func (h *Head) Checkpoint(key *Key, hedge *[32]byte, nowMs int64, out []byte) ([]byte, int32) {
	needed := C.size_t(0)
	out = room(out, checkpointMax)
	status := C.imagxp_go_checkpoint(wordsPtr(key[:]), bytesPtr(hedge[:]), C.int64_t(nowMs), &h.c, bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}

// room gives a buffer of at least so many bytes.
func room(out []byte, size int) []byte {
	out = slices.Grow(out[:0], size)
	return out[:cap(out)]
}

// Log is a log that is being verified.
type Log struct{ c C.imagxp_log }

// NewLog begins.
func NewLog() *Log {
	log := new(Log)
	C.imagxp_go_log_init(&log.c)
	return log
}

// Head is where the chain is.
func (l *Log) Head() Head { return Head{l.c.head} }

// Bytes are those of the whole lines, Faults those found, Sealed the line of the last good checkpoint.
func (l *Log) Bytes() int64 { return int64(l.c.bytes) }

// Faults counts the faults.
func (l *Log) Faults() uint64 { return uint64(l.c.faults) }

// Sealed is the last good checkpoint's line.
func (l *Log) Sealed() uint64 { return uint64(l.c.sealed) }

// Record is one line, read.
type Record struct {
	Kind, Fault int32
	Status      int32
	Documents   [][32]byte
	SHA256      [32]byte
}

// Line verifies the next line, without its newline.
func (l *Log) Line(publicKey string, line []byte) (Record, int32) {
	var record C.imagxp_record
	status := C.imagxp_go_log_line(&l.c, textPtr(publicKey), C.size_t(len(publicKey)), (*C.char)(unsafePointer(line)), C.size_t(len(line)), &record)
	read := Record{Kind: int32(record.kind), Fault: int32(record.fault), Status: int32(record.status), SHA256: digest(record.sha256)}
	for i := range min(int(record.documents_len), len(record.documents)) {
		read.Documents = append(read.Documents, digest(record.documents[i]))
	}
	return read, int32(status)
}

func digest(from [32]C.uint8_t) (to [32]byte) {
	for i, b := range from {
		to[i] = byte(b)
	}
	return to
}

// Prove proves a decision by its line and those of its documents, at most four.
func Prove(line []byte, documents [][]byte) int32 {
	var block []byte
	var lens [4]C.uint32_t
	documents = documents[:min(len(documents), len(lens))]
	for i, document := range documents {
		block = append(block, document...)
		lens[i] = C.uint32_t(len(document))
	}
	scratch := make([]byte, documentBodyMax)
	var findings C.imagxp_findings
	return int32(C.imagxp_go_prove((*C.char)(unsafePointer(line)), C.size_t(len(line)), (*C.char)(unsafePointer(block)), &lens[0],
		C.uint32_t(len(documents)), bytesPtr(scratch), C.size_t(len(scratch)), &findings))
}
