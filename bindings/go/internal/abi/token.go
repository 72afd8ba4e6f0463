//go:build cgo

package abi

/*
#include "shim.h"

static imagxp_str imagxp_go_next(const char **at, uint32_t len)
{
    imagxp_str text = imagxp_str_of(*at, len);
    *at += len;
    return text;
}

// The block holds agent_id, url, audience, jti, visa, payload.
static imagxp_status imagxp_go_feedback(const uint64_t *key, const char *block, const uint32_t *lens, uint32_t score,
                                        int32_t reason, const uint8_t *hedge, int64_t now_ms, uint8_t *out, size_t out_len,
                                        size_t *needed)
{
    imagxp_feedback feedback;
    IMAGXP_INIT(&feedback);
    feedback.agent_id = imagxp_go_next(&block, lens[0]);
    feedback.url = imagxp_go_next(&block, lens[1]);
    feedback.audience = imagxp_go_next(&block, lens[2]);
    feedback.jti = imagxp_go_next(&block, lens[3]);
    feedback.visa = imagxp_go_next(&block, lens[4]);
    feedback.payload = imagxp_go_next(&block, lens[5]);
    feedback.score = score;
    feedback.reason = reason;
    return imagxp_feedback_sign((const imagxp_key *)key, &feedback, hedge, IMAGXP_SIGN_CHECK, now_ms,
                                imagxp_go_buf(out, out_len), needed);
}

// The block holds kid, issuer, audience, agent_id, public_key, jti, currency.
static imagxp_status imagxp_go_visa(const uint64_t *key, const char *block, const uint32_t *lens, int64_t amount_micros,
                                    uint32_t lifetime_s, int32_t purpose, const uint8_t *hedge, int64_t now_ms,
                                    uint8_t *out, size_t out_len, size_t *needed)
{
    imagxp_visa visa;
    imagxp_str kid = imagxp_go_next(&block, lens[0]);
    IMAGXP_INIT(&visa);
    visa.issuer = imagxp_go_next(&block, lens[1]);
    visa.audience = imagxp_go_next(&block, lens[2]);
    visa.agent_id = imagxp_go_next(&block, lens[3]);
    visa.public_key = imagxp_go_next(&block, lens[4]);
    visa.jti = imagxp_go_next(&block, lens[5]);
    visa.currency = imagxp_go_next(&block, lens[6]);
    visa.amount_micros = amount_micros;
    visa.lifetime_s = lifetime_s;
    visa.purpose = purpose;
    return imagxp_visa_issue((const imagxp_key *)key, kid, &visa, hedge, IMAGXP_SIGN_CHECK, now_ms,
                             imagxp_go_buf(out, out_len), needed);
}

// The block holds kid and public key in turn.
static imagxp_status imagxp_go_jwks(const char *block, const uint32_t *lens, uint32_t count, uint8_t *out, size_t out_len,
                                    size_t *needed)
{
    imagxp_published_key keys[32];
    uint32_t i;
    for (i = 0; i < count; i++) {
        keys[i].kid = imagxp_go_next(&block, lens[2 * i]);
        keys[i].public_key = imagxp_go_next(&block, lens[2 * i + 1]);
    }
    return imagxp_jwks_write(keys, count, imagxp_go_buf(out, out_len), needed);
}

// The block holds the feedback, agent_id, public_key, and then the audiences, at most sixteen.
static imagxp_status imagxp_go_feedback_verify(const char *block, const uint32_t *lens, uint32_t audiences, int64_t now_ms,
                                               uint8_t *scratch, imagxp_judgement *judgement)
{
    imagxp_str feedback = imagxp_go_next(&block, lens[0]);
    imagxp_str agent_id = imagxp_go_next(&block, lens[1]);
    imagxp_str public_key = imagxp_go_next(&block, lens[2]);
    imagxp_str names[16];
    uint32_t i;
    for (i = 0; i < audiences; i++) {
        names[i] = imagxp_go_next(&block, lens[3 + i]);
    }
    IMAGXP_INIT(judgement);
    return imagxp_feedback_verify(feedback, agent_id, public_key, names, audiences, now_ms,
                                  imagxp_go_buf(scratch, IMAGXP_FEEDBACK_LEN), judgement);
}

static imagxp_status imagxp_go_provenance(const uint64_t *key, int32_t origin, const uint8_t *hedge, int64_t now_ms,
                                          uint8_t *out, imagxp_provenance *headers)
{
    IMAGXP_INIT(headers);
    return imagxp_provenance_sign((const imagxp_key *)key, origin, hedge, 0, now_ms,
                                  imagxp_go_buf(out, IMAGXP_PROVENANCE_LEN), headers);
}

// The block holds public key, content origin, signature, ts.
static imagxp_status imagxp_go_provenance_verify(const char *block, const uint32_t *lens, int64_t now_ms,
                                                 uint32_t window_ms, uint32_t skew_ms, int32_t *origin, int64_t *ts_ms)
{
    imagxp_str public_key = imagxp_go_next(&block, lens[0]);
    imagxp_str content_origin = imagxp_go_next(&block, lens[1]);
    imagxp_str signature = imagxp_go_next(&block, lens[2]);
    imagxp_str ts = imagxp_go_next(&block, lens[3]);
    return imagxp_provenance_verify(public_key, content_origin, signature, ts, now_ms, window_ms, skew_ms, origin, ts_ms);
}

// The block holds the token, agent_id and public_key.
static imagxp_status imagxp_go_visa_verify(const char *block, const uint32_t *lens, int32_t role, const uint64_t *policy,
                                           const uint64_t *keys, size_t keys_len, int64_t now_ms, uint8_t *scratch,
                                           imagxp_token *found)
{
    imagxp_str token = imagxp_go_next(&block, lens[0]);
    imagxp_str agent_id = imagxp_go_next(&block, lens[1]);
    imagxp_str public_key = imagxp_go_next(&block, lens[2]);
    imagxp_key_cache view = imagxp_go_keys(keys, keys_len);
    IMAGXP_INIT(found);
    return imagxp_visa_verify(token, role, agent_id, public_key, IMAGXP_POLICY(policy), &view, now_ms,
                              imagxp_go_scratch(scratch), found);
}

#cgo noescape imagxp_go_visa_verify
#cgo nocallback imagxp_go_visa_verify
#cgo noescape imagxp_go_feedback_verify
#cgo nocallback imagxp_go_feedback_verify
#cgo noescape imagxp_go_provenance
#cgo nocallback imagxp_go_provenance
#cgo noescape imagxp_go_provenance_verify
#cgo nocallback imagxp_go_provenance_verify
#cgo noescape imagxp_go_feedback
#cgo nocallback imagxp_go_feedback
#cgo noescape imagxp_go_jwks
#cgo nocallback imagxp_go_jwks
#cgo noescape imagxp_go_visa
#cgo nocallback imagxp_go_visa
*/
import "C"

const (
	feedbackMax = 2048
	visaMax     = 4096
	jwksMax     = 32 << 10
	// PublishedMax is how many keys a key set has at most.
	PublishedMax = 32
)

// texts puts texts into one block.
func texts(all ...string) (block []byte, lens []C.uint32_t) {
	for _, text := range all {
		block = append(block, text...)
		lens = append(lens, C.uint32_t(len(text)))
	}
	return block, lens
}

// Feedback is what an agent has to say.
type Feedback struct {
	AgentID, URL, Audience, JTI, Visa, Payload string
	Score                                      uint32
	Reason                                     int32
}

// SignFeedback signs feedback.
func (k *Key) SignFeedback(f *Feedback, hedge *[32]byte, nowMs int64) ([]byte, int32) {
	block, lens := texts(f.AgentID, f.URL, f.Audience, f.JTI, f.Visa, f.Payload)
	out, needed := make([]byte, feedbackMax), C.size_t(0)
	status := C.imagxp_go_feedback(wordsPtr(k[:]), (*C.char)(unsafePointer(block)), &lens[0], C.uint32_t(f.Score), C.int32_t(f.Reason),
		bytesPtr(hedge[:]), C.int64_t(nowMs), bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}

// AudiencesMax is how many names a reader of feedback has at most.
const AudiencesMax = 16

// Judgement is verified feedback.
type Judgement struct {
	Score          uint32
	Outcome        int32
	Reasons        uint32
	TsMs           int64
	URL, JTI, Visa string
	Request        [32]byte
}

// VerifyFeedback verifies feedback, for at most AudiencesMax names.
func VerifyFeedback(feedback, agentID, publicKey string, audiences []string, nowMs int64) (Judgement, int32) {
	block, lens := texts(append([]string{feedback, agentID, publicKey}, audiences...)...)
	scratch := make([]C.uint8_t, C.IMAGXP_FEEDBACK_LEN)
	var j C.imagxp_judgement
	status := C.imagxp_go_feedback_verify((*C.char)(unsafePointer(block)), &lens[0], C.uint32_t(len(audiences)), C.int64_t(nowMs), &scratch[0], &j)
	if status != OK {
		return Judgement{}, int32(status)
	}
	text := func(span C.imagxp_span) string { return string(spanOf(scratch, span)) }
	return Judgement{uint32(j.score), int32(j.outcome), uint32(j.reasons), int64(j.ts_ms), text(j.url), text(j.jti), text(j.visa), digest(j.request)}, OK
}

// Token is what a visa or ad proof says; with Need, the key set to fetch.
type Token struct {
	Need         Document
	Bound        bool
	Issuer, JTI  string
	AmountMicros int64
	ExpiresS     int64
}

// VerifyToken verifies a token outside a request.
func VerifyToken(token string, role int32, agentID, publicKey string, policy, keys []uint64, nowMs int64) (Token, int32) {
	block, lens := texts(token, agentID, publicKey)
	scratch := make([]C.uint8_t, scratchLen)
	var found C.imagxp_token
	status := C.imagxp_go_visa_verify((*C.char)(unsafePointer(block)), &lens[0], C.int32_t(role), wordsPtr(policy), wordsPtr(keys),
		C.size_t(len(keys)), C.int64_t(nowMs), &scratch[0], &found)
	switch status {
	case Need:
		return Token{Need: documentOf(&found.need, scratch)}, Need
	case Verified:
		text := func(span C.imagxp_span) string { return string(spanOf(scratch, span)) }
		return Token{Bound: found.flags&FlagTokenBound != 0, Issuer: text(found.issuer), JTI: text(found.jti),
			AmountMicros: int64(found.amount_micros), ExpiresS: int64(found.expires_s)}, Verified
	}
	return Token{}, int32(status)
}

// Provenance are the header values that say where a response's content comes from.
type Provenance struct{ Origin, Signature, TS string }

// SignProvenance signs where content comes from.
func (k *Key) SignProvenance(origin int32, hedge *[32]byte, nowMs int64) (Provenance, int32) {
	out := make([]C.uint8_t, C.IMAGXP_PROVENANCE_LEN)
	var headers C.imagxp_provenance
	status := C.imagxp_go_provenance(wordsPtr(k[:]), C.int32_t(origin), bytesPtr(hedge[:]), C.int64_t(nowMs), &out[0], &headers)
	text := func(span C.imagxp_span) string { return string(spanOf(out, span)) }
	return Provenance{text(headers.origin), text(headers.signature), text(headers.ts)}, int32(status)
}

// VerifyProvenance verifies it by the publisher's public key.
func VerifyProvenance(publicKey string, p *Provenance, nowMs int64, windowMs, skewMs uint32) (origin int32, tsMs int64, status int32) {
	block, lens := texts(publicKey, p.Origin, p.Signature, p.TS)
	var from C.int32_t
	var ts C.int64_t
	status = int32(C.imagxp_go_provenance_verify((*C.char)(unsafePointer(block)), &lens[0], C.int64_t(nowMs), C.uint32_t(windowMs),
		C.uint32_t(skewMs), &from, &ts))
	return int32(from), int64(ts), status
}

// Visa is what a visa says.
type Visa struct {
	Issuer, Audience, AgentID, PublicKey, JTI, Currency string
	AmountMicros                                        int64
	LifetimeS                                           uint32
	Purpose                                             int32
}

// IssueVisa issues a visa.
func (k *Key) IssueVisa(kid string, v *Visa, hedge *[32]byte, nowMs int64) ([]byte, int32) {
	block, lens := texts(kid, v.Issuer, v.Audience, v.AgentID, v.PublicKey, v.JTI, v.Currency)
	out, needed := make([]byte, visaMax), C.size_t(0)
	status := C.imagxp_go_visa(wordsPtr(k[:]), (*C.char)(unsafePointer(block)), &lens[0], C.int64_t(v.AmountMicros), C.uint32_t(v.LifetimeS),
		C.int32_t(v.Purpose), bytesPtr(hedge[:]), C.int64_t(nowMs), bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}

// JWKSWrite writes a key set of pairs of kid and public key, at most PublishedMax.
func JWKSWrite(pairs []string) ([]byte, int32) {
	block, lens := texts(pairs...)
	lens = append(lens, 0) // never empty
	out, needed := make([]byte, jwksMax), C.size_t(0)
	status := C.imagxp_go_jwks((*C.char)(unsafePointer(block)), &lens[0], C.uint32_t(len(pairs)/2), bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}
