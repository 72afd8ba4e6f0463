// The loop of a Go server: goroutines share one immutable key cache behind an atomic pointer; whoever has news clones
// it, supplies, and swaps. Results and scratch live in Go memory: they hold no pointers, as cgo demands.
package main

/*
#include <stdlib.h>
#include "imagxp.h"

// Flat arguments only: what holds pointers is put together here, on the C stack.
static imagxp_status verify(const char *payload, size_t payload_len, const char *signature, const char *key,
                            const uint64_t *policy, uint64_t *keys, size_t keys_len, int64_t now_ms,
                            uint8_t *scratch, size_t scratch_len, imagxp_verified *verified)
{
    imagxp_header headers[3];
    imagxp_key_cache view;
    imagxp_buf buf;
    imagxp_visit visit;
    headers[0].name = IMAGXP_STR(IMAGXP_HEADER_PAYLOAD);
    headers[0].value = imagxp_str_of(payload, payload_len);
    headers[1].name = IMAGXP_STR(IMAGXP_HEADER_SIGNATURE);
    headers[1].value = imagxp_str_of(signature, 128);
    headers[2].name = IMAGXP_STR(IMAGXP_HEADER_PUBLIC_KEY);
    headers[2].value = imagxp_str_of(key, 124);
    IMAGXP_INIT(&visit);
    visit.method = IMAGXP_STR("GET");
    visit.scheme = IMAGXP_STR("https");
    visit.authority = IMAGXP_STR("pub.example.com");
    visit.target = IMAGXP_STR("/a");
    visit.headers = headers;
    visit.headers_len = 3;
    view.words = keys;
    view.len = keys_len;
    buf.ptr = scratch;
    buf.len = scratch_len;
    return imagxp_request_verify(&visit, IMAGXP_POLICY(policy), &view, now_ms, buf, verified);
}

static imagxp_status supply(uint64_t *keys, size_t keys_len, const imagxp_need *need, uint8_t *scratch,
                            size_t scratch_len, const char *body, size_t body_len, int64_t now_ms)
{
    imagxp_key_cache view;
    imagxp_buf buf;
    imagxp_answer answer;
    view.words = keys;
    view.len = keys_len;
    buf.ptr = scratch;
    buf.len = scratch_len;
    answer.kind = IMAGXP_FOUND;
    answer.max_age_s = -1;
    answer.body = imagxp_str_of(body, body_len);
    return imagxp_key_cache_supply(&view, need, buf, answer, now_ms);
}

static imagxp_status admit(imagxp_verified *verified, uint8_t *scratch, size_t scratch_len, uint64_t *replay,
                           size_t replay_len, int64_t now_ms)
{
    imagxp_replay_cache view;
    imagxp_buf buf;
    view.words = replay;
    view.len = replay_len;
    buf.ptr = scratch;
    buf.len = scratch_len;
    return imagxp_request_admit(verified, buf, &view, now_ms);
}

static imagxp_status make(uint64_t *policy, uint64_t *keys, size_t keys_len, uint64_t *replay, size_t replay_len,
                          const uint8_t *seed)
{
    imagxp_key_cache_sizes sizes = {64, 1, 2, 8};
    imagxp_key_cache view;
    imagxp_replay_cache nonces;
    imagxp_status status = imagxp_policy_parse(IMAGXP_STR("{\"allowRAG\":true}"), policy, IMAGXP_POLICY_WORDS);
    view.words = keys;
    view.len = keys_len;
    nonces.words = replay;
    nonces.len = replay_len;
    if (status == IMAGXP_OK) status = imagxp_key_cache_new(&view, sizes, seed);
    if (status == IMAGXP_OK) status = imagxp_replay_cache_new(&nonces, seed, 0);
    return status;
}

static imagxp_status sign(const uint8_t *random, const uint8_t *nonce, int64_t now_ms, uint8_t *out, size_t len,
                          imagxp_signed *headers)
{
    imagxp_key key;
    imagxp_claims claims;
    imagxp_buf buf;
    imagxp_status status = imagxp_key_from_random(random, &key);
    buf.ptr = out;
    buf.len = len;
    IMAGXP_INIT(&claims);
    claims.agent_id = IMAGXP_STR("bot.example.com");
    claims.resource = IMAGXP_STR("https://pub.example.com/a");
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    if (status == IMAGXP_OK) status = imagxp_request_sign(&key, &claims, nonce, NULL, 0, now_ms, buf, headers);
    imagxp_key_wipe(&key);
    return status;
}

static size_t key_words(void) { return IMAGXP_KEY_CACHE_WORDS(64, 1, 2, 8); }
static size_t replay_words(void) { return IMAGXP_REPLAY_CACHE_WORDS(4096); }
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

const now = 1769428800000

type publisher struct {
	policy  []C.uint64_t
	keys    atomic.Value // []C.uint64_t, never written once it is here
	writing sync.Mutex
	replay  []C.uint64_t
	lock    sync.Mutex
	fetches int
}

type request struct {
	payload, signature, key []byte
}

func bytesOf(data []byte) *C.char { return (*C.char)(unsafe.Pointer(&data[0])) }

func (p *publisher) decide(r request, manifest []byte) C.imagxp_status {
	scratch := make([]C.uint8_t, 2048)
	verified := new(C.imagxp_verified)
	verified.size = C.size_t(unsafe.Sizeof(*verified))
	for {
		keys := p.keys.Load().([]C.uint64_t)
		status := C.verify(bytesOf(r.payload), C.size_t(len(r.payload)), bytesOf(r.signature), bytesOf(r.key),
			&p.policy[0], &keys[0], C.size_t(len(keys)), now, &scratch[0], C.size_t(len(scratch)), verified)
		switch status {
		case C.IMAGXP_NEED:
			p.learn(verified, scratch, manifest)
		case C.IMAGXP_VERIFIED:
			p.lock.Lock()
			defer p.lock.Unlock()
			return C.admit(verified, &scratch[0], C.size_t(len(scratch)), &p.replay[0], C.size_t(len(p.replay)), now)
		default:
			return status
		}
	}
}

// learn clones the key cache, supplies the clone, and swaps. The old one lives as long as its readers.
func (p *publisher) learn(verified *C.imagxp_verified, scratch []C.uint8_t, manifest []byte) {
	p.writing.Lock()
	defer p.writing.Unlock()
	clone := append([]C.uint64_t(nil), p.keys.Load().([]C.uint64_t)...)
	p.fetches++
	status := C.supply(&clone[0], C.size_t(len(clone)), &verified.need, &scratch[0], C.size_t(len(scratch)),
		bytesOf(manifest), C.size_t(len(manifest)), now)
	check(status == C.IMAGXP_OK, "supply")
	p.keys.Store(clone)
}

func check(good bool, what string) {
	if !good {
		fmt.Fprintln(os.Stderr, "cgo:", what)
		os.Exit(1)
	}
}

func span(memory []byte, at C.imagxp_span) []byte { return memory[at.at : at.at+at.len] }

func main() {
	p := &publisher{policy: make([]C.uint64_t, C.IMAGXP_POLICY_WORDS), replay: make([]C.uint64_t, C.replay_words())}
	keys := make([]C.uint64_t, C.key_words())
	seed := make([]C.uint8_t, 32)
	seed[0] = 1
	check(C.make(&p.policy[0], &keys[0], C.size_t(len(keys)), &p.replay[0], C.size_t(len(p.replay)), &seed[0]) == 0, "make")
	p.keys.Store(keys)

	requests := make([]request, 256)
	for i := range requests {
		nonce := make([]C.uint8_t, 16)
		nonce[0], nonce[1] = C.uint8_t(i), C.uint8_t(i>>8)
		out := make([]byte, C.IMAGXP_SIGNED_LEN)
		headers := new(C.imagxp_signed)
		headers.size = C.size_t(unsafe.Sizeof(*headers))
		status := C.sign(&seed[0], &nonce[0], now, (*C.uint8_t)(&out[0]), C.size_t(len(out)), headers)
		check(status == C.IMAGXP_OK, "sign")
		requests[i] = request{span(out, headers.payload), span(out, headers.signature), span(out, headers.public_key)}
	}
	manifest := []byte(`{"agent_id":"bot.example.com","public_key":"` + string(requests[0].key) + `"}`)

	admitted := make([]int32, len(requests))
	var all sync.WaitGroup
	for g := 0; g < 8; g++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i, r := range requests {
				if p.decide(r, manifest) == C.IMAGXP_OK {
					atomic.AddInt32(&admitted[i], 1)
				}
			}
		}()
	}
	all.Wait()
	for _, count := range admitted {
		check(count == 1, "admitted more or less than once")
	}
	check(p.fetches >= 1 && p.fetches <= 8, "fetches")
}
