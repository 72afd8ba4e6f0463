//go:build cgo

// Package abi is the border to libimagxp: everything that is C, and nothing that is not.
//
// Three rules keep it both legal and cheap. No memory that C sees holds a Go pointer: texts are copied into one block,
// and the views into it are put together on the C stack. No memory is C's: policies, caches, scratch and results lie in Go
// memory. Nothing escapes and nothing calls back: the library keeps no pointer after a call (imagxp.h, Memory), so every
// function is declared noescape and nocallback.
package abi

/*
#include "shim.h"

#cgo noescape imagxp_go_admit
#cgo nocallback imagxp_go_admit
#cgo noescape imagxp_go_parse
#cgo nocallback imagxp_go_parse
#cgo noescape imagxp_go_refusal
#cgo nocallback imagxp_go_refusal
#cgo noescape imagxp_go_tags
#cgo nocallback imagxp_go_tags
#cgo noescape imagxp_go_verify
#cgo nocallback imagxp_go_verify
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Statuses that go on; refusals are below 0.
const (
	OK       = C.IMAGXP_OK
	Need     = C.IMAGXP_NEED
	Verified = C.IMAGXP_VERIFIED
)

// What the package imagxp has to know of imagxp.h.
const (
	ABIVersion       = C.IMAGXP_ABI
	ReplayCacheFull  = C.IMAGXP_REPLAY_CACHE_FULL
	NeedManifest     = C.IMAGXP_NEED_MANIFEST
	NeedJWKS         = C.IMAGXP_NEED_JWKS
	Found            = C.IMAGXP_FOUND
	NotThere         = C.IMAGXP_NOT_THERE
	Unreachable      = C.IMAGXP_UNREACHABLE
	FlagSigned       = C.IMAGXP_SIGNED
	FlagAds          = C.IMAGXP_ADS_DISPLAYED
	FlagTokenBound   = C.IMAGXP_TOKEN_BOUND
	FlagSingleUse    = C.IMAGXP_SINGLE_USE
	FlagSteppedBack  = C.IMAGXP_CLOCK_STEPPED_BACK
	TermsDevelopment = C.IMAGXP_TERMS_DEVELOPMENT
	VouchWhitelisted = C.IMAGXP_VOUCHED_WHITELISTED
)

const (
	scratchLen     = C.IMAGXP_SCRATCH_LEN
	signedLen      = C.IMAGXP_SIGNED_LEN
	policyWords    = C.IMAGXP_POLICY_WORDS
	refusalBodyMax = 128 // imagxp_refusal_write
	fixedTexts     = 4   // method, scheme, authority, target
	textsMax       = fixedTexts + 2*C.IMAGXP_GO_HEADERS
	blockKept      = 32 << 10 // of a request; a longer one is not kept in the pool
)

// Call is the working memory of one request: its texts, the library's scratch, and the result. Keep them in a pool.
type Call struct {
	block    []byte
	lens     [textsMax]C.uint32_t
	texts    int
	verified C.imagxp_verified
	scratch  [scratchLen]C.uint8_t
}

// Begin takes the request line. Header lines follow with Header.
func (c *Call) Begin(method, scheme, authority, target string) {
	if cap(c.block) > blockKept {
		c.block = nil // one huge header must not stay in the pool
	}
	c.block, c.texts = c.block[:0], 0
	for _, text := range [fixedTexts]string{method, scheme, authority, target} {
		c.text(text)
	}
}

// Header takes one header line; false if there is no room for more.
func (c *Call) Header(name, value string) bool {
	if c.texts+2 > textsMax {
		return false
	}
	c.text(name)
	c.text(value)
	return true
}

func (c *Call) text(text string) {
	c.block = append(c.block, text...)
	c.lens[c.texts] = C.uint32_t(len(text))
	c.texts++
}

// Verify judges the request.
func (c *Call) Verify(policy, keys []uint64, vouched uint32, nowMs int64) int32 {
	return int32(C.imagxp_go_verify(bytesPtr(c.block), &c.lens[0], C.uint32_t(c.texts), C.uint32_t(vouched),
		wordsPtr(policy), wordsPtr(keys), C.size_t(len(keys)), C.int64_t(nowMs), &c.scratch[0], &c.verified))
}

// Admit admits what Verify has verified. The caller holds the lock of replay.
func (c *Call) Admit(replay []uint64, nowMs int64) int32 {
	return int32(C.imagxp_go_admit(&c.verified, &c.scratch[0], wordsPtr(replay), C.size_t(len(replay)), C.int64_t(nowMs)))
}

// Tag stands for a nonce or a `jti` in a store elsewhere. ExpiryS 0 is none.
type Tag struct {
	Bytes   [16]byte
	ExpiryS int64
}

// Tags gives the tags of what Verify has verified, before Admit.
func (c *Call) Tags(secret *[32]byte, tags *[2]Tag) int32 {
	var out [2]C.imagxp_tag
	status := C.imagxp_go_tags(&c.verified, &c.scratch[0], (*C.uint8_t)(&secret[0]), &out[0])
	for i := range out {
		tags[i].ExpiryS = int64(out[i].expiry_s)
		for at, b := range out[i].bytes {
			tags[i].Bytes[at] = byte(b)
		}
	}
	return int32(status)
}

// Refusal writes the body of a refusal; admission says whether Admit refused.
func (c *Call) Refusal(status int32, policy []uint64, admission bool) []byte {
	var out [refusalBodyMax]byte
	var needed C.size_t
	var verified *C.imagxp_verified
	if admission {
		verified = &c.verified
	}
	if C.imagxp_go_refusal(C.imagxp_status(status), wordsPtr(policy), verified, bytesPtr(out[:]), &needed) != OK {
		return nil
	}
	return append([]byte(nil), out[:needed]...)
}

// Result is what a verification found: numbers, and texts that last until the next Begin.
type Result struct {
	Flags                                               uint32
	Visitor, Purpose, Bound, Proof                      int32
	AgentID, Resource, Nonce, Payload, KID, Issuer, JTI []byte
	TsMs, AmountMicros, ExpiresS                        int64
	Prepare                                             uint64
}

// Result reads what the last Verify or Admit wrote.
func (c *Call) Result() Result {
	v := &c.verified
	return Result{
		Flags: uint32(v.flags), Visitor: int32(v.visitor), Purpose: int32(v.purpose), Bound: int32(v.bound), Proof: int32(v.proof),
		AgentID: c.span(v.agent_id), Resource: c.span(v.resource), Nonce: c.span(v.nonce), Payload: c.span(v.payload),
		KID: c.span(v.kid), Issuer: c.span(v.issuer), JTI: c.span(v.jti),
		TsMs: int64(v.ts_ms), AmountMicros: int64(v.amount_micros), ExpiresS: int64(v.expires_s), Prepare: uint64(v.prepare),
	}
}

// Document is one that is wanted.
type Document struct {
	Kind       int32
	Configured bool
	MaxLen     int
	URL, Host  string
}

// Need reads the document that Verify asked for.
func (c *Call) Need() Document { return c.document(&c.verified.need) }

// Refresh reads the hint which document is past its time; Kind is 0 if none is.
func (c *Call) Refresh() Document {
	if c.verified.refresh.kind == 0 {
		return Document{}
	}
	return c.document(&c.verified.refresh)
}

func (c *Call) document(need *C.imagxp_need) Document {
	return documentOf(need, c.scratch[:])
}

func documentOf(need *C.imagxp_need, scratch []C.uint8_t) Document {
	return Document{int32(need.kind), need.configured != 0, int(need.max_len), string(spanOf(scratch, need.url)), string(spanOf(scratch, need.host))}
}

// Unproven is what a request says.
type Unproven struct {
	Signed   bool
	Purpose  int32
	AgentID  string
	Resource string
}

// Parse reads what the request says, unproven.
func (c *Call) Parse() (Unproven, int32) {
	var out C.imagxp_unproven
	status := C.imagxp_go_parse(bytesPtr(c.block), &c.lens[0], C.uint32_t(c.texts), &c.scratch[0], &out)
	if status != OK {
		return Unproven{}, int32(status)
	}
	return Unproven{out.flags&FlagSigned != 0, int32(out.purpose), string(c.span(out.agent_id)), string(c.span(out.resource))}, OK
}

func (c *Call) span(s C.imagxp_span) []byte { return spanOf(c.scratch[:], s) }

// spanOf bounds every access, whatever the numbers say.
func spanOf(scratch []C.uint8_t, s C.imagxp_span) []byte {
	at, end := uint64(s.at), uint64(s.at)+uint64(s.len)
	if s.len == 0 || end > uint64(len(scratch)) {
		return nil
	}
	return unsafe.Slice((*byte)(&scratch[at]), int(s.len))
}

// bytesPtr, textPtr and wordsPtr give the first element, nil for none.
func bytesPtr(bytes []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(bytes)) }

func textPtr(text string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(text))) }

func wordsPtr(words []uint64) *C.uint64_t { return (*C.uint64_t)(unsafe.SliceData(words)) }

// Wipe overwrites secrets.
func Wipe(bytes []byte) {
	clear(bytes)
	runtime.KeepAlive(bytes)
}
