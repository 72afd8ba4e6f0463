//go:build cgo

package abi

/*
#include "shim.h"

static imagxp_status imagxp_go_key_from_text(const char *text, size_t len, uint64_t *key)
{
    return imagxp_key_from_text(imagxp_str_of(text, len), (imagxp_key *)key);
}

static imagxp_status imagxp_go_key_from_random(const uint8_t *random, uint64_t *key)
{
    return imagxp_key_from_random(random, (imagxp_key *)key);
}

static imagxp_status imagxp_go_key_public(const uint64_t *key, int32_t format, uint8_t *out, size_t len, size_t *needed)
{
    return imagxp_key_public((const imagxp_key *)key, format, imagxp_go_buf(out, len), needed);
}

static imagxp_status imagxp_go_key_export(const uint64_t *key, int32_t format, uint8_t *out, size_t len, size_t *needed)
{
    return imagxp_key_export((const imagxp_key *)key, format, imagxp_go_buf(out, len), needed);
}

static void imagxp_go_key_wipe(uint64_t *key) { imagxp_key_wipe((imagxp_key *)key); }

static void imagxp_go_claims(imagxp_claims *claims, const char *agent_id, size_t agent_id_len, const char *resource,
                             size_t resource_len, int32_t purpose, int32_t ads_displayed)
{
    IMAGXP_INIT(claims);
    claims->agent_id = imagxp_str_of(agent_id, agent_id_len);
    claims->resource = imagxp_str_of(resource, resource_len);
    claims->purpose = purpose;
    claims->ads_displayed = ads_displayed;
}

// Without IMAGXP_SIGN_CHECK: it costs three signatures, and the hedge protects the key against faults already.
static imagxp_status imagxp_go_sign(const uint64_t *key, const char *agent_id, size_t agent_id_len, const char *resource,
                                    size_t resource_len, int32_t purpose, int32_t ads_displayed, const uint8_t *random,
                                    int64_t now_ms, uint8_t *out, size_t out_len, imagxp_signed *headers)
{
    imagxp_claims claims;
    imagxp_go_claims(&claims, agent_id, agent_id_len, resource, resource_len, purpose, ads_displayed);
    IMAGXP_INIT(headers);
    return imagxp_request_sign((const imagxp_key *)key, &claims, random, random + 16, 0, now_ms,
                               imagxp_go_buf(out, out_len), headers);
}

static imagxp_status imagxp_go_sign_prepare(const char *public_key, size_t public_key_len, const char *agent_id,
                                            size_t agent_id_len, const char *resource, size_t resource_len,
                                            int32_t purpose, int32_t ads_displayed, const uint8_t *nonce, int64_t now_ms,
                                            uint8_t *out, size_t out_len, imagxp_signed *headers, uint8_t *digest)
{
    imagxp_claims claims;
    imagxp_go_claims(&claims, agent_id, agent_id_len, resource, resource_len, purpose, ads_displayed);
    IMAGXP_INIT(headers);
    return imagxp_request_prepare(imagxp_str_of(public_key, public_key_len), &claims, nonce, now_ms,
                                  imagxp_go_buf(out, out_len), headers, digest);
}

static imagxp_status imagxp_go_sign_attach(const imagxp_signed *headers, const uint8_t *signature, uint8_t *out,
                                           size_t out_len)
{
    return imagxp_request_attach(headers, signature, imagxp_go_buf(out, out_len));
}

// The block holds agent_id, public_key, contact_email, then a text for each listed key, then one for each revoked key.
static imagxp_status imagxp_go_manifest(const uint8_t *block, const uint32_t *lens, uint32_t listed, uint32_t revoked,
                                        const int64_t *times, uint8_t *out, size_t out_len, size_t *needed)
{
    imagxp_listed_key keys[4];
    imagxp_revoked_key gone[16];
    imagxp_manifest manifest;
    const char *at = (const char *)block;
    uint32_t i;
    IMAGXP_INIT(&manifest);
    manifest.agent_id = imagxp_str_of(at, lens[0]);
    at += lens[0];
    manifest.public_key = imagxp_str_of(at, lens[1]);
    at += lens[1];
    manifest.contact_email = imagxp_str_of(at, lens[2]);
    at += lens[2];
    for (i = 0; i < listed; i++) {
        keys[i].public_key = imagxp_str_of(at, lens[3 + i]);
        keys[i].nbf_s = times[2 * i];
        keys[i].exp_s = times[2 * i + 1];
        at += lens[3 + i];
    }
    for (i = 0; i < revoked; i++) {
        gone[i].kid = imagxp_str_of(at, lens[3 + listed + i]);
        gone[i].at_s = times[2 * (listed + i)];
        at += lens[3 + listed + i];
    }
    manifest.keys = keys;
    manifest.keys_len = listed;
    manifest.revoked = gone;
    manifest.revoked_len = revoked;
    return imagxp_manifest_write(&manifest, imagxp_go_buf(out, out_len), needed);
}

#cgo noescape imagxp_go_key_export
#cgo nocallback imagxp_go_key_export
#cgo noescape imagxp_go_key_from_random
#cgo nocallback imagxp_go_key_from_random
#cgo noescape imagxp_go_key_from_text
#cgo nocallback imagxp_go_key_from_text
#cgo noescape imagxp_go_key_public
#cgo nocallback imagxp_go_key_public
#cgo noescape imagxp_go_key_wipe
#cgo nocallback imagxp_go_key_wipe
#cgo noescape imagxp_go_manifest
#cgo nocallback imagxp_go_manifest
#cgo noescape imagxp_go_sign
#cgo nocallback imagxp_go_sign
#cgo noescape imagxp_go_sign_attach
#cgo nocallback imagxp_go_sign_attach
#cgo noescape imagxp_go_sign_prepare
#cgo nocallback imagxp_go_sign_prepare
*/
import "C"

// Formats of keys.
const (
	FormatText = C.IMAGXP_FORMAT_TEXT
	FormatPEM  = C.IMAGXP_FORMAT_PEM
	FormatJWK  = C.IMAGXP_FORMAT_JWK
	FormatKID  = C.IMAGXP_FORMAT_KID
)

// What the library refuses to take more of.
const (
	ListedMax   = 4
	RevokedMax  = 16
	manifestMax = 8192
	keyTextMax  = 320
)

// Key is a private key, in the library's own form.
type Key [16]uint64

// KeyFromText reads a private key.
func KeyFromText(text string, key *Key) int32 {
	return int32(C.imagxp_go_key_from_text(textPtr(text), C.size_t(len(text)), wordsPtr(key[:])))
}

// KeyFromRandom makes a private key of 32 random bytes.
func KeyFromRandom(random *[32]byte, key *Key) int32 {
	return int32(C.imagxp_go_key_from_random(bytesPtr(random[:]), wordsPtr(key[:])))
}

// Public writes the public key.
func (k *Key) Public(format int32) ([]byte, int32) {
	out, needed := make([]byte, keyTextMax), C.size_t(0)
	status := C.imagxp_go_key_public(wordsPtr(k[:]), C.int32_t(format), bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}

// Export writes the private key. Wipe it when it has served.
func (k *Key) Export(format int32) ([]byte, int32) {
	out, needed := make([]byte, keyTextMax), C.size_t(0)
	status := C.imagxp_go_key_export(wordsPtr(k[:]), C.int32_t(format), bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}

// Wipe overwrites the key.
func (k *Key) Wipe() { C.imagxp_go_key_wipe(wordsPtr(k[:])) }

// Claims is what an agent says about one request.
type Claims struct {
	AgentID, Resource string
	Purpose           int32
	AdsDisplayed      bool
}

func (c *Claims) ads() C.int32_t {
	if c.AdsDisplayed {
		return 1
	}
	return 0
}

// Signed are the header values of a signed request.
type Signed struct{ Payload, Signature, PublicKey string }

// Sign signs a request; random is the nonce's 16 bytes and 32 that hedge.
func (k *Key) Sign(claims *Claims, random *[48]byte, nowMs int64) (Signed, int32) {
	var headers C.imagxp_signed
	out := make([]C.uint8_t, signedLen)
	status := C.imagxp_go_sign(wordsPtr(k[:]), textPtr(claims.AgentID), C.size_t(len(claims.AgentID)),
		textPtr(claims.Resource), C.size_t(len(claims.Resource)), C.int32_t(claims.Purpose), claims.ads(),
		bytesPtr(random[:]), C.int64_t(nowMs), &out[0], C.size_t(len(out)), &headers)
	return signed(out, &headers), int32(status)
}

// SignPrepared signs with a key that is elsewhere: sign gets the digest, and gives r || s.
func SignPrepared(publicKey string, claims *Claims, nonce *[16]byte, nowMs int64, sign func(digest []byte) ([64]byte, error)) (Signed, int32, error) {
	var headers C.imagxp_signed
	var digest [32]byte
	out := make([]C.uint8_t, signedLen)
	status := C.imagxp_go_sign_prepare(textPtr(publicKey), C.size_t(len(publicKey)), textPtr(claims.AgentID),
		C.size_t(len(claims.AgentID)), textPtr(claims.Resource), C.size_t(len(claims.Resource)), C.int32_t(claims.Purpose),
		claims.ads(), bytesPtr(nonce[:]), C.int64_t(nowMs), &out[0], C.size_t(len(out)), &headers, bytesPtr(digest[:]))
	if status != OK {
		return Signed{}, int32(status), nil
	}
	signature, err := sign(digest[:])
	if err != nil {
		return Signed{}, OK, err
	}
	status = C.imagxp_go_sign_attach(&headers, bytesPtr(signature[:]), &out[0], C.size_t(len(out)))
	return signed(out, &headers), int32(status), nil
}

func signed(out []C.uint8_t, headers *C.imagxp_signed) Signed {
	text := func(span C.imagxp_span) string { return string(spanOf(out, span)) }
	return Signed{text(headers.payload), text(headers.signature), text(headers.public_key)}
}

// ManifestKey is a listed or a revoked key: its text, and its two times (a revoked key has one).
type ManifestKey struct {
	Text  string
	Times [2]int64
}

// ManifestWrite writes a manifest with at most ListedMax and RevokedMax keys.
func ManifestWrite(agentID, publicKey, contact string, listed, revoked []ManifestKey) ([]byte, int32) {
	block := []byte(agentID + publicKey + contact)
	lens := [3 + ListedMax + RevokedMax]C.uint32_t{C.uint32_t(len(agentID)), C.uint32_t(len(publicKey)), C.uint32_t(len(contact))}
	var times [2 * (ListedMax + RevokedMax)]C.int64_t
	for i, key := range append(append([]ManifestKey(nil), listed...), revoked...) {
		block = append(block, key.Text...)
		lens[3+i] = C.uint32_t(len(key.Text))
		times[2*i], times[2*i+1] = C.int64_t(key.Times[0]), C.int64_t(key.Times[1])
	}
	out, needed := make([]byte, manifestMax), C.size_t(0)
	status := C.imagxp_go_manifest(bytesPtr(block), &lens[0], C.uint32_t(len(listed)), C.uint32_t(len(revoked)), &times[0],
		bytesPtr(out), C.size_t(len(out)), &needed)
	return out[:min(int(needed), len(out))], int32(status)
}
