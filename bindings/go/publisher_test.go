package imagxp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func asCode(err error, code *Code) bool { return errors.As(err, code) }

func TestAdmitsOnce(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network})
	r := signedVisit(t, agent, "/a?b=c")

	verdict, err := publisher.Check(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if verdict.Visitor != VerifiedAgent || verdict.AgentID != agent.ID() || verdict.Purpose != RAGRetrieval || verdict.Bound != BoundExact ||
		verdict.Resource != testOrigin+"/a?b=c" || verdict.Proof != ProofNone || len(verdict.KeyID) != 43 || !verdict.Signed() ||
		time.Since(verdict.SignedAt).Abs() > time.Minute {
		t.Errorf("%+v", verdict)
	}
	_, err = publisher.Check(t.Context(), r)
	var refusal *Refusal
	if !errors.Is(err, ErrReplayDetected) || !errors.As(err, &refusal) || refusal.HTTPStatus() != http.StatusForbidden ||
		refusal.Claimed.AgentID != agent.ID() {
		t.Errorf("a replay: %v", err)
	}
	if stats := publisher.ReplayStats(); stats.Admitted != 1 || stats.RefusedUsed != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestRefusals(t *testing.T) {
	network, agent, liar := new(documents), newTestAgent(t, "bot.example.com"), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	stranger := newTestAgent(t, "nowhere.example.com")
	publisher := small(t, PublisherConfig{Fetcher: network})
	edited := func(edit func(http.Header)) *http.Request {
		r := signedVisit(t, agent, "/a")
		edit(r.Header)
		return r
	}
	elsewhere := signedVisit(t, agent, "/a")
	elsewhere.Host = "other.example.com" // judged as a request for this site, and signed for it
	forAnother := visit("/a", make(http.Header))
	must(agent.Sign(Claims{Resource: "https://other.example.com/a", Purpose: RAGRetrieval}))(t).Set(forAnother.Header)
	forAnother.Host = "other.example.com"
	for _, row := range []struct {
		name   string
		r      *http.Request
		want   error
		status int
		public string
	}{
		{"nobody", visit("/a", nil), ErrIdentityRequired, 401, "IDENTITY_REQUIRED"},
		{"a liar", signedVisit(t, liar, "/a"), ErrKeyMismatch, 403, "IDENTITY_UNVERIFIED"},
		{"a stranger without a manifest", signedVisit(t, stranger, "/a"), ErrManifestUnavailable, 403, "IDENTITY_UNVERIFIED"},
		{"another target", func() *http.Request { r := signedVisit(t, agent, "/a"); r.RequestURI = "/b"; return r }(), ErrResourceMismatch, 403, "RESOURCE_MISMATCH"},
		{"signed for another site, sent with its Host", forAnother, ErrResourceMismatch, 403, "RESOURCE_MISMATCH"},
		{"two payloads", edited(func(h http.Header) { h.Add(HeaderPayload, h.Get(HeaderPayload)) }), ErrHeaderDuplicate, 400, "HEADER_DUPLICATE"},
		{"a hundred payloads", edited(func(h http.Header) {
			for range 100 {
				h.Add(HeaderPayload, h.Get(HeaderPayload))
			}
		}), ErrHeaderDuplicate, 400, "HEADER_DUPLICATE"},
		{"no signature", edited(func(h http.Header) { h.Del(HeaderSignature) }), ErrHeadersPartial, 401, "HEADERS_PARTIAL"},
		{"a megabyte", edited(func(h http.Header) { h.Set(HeaderPayload, string(make([]byte, 1<<20))) }), ErrHeadersTooLarge, 431, "HEADERS_TOO_LARGE"},
	} {
		_, err := publisher.Check(t.Context(), row.r)
		var refusal *Refusal
		if !errors.Is(err, row.want) || !errors.As(err, &refusal) {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		w := httptest.NewRecorder()
		refusal.ServeHTTP(w, row.r)
		if want := `{"error":"` + row.public + `"`; w.Code != row.status || w.Body.Len() < len(want) || w.Body.String()[:len(want)] != want {
			t.Errorf("%s: %d %s", row.name, w.Code, w.Body)
		}
	}
	if _, err := publisher.Check(t.Context(), elsewhere); err != nil {
		t.Errorf("behind a CDN the public name counts: %v", err)
	}
}

func TestConfigurationsThatAreWrong(t *testing.T) {
	for name, config := range map[string]PublisherConfig{
		"a typo in the policy":  {Policy: `{"alowRAG":true}`, Origins: []string{testOrigin}},
		"no origin":             {Policy: `{}`},
		"an origin with a path": {Policy: `{}`, Origins: []string{testOrigin + "/a"}},
		"plain http":            {Policy: `{}`, Origins: []string{"http://pub.example.com"}},
		"a user":                {Policy: `{}`, Origins: []string{"https://user@pub.example.com"}},
		"a query":               {Policy: `{}`, Origins: []string{testOrigin + "?a"}},
		"an empty query":        {Policy: `{}`, Origins: []string{testOrigin + "?"}},
		"a fragment":            {Policy: `{}`, Origins: []string{testOrigin + "#a"}},
		"a port alone":          {Policy: `{}`, Origins: []string{"https://:443"}},
		"a short secret":        {Policy: `{}`, Origins: []string{testOrigin}, Store: new(memoryStore), StoreSecret: []byte("short")},
		"no slots":              {Policy: `{}`, Origins: []string{testOrigin}, ReplaySlots: -1},
		"slots without end":     {Policy: `{}`, Origins: []string{testOrigin}, ReplaySlots: 1 << 62},
		"names without end":     {Policy: `{}`, Origins: []string{testOrigin}, Keys: KeyCacheSizes{Names: 1<<32 - 1, Issuers: 1}},
		"sizes that cannot be":  {Policy: `{}`, Origins: []string{testOrigin}, Keys: KeyCacheSizes{Names: 8, Issuers: 1, Tables: 1, TableKiB: 5}},
	} {
		if _, err := NewPublisher(config); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := NewPublisher(PublisherConfig{Policy: "{", Origins: []string{testOrigin}}); !errors.Is(err, ErrPolicyInvalid) {
		t.Errorf("%v", err)
	}
}

// One fetch for all who want the same document, and one more for none of those who come after.
func TestOneFetchForAll(t *testing.T) {
	network, agent := &documents{delay: 20 * time.Millisecond}, newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network})
	var all sync.WaitGroup
	for range 64 {
		r := signedVisit(t, agent, "/a")
		start(&all, func() {
			if _, err := publisher.Check(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if fetches := network.fetches.Load(); fetches != 1 {
		t.Errorf("%d fetches", fetches)
	}
}

// Whoever does not wait for a document is refused, and the document comes all the same.
func TestImpatience(t *testing.T) {
	network, agent := &documents{delay: 50 * time.Millisecond}, newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network})
	ctx, cancel := contextWithTimeout(t, time.Millisecond)
	defer cancel()
	_, err := publisher.Check(ctx, signedVisit(t, agent, "/a"))
	var refusal *Refusal
	if !errors.Is(err, ErrIdentityPending) || !errors.As(err, &refusal) || refusal.RetryAfter == 0 || refusal.HTTPStatus() != 503 {
		t.Errorf("%v", err)
	}
	if _, err := publisher.Check(t.Context(), signedVisit(t, agent, "/a")); err != nil || network.fetches.Load() != 1 {
		t.Errorf("%v, %d fetches", err, network.fetches.Load())
	}
}

// A busy agent's key gets its table behind its back, and its requests are admitted before and after.
func TestBusyKeysArePrepared(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network})
	before := publisher.keys.read()
	var first *[]uint64
	for range 64 {
		if _, err := publisher.Check(t.Context(), signedVisit(t, agent, "/a")); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = publisher.keys.read()
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for publisher.keys.read() == first && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if publisher.keys.read() == first || first == before {
		t.Error("the key of an agent of 64 requests was not prepared")
	}
}

func TestWhitelistAndEdges(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	policy := `{"allowRAG":true,"requiresPayment":true,"price":"0.001","audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}`
	paying := small(t, PublisherConfig{Fetcher: network, Policy: policy})
	_, err := paying.Check(t.Context(), signedVisit(t, agent, "/a"))
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Code != ErrVisaRequired || refusal.Broker != "https://broker.example.com" || refusal.Price != "0.001" {
		t.Fatalf("%v", err)
	}
	friends := small(t, PublisherConfig{Fetcher: network, Policy: policy, Whitelist: func(id string) bool { return id == agent.ID() }})
	verdict, err := friends.Check(t.Context(), signedVisit(t, agent, "/a"))
	if err != nil || verdict.Proof != ProofWhitelist {
		t.Errorf("%+v %v", verdict, err)
	}
	hybrid := `{"strategy":"HYBRID"}`
	header := http.Header{"Cf-Ray": {"1"}, "User-Agent": {"Mozilla/5.0"}}
	for edge, admitted := range map[Edge]bool{Cloudflare: true, 0: false, Vercel: false} {
		site := small(t, PublisherConfig{Policy: hybrid, Edges: func(*http.Request) Edge { return edge }})
		if _, err := site.Check(t.Context(), visit("/", header.Clone())); (err == nil) != admitted {
			t.Errorf("edge %d: %v", edge, err)
		}
	}
}

// The hot path's rule: 64 goroutines, each with every request; each nonce wins once.
func TestWinsEqualNonces(t *testing.T) {
	const goroutines, batch = 64, 4096
	nonces := envInt(t, "IMAGXP_RACES", 96)
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	// The largest table: verifying takes the most of this test's time.
	keys := KeyCacheSizes{Names: 64, Issuers: 2, Tables: 1, TableKiB: 320}
	uncounted := func(*http.Request) netip.Addr { return netip.Addr{} } // or whoever repeats so much is told to come later
	publisher := small(t, PublisherConfig{Fetcher: network, Keys: keys, ReplaySlots: 4*nonces + 4096, ClientAddr: uncounted})
	won := func(r *http.Request) bool {
		_, err := publisher.Check(t.Context(), r)
		for errors.Is(err, ErrBusy) { // a machine with other work: nothing was written
			_, err = publisher.Check(t.Context(), r)
		}
		if err != nil && !errors.Is(err, ErrReplayDetected) {
			t.Error(err)
		}
		return err == nil
	}
	begun := time.Now()
	for done := 0; done < nonces; done += batch { // none is older than the policy's window when its turn comes
		requests, wins := make([]*http.Request, min(batch, nonces-done)), make([]atomic.Int32, batch)
		inParallel(goroutines, func(one int) {
			for i := one; i < len(requests); i += goroutines {
				requests[i] = signedVisit(t, agent, "/")
			}
		})
		inParallel(goroutines, func(int) {
			for i, request := range requests {
				if won(request) {
					wins[i].Add(1)
				}
			}
		})
		for i := range requests {
			if wins[i].Load() != 1 {
				t.Errorf("nonce %d has won %d times", done+i, wins[i].Load())
			}
		}
	}
	if stats := publisher.ReplayStats(); stats.Admitted != uint64(nonces) || stats.RefusedUsed != uint64((goroutines-1)*nonces) {
		t.Errorf("%+v", stats)
	}
	t.Logf("%d goroutines, %d nonces, %d checks in %v", goroutines, nonces, goroutines*nonces, time.Since(begun).Round(time.Second))
}

func inParallel(goroutines int, work func(one int)) {
	var all sync.WaitGroup
	for one := range goroutines {
		start(&all, func() { work(one) })
	}
	all.Wait()
}

// A site of several names: each is judged by its own, with its default port or without.
func TestOrigins(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network, Origins: []string{"https://first.example.com", testOrigin + ":443/", "https://third.example.com:8080"}})
	for host, resource := range map[string]string{"pub.example.com": testOrigin, "PUB.example.com:443": testOrigin, "third.example.com:8080": "https://third.example.com:8080",
		"unknown.example.com": "https://first.example.com"} {
		r := visit("/a", make(http.Header))
		must(agent.Sign(Claims{Resource: resource + "/a", Purpose: Summary}))(t).Set(r.Header)
		r.Host = host
		if _, err := publisher.Check(t.Context(), r); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// Who waits too long for a core is told so, and may come again with the same request.
func TestBusy(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network})
	for range cap(publisher.cores) {
		publisher.cores <- struct{}{}
	}
	ctx, cancel := contextWithTimeout(t, time.Millisecond)
	defer cancel()
	r := signedVisit(t, agent, "/a")
	_, err := publisher.Check(ctx, r)
	var refusal *Refusal
	if !errors.Is(err, ErrBusy) || !errors.As(err, &refusal) || refusal.HTTPStatus() != 503 || refusal.RetryAfter == 0 {
		t.Errorf("%v", err)
	}
	for range cap(publisher.cores) {
		<-publisher.cores
	}
	if _, err := publisher.Check(t.Context(), r); err != nil {
		t.Errorf("the same once more: %v", err)
	}
}

// A Fetcher that never comes back holds nobody for ever.
func TestAFetcherThatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for three seconds")
	}
	publisher := small(t, PublisherConfig{Fetcher: hanging{}})
	_, err := publisher.Check(t.Context(), signedVisit(t, newTestAgent(t, "bot.example.com"), "/a"))
	if !errors.Is(err, ErrIdentityPending) {
		t.Errorf("%v", err)
	}
}

type hanging struct{}

func (hanging) Fetch(ctx context.Context, _ Need) (Answer, error) {
	<-ctx.Done()
	return Answer{}, ctx.Err()
}

// Everybody may read the terms, and nothing else.
func TestDiscovery(t *testing.T) {
	publisher := small(t, PublisherConfig{Policy: `{"strategy":"STRICT","allowRAG":true,"requiresPayment":true,"price":"0.001",
		"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}`})
	handler := publisher.Handler(http.NotFoundHandler())
	ask := func(method, target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w
	}
	got, head := ask(http.MethodGet, PolicyPath), ask(http.MethodHead, PolicyPath)
	if !json.Valid(got.Body.Bytes()) || got.Code != 200 || got.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if !strings.Contains(got.Body.String(), `https://broker.example.com`) || !strings.Contains(got.Body.String(), `0.001`) {
		t.Errorf("%s", got.Body)
	}
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != strconv.Itoa(got.Body.Len()) {
		t.Errorf("%d %q %v", head.Code, head.Body, head.Header())
	}
	for _, row := range [][2]string{{http.MethodPost, PolicyPath}, {http.MethodGet, PolicyPath + "/a"}, {http.MethodGet, "/"}} {
		if got := ask(row[0], row[1]); got.Code != 401 {
			t.Errorf("%s: %d", row, got.Code)
		}
	}
}
