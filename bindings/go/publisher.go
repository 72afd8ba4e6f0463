package imagxp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// PublisherConfig is what a publisher is made with. Policy and Origins are enough to begin.
type PublisherConfig struct {
	// Policy is the policy in its JSON; `imagxp policy check` says what is wrong with one.
	Policy string
	// Origins are what this site is called from outside: https://pub.example.com. A request for any other host is judged as one
	// for the first of them, so what was signed for another site is refused. May be empty in a development policy only: then
	// the request's own Host counts; and only there may one be plain http.
	Origins []string
	// Keys is how much to remember of keys; zero is 4,096 agents and 128 tables of 64 KiB, 10 MB.
	Keys KeyCacheSizes
	// ReplaySlots is how many requests to remember, 26 bytes each; zero is 450,000, for 1,000 a second.
	ReplaySlots int
	// AcceptFrom refuses what was signed before it, since an earlier process may have admitted it (ErrRestartGuard). Zero is now, or
	// never with a Store, which outlives processes.
	AcceptFrom time.Time
	// Store remembers nonces for several processes or nodes, which all have the same StoreSecret of 32 random bytes. With
	// StoreDegraded a store that fails is passed over, and each process remembers for itself.
	Store         ReplayStore
	StoreSecret   []byte
	StoreDegraded bool
	// Fetcher gets documents; nil is NewHTTPFetcher with its defaults.
	Fetcher Fetcher
	// Whitelist says which agents need not pay. It is asked with the name that the request claims; the library then proves it.
	Whitelist func(agentID string) bool
	// Edges says through which CDN a request has provably come, so that the headers it adds count.
	Edges func(*http.Request) Edge
	// ClientAddr is the address that fetches and failures are counted by; the zero Addr is not counted. nil is [PublicClient] of RemoteAddr.
	// Set it behind a proxy.
	ClientAddr func(*http.Request) netip.Addr
	// Logger gets one record for each refusal (info), admission (debug), and fault of this side (warn, error); nil is none.
	Logger *slog.Logger
	// Story gets the story of each decision, a record for each event: claimed, checked, fetched, granted. nil is none.
	Story *slog.Logger
	// Evidence records decisions and the documents that they rest on; nil is none. Open it before the publisher begins.
	Evidence *Evidence
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Edge is a CDN that the host vouches for.
type Edge uint32

// The edges.
const (
	Cloudflare Edge = 1 << iota
	Vercel
	CloudFront
)

const (
	// replaySlots are for 1,000 requests a second (imagxp size --rate).
	replaySlots = 450_000
	// roundsMax bounds a loop that ends by itself after three documents: the rest is for snapshots that others swap meanwhile.
	roundsMax = 16
	// patience is how long a request waits for a core before it is ErrBusy.
	patience = time.Second
)

// Publisher decides about requests by one policy. It may be used by many goroutines at once.
type Publisher struct {
	policy  []uint64
	terms   abi.Terms
	told    []byte // at PolicyPath
	origins []origin
	keys    *keyCache
	replay  *replayCache
	store   *sharedStore
	fetches fetches
	config  PublisherConfig
	calls   sync.Pool
	cores   chan struct{}
	hints   hints
	failed  failures
	pause   func(context.Context, time.Duration)
}

// origin is what a site is called.
type origin struct{ scheme, authority, defaultPort string }

// NewPublisher makes a publisher. ErrPolicyInvalid if the policy is not valid.
func NewPublisher(config PublisherConfig) (*Publisher, error) {
	if abi.Version() < abi.ABIVersion {
		return nil, fmt.Errorf("imagxp: the library is older than this package: %w", ErrABIVersion)
	}
	policy, status := abi.PolicyParse(config.Policy)
	if status != abi.OK {
		return nil, fmt.Errorf("imagxp: the policy: %w", Code(status))
	}
	terms, status := abi.PolicyTerms(policy)
	if status != abi.OK {
		return nil, fmt.Errorf("imagxp: the policy: %w", Code(status))
	}
	told, status := abi.PolicyDiscovery(policy)
	if status != abi.OK {
		return nil, fmt.Errorf("imagxp: the policy: %w", Code(status))
	}
	config.setDefaults(&terms)
	p := &Publisher{policy: policy, terms: terms, told: told, config: config, cores: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), pause: pause}
	p.calls.New = func() any { return new(abi.Call) }
	var err error
	if p.origins, err = originsOf(config.Origins, p.Development()); err != nil {
		return nil, err
	}
	if p.store, err = newSharedStore(&config); err != nil {
		return nil, err
	}
	p.config.StoreSecret = nil // it is in p.store, and not to be printed
	if p.keys, err = newKeyCache(config.Keys); err != nil {
		return nil, fmt.Errorf("imagxp: PublisherConfig.Keys: %w", err)
	}
	if p.replay, err = newReplayCache(config.ReplaySlots, config.AcceptFrom); err != nil {
		return nil, fmt.Errorf("imagxp: PublisherConfig.ReplaySlots: %w", err)
	}
	if p.Development() {
		p.log(context.Background(), slog.LevelWarn, "imagxp: the policy is for DEVELOPMENT: localhost is an agent, and plain http is good")
	}
	return p, nil
}

func (c *PublisherConfig) setDefaults(terms *abi.Terms) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Keys == (KeyCacheSizes{}) {
		c.Keys = KeyCacheSizes{Names: 4096, Issuers: 4, Tables: 128, TableKiB: 64}
	}
	if c.ReplaySlots == 0 {
		c.ReplaySlots = replaySlots
	}
	if c.AcceptFrom.IsZero() && c.Store == nil {
		c.AcceptFrom = c.Now()
	}
	if c.ClientAddr == nil {
		c.ClientAddr = remoteAddr
	}
	if c.Fetcher == nil {
		c.Fetcher = NewHTTPFetcher(HTTPFetcherConfig{Development: terms.Flags&abi.TermsDevelopment != 0})
	}
}

func originsOf(texts []string, development bool) ([]origin, error) {
	if len(texts) == 0 && !development {
		return nil, errors.New("imagxp: PublisherConfig.Origins is empty: say what this site is called, https://pub.example.com")
	}
	var origins []origin
	for _, text := range texts {
		parsed, err := url.Parse(text)
		if err != nil || parsed.Hostname() == "" || parsed.Scheme != "https" && parsed.Scheme != "http" || strings.Trim(parsed.Path, "/") != "" ||
			parsed.User != nil || strings.ContainsAny(text, "?#") {
			return nil, fmt.Errorf("imagxp: PublisherConfig.Origins: %q is not an origin such as https://pub.example.com", text)
		}
		if parsed.Scheme == "http" && !development {
			return nil, fmt.Errorf("imagxp: PublisherConfig.Origins: %q: plain http is for development: signatures, visas and content can be read on the way", text)
		}
		port := map[string]string{"https": ":443", "http": ":80"}[parsed.Scheme]
		origins = append(origins, origin{parsed.Scheme, strings.TrimSuffix(strings.ToLower(parsed.Host), port), port})
	}
	return origins, nil
}

// String says whose publisher it is, and nothing of its secret.
func (p *Publisher) String() string {
	return "imagxp.Publisher(" + strings.Join(p.config.Origins, ", ") + ")"
}

// GoString is String, so that %#v shows no more.
func (p *Publisher) GoString() string { return p.String() }

// Development says whether the policy is for development. Never on a public site.
func (p *Publisher) Development() bool { return p.terms.Flags&abi.TermsDevelopment != 0 }

// WarmUp fetches the key sets of the policy's issuers, so that the first paying visitor need not wait.
func (p *Publisher) WarmUp(ctx context.Context) error {
	var failed []error
	for _, document := range abi.PolicyDocuments(p.policy) {
		told, err := p.learn(ctx, document, cause{}, p.keys.read())
		if err == nil && told != nil && told.Found != abi.Found {
			err = fmt.Errorf("imagxp: %s could not be fetched: %w", document.URL, ErrJWKSUnavailable)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// ReplayStats counts what the replay cache holds and has refused.
func (p *Publisher) ReplayStats() ReplayStats { return p.replay.stats() }

// Check decides about a request, with or without IMAGXP headers. It waits for documents that it has to fetch, at most as long as
// ctx. The error is a *[Refusal]: answer with it, and with nothing else.
func (p *Publisher) Check(ctx context.Context, r *http.Request) (*Verdict, error) {
	call := p.calls.Get().(*abi.Call)
	defer p.calls.Put(call)
	p.read(call, r)
	var d decision
	p.decide(ctx, call, r, &d)
	if d.status != abi.OK {
		p.charge(&d)
		return nil, p.refuse(ctx, call, &d)
	}
	p.record(ctx, call, &d)
	p.tell(ctx, call, &d)
	result := call.Result()
	p.followUp(call, &result)
	verdict := newVerdict(&result)
	p.admitted(ctx, verdict)
	return verdict, nil
}

// decision is how a request is being decided.
type decision struct {
	client     netip.Addr
	status     int32
	fetched    bool // a document was asked for
	admission  bool // admit was reached
	retryAfter time.Duration
	cause      error
	vouched    uint32
	receivedMs int64
	told       []abi.Told
}

// decide verifies, fetches what is missing, verifies again, and admits.
func (p *Publisher) decide(ctx context.Context, call *abi.Call, r *http.Request, d *decision) {
	d.vouched, d.receivedMs = p.vouched(call, r), p.nowMs()
	d.client = p.config.ClientAddr(r)
	if len(r.Header["X-Imagxp-Signature"]) > 0 && p.failed.tooMany(d.client, time.Now()) {
		d.status, d.cause = int32(ErrBusy), errFailures
		return
	}
	for range roundsMax {
		keys := p.keys.read()
		d.status, d.cause = p.verify(ctx, call, *keys, d.vouched)
		if d.status != abi.Need {
			break
		}
		document := call.Need()
		d.fetched = true
		told, err := p.learn(ctx, document, cause{client: d.client}, keys)
		if err != nil {
			d.status, d.cause = int32(pending(document.Kind)), err
			return
		}
		if told != nil {
			d.told = append(d.told, *told)
		}
	}
	switch d.status {
	case abi.Need:
		d.status = int32(ErrBusy)
	case abi.Verified:
		d.admission = true
		d.status, d.retryAfter, d.cause = p.admit(ctx, call)
	}
}

// charge counts a refusal that took a signature check or a document to find out. None of them spends the nonce: the same message would
// cost as much again and again.
func (p *Publisher) charge(d *decision) {
	if d.status != int32(ErrBusy) && (d.fetched || abi.StatusIsBehindSignature(d.status)) {
		p.failed.note(d.client, time.Now())
	}
}

// decided is the decision as the library takes it.
func (p *Publisher) decided(d *decision) *abi.Decision {
	return &abi.Decision{Status: d.status, Admission: d.admission, Vouched: d.vouched, ReceivedMs: d.receivedMs, DecidedMs: p.nowMs(), Told: d.told}
}

func (p *Publisher) nowMs() int64 { return p.config.Now().UnixMilli() }

// verify runs on a core of its own: a call into C holds a thread, and there must not be more of them than cores can run.
func (p *Publisher) verify(ctx context.Context, call *abi.Call, keys []uint64, vouched uint32) (int32, error) {
	select {
	case p.cores <- struct{}{}:
	default:
		if err := p.waitForCore(ctx); err != nil {
			return int32(ErrBusy), err
		}
	}
	status := call.Verify(p.policy, keys, vouched, p.nowMs())
	<-p.cores
	return status, nil
}

func (p *Publisher) waitForCore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case p.cores <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// admit asks the store of all first: were it asked second and not to answer, this process would hold a visa for used that nobody has used. What
// the store has taken, this process remembers too, for the time when it is down.
func (p *Publisher) admit(ctx context.Context, call *abi.Call) (int32, time.Duration, error) {
	tags, status := p.store.tags(call)
	if status != abi.OK {
		return status, 0, nil
	}
	code, cause := p.store.take(ctx, tags)
	switch {
	case code == ErrReplayStoreDown && p.config.StoreDegraded:
		p.log(ctx, slog.LevelError, "imagxp: the replay store is down: this process remembers for itself", slog.Any("error", cause))
	case code != abi.OK:
		return int32(code), 0, cause
	}
	status, retryAfter := p.replay.admit(call, p.nowMs())
	if p.store != nil && code == abi.OK && (status == abi.ReplayCacheFull || status == int32(ErrAgentQuota)) {
		return abi.OK, 0, nil // there is no room here, but the store remembers, and must not have taken a visa in vain
	}
	return status, retryAfter, nil
}

// pending is the refusal while a document is on its way.
func pending(kind int32) Code {
	if kind == abi.NeedJWKS {
		return ErrJWKSUnavailable
	}
	return ErrIdentityPending
}

func (p *Publisher) vouched(call *abi.Call, r *http.Request) uint32 {
	var vouched uint32
	if p.config.Edges != nil {
		vouched = uint32(p.config.Edges(r) & (Cloudflare | Vercel | CloudFront))
	}
	if p.config.Whitelist != nil {
		if said, status := call.Parse(); status == abi.OK && said.AgentID != "" && p.config.Whitelist(said.AgentID) {
			vouched |= abi.VouchWhitelisted
		}
	}
	return vouched
}

func (p *Publisher) refuse(ctx context.Context, call *abi.Call, d *decision) *Refusal {
	code := Code(d.status)
	if d.retryAfter == 0 {
		d.retryAfter = code.RetryAfter()
	}
	refusal := &Refusal{Code: code, RetryAfter: d.retryAfter, Cause: d.cause, Body: call.Refusal(d.status, p.policy, d.admission)}
	if code.HTTPStatus() == http.StatusPaymentRequired {
		refusal.Broker, refusal.Price = p.terms.BrokerURL, p.terms.Price
	}
	p.record(ctx, call, d)
	p.tell(ctx, call, d)
	if said, status := call.Parse(); status == abi.OK { // last: it overwrites what the others read
		refusal.Claimed = Claimed{said.AgentID, said.Resource, Purpose(said.Purpose)}
	}
	p.refused(ctx, refusal)
	return refusal
}
