// Command go-bench measures Publisher.Check beside golang-jwt: rounds interleaved, ratios of the fastest rounds.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/golang-jwt/jwt/v5"
	imagxp "github.com/imagxp/imagxp/bindings/go"
)

const (
	rounds   = 20
	perRound = 2048 // requests, each used once
	agents   = 4

	scaleRounds = 200
	perShort    = 256

	origin   = "https://pub.example.com"
	audience = "pub.example.com"
	broker   = "https://broker.example.com"
	bar      = 3.0
	scaleBar = 1.8
)

func main() {
	site := newSite()
	tokens := newTokens()
	free, paid := site.publisher(`{"allowRAG":true}`), site.publisher(`{"allowRAG":true,"requiresPayment":true,"price":"0.001","audiences":["`+audience+`"],"monetization":{"brokerUrl":"`+broker+`"}}`)
	site.warm(free, false)
	site.warm(paid, true)

	var ours, visa, baseline, one, two, oneCPU, twoCPU samples
	for range rounds {
		ours.add(check(free, site.sign(perRound, false)), perRound)
		baseline.add(tokens.parse(perRound/4), perRound/4)
		visa.add(check(paid, site.sign(perRound, true)), perRound)
	}
	// In short rounds: other work of the machine spares some of them.
	for range scaleRounds {
		requests := site.sign(3*perShort, false)
		before := cpuTime()
		one.add(inParallel(free, requests[:perShort], 1), perShort)
		between := cpuTime()
		two.add(inParallel(free, requests[perShort:], 2), 2*perShort)
		oneCPU.add(between-before, perShort)
		twoCPU.add(cpuTime()-between, 2*perShort)
	}
	ratio := baseline.min() / ours.min()
	scale := one.min() / two.min()
	fmt.Printf("Publisher.Check            %8.2f us\n", ours.min())
	fmt.Printf("Publisher.Check, with visa %8.2f us  (two signatures)\n", visa.min())
	fmt.Printf("golang-jwt, ES256 parse    %8.2f us\n", baseline.min())
	fmt.Printf("go_vs_golang_jwt: ratio %.2f, bar >= %.0f, %s\n", ratio, bar, met(ratio >= bar))
	fmt.Printf("with visa: ratio %.2f\n", baseline.min()/visa.min())
	fmt.Printf("two goroutines: %.2f times the throughput of one, bar >= %.1f, %s\n", scale, scaleBar, met(scale >= scaleBar))
	fmt.Printf("CPU of a request: %.2f us by one goroutine, %.2f us by two: on two free cores %.2f times the throughput, if no lock shows\n", oneCPU.min(), twoCPU.min(), 2*oneCPU.min()/twoCPU.min())
	site.allocations(free)

	write("target/bench/rows/go.json", map[string]any{
		"run": map[string]any{
			"method":   "interleaved rounds, ratios of minima; every request is used once, keys are prepared, 4 agents; scaling: wall time of one request, two goroutines beside one",
			"versions": map[string]string{"go": runtime.Version(), "golang-jwt": jwtVersion()},
		},
		"go_vs_golang_jwt":      newRow(ours, baseline, "golang-jwt v5 ES256 parse", 0),
		"go_visa_vs_golang_jwt": newRow(visa, baseline, "golang-jwt v5 ES256 parse", 0),
		"go_scaling_2_cores":    newRow(two, one, "one goroutine", scaleBar),
	})
}

func jwtVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/golang-jwt/jwt/v5" {
			return module.Version
		}
	}
	return "?"
}

func met(is bool) string {
	if is {
		return "met"
	}
	return "MISSED"
}

// samples are microseconds for one operation, a round each.
type samples []float64

func (s *samples) add(elapsed time.Duration, operations int) {
	*s = append(*s, float64(elapsed.Nanoseconds())/1e3/float64(operations))
}

func (s samples) min() float64 { return slices.Min(s) }

func (s samples) spread() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]/sorted[0] - 1
}

type row struct {
	Ours         float64 `json:"ours"`
	Baseline     float64 `json:"baseline"`
	Ratio        float64 `json:"ratio"`
	Unit         string  `json:"unit"`
	BaselineName string  `json:"baseline_name"`
	Bar          float64 `json:"bar,omitempty"`
	Met          *bool   `json:"met,omitempty"`
	Spread       float64 `json:"spread"`
	Noisy        bool    `json:"noisy"`
}

func newRow(ours, baseline samples, name string, bar float64) row {
	spread := max(ours.spread(), baseline.spread())
	r := row{Ours: ours.min(), Baseline: baseline.min(), Ratio: baseline.min() / ours.min(), Unit: "us", BaselineName: name, Bar: bar,
		Spread: spread, Noisy: spread > 0.5}
	if bar > 0 {
		met := r.Ratio >= bar
		r.Met = &met
	}
	return r
}

func write(path string, rows map[string]any) {
	text, err := json.MarshalIndent(rows, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// site is the world: agents, their manifests, and the broker's key set.
type site struct {
	agents    []*imagxp.Agent
	keyIDs    []string
	documents map[string][]byte
	broker    *ecdsa.PrivateKey
}

func newSite() *site {
	s := &site{documents: make(map[string][]byte), broker: newECDSA()}
	for i := range agents {
		key := must(imagxp.GenerateKey())
		agent := must(imagxp.NewAgent(fmt.Sprintf("bot%d.example.com", i), key))
		s.agents, s.keyIDs = append(s.agents, agent), append(s.keyIDs, key.KeyID())
		s.documents["https://"+agent.ID()+imagxp.ManifestPath] = must(agent.Manifest(imagxp.Manifest{}))
	}
	point := must(s.broker.PublicKey.ECDH()).Bytes()
	encode := base64.RawURLEncoding.EncodeToString
	s.documents[broker+imagxp.JWKSPath] = fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"%s","y":"%s"}]}`,
		encode(point[1:33]), encode(point[33:]))
	return s
}

// Fetch is all the network there is.
func (s *site) Fetch(_ context.Context, need imagxp.Need) (imagxp.Answer, error) {
	return imagxp.Answer{Outcome: imagxp.Found, Body: s.documents[need.URL], MaxAge: -1}, nil
}

func (s *site) publisher(policy string) *imagxp.Publisher {
	return must(imagxp.NewPublisher(imagxp.PublisherConfig{Policy: policy, Origins: []string{origin}, Fetcher: s, ReplaySlots: 1 << 20}))
}

// warm makes the agents busy, so that their keys get tables.
func (s *site) warm(publisher *imagxp.Publisher, paid bool) {
	for range 8 {
		check(publisher, s.sign(16*agents, paid))
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *site) sign(count int, paid bool) []*http.Request {
	requests := make([]*http.Request, count)
	visas := make([]string, agents)
	for i := range visas {
		visas[i] = s.visa(i)
	}
	for i := range requests {
		r := httptest.NewRequest(http.MethodGet, "/posts/a-page-of-the-usual-length?page=2", nil)
		r.Host = audience
		r.Header = http.Header{"User-Agent": {"bot"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "X-Request-Id": {"1"}}
		must(s.agents[i%agents].Sign(imagxp.Claims{Resource: origin + r.RequestURI, Purpose: imagxp.RAGRetrieval})).Set(r.Header)
		if paid {
			r.Header.Set(imagxp.HeaderCredential, visas[i%agents])
		}
		requests[i] = r
	}
	return requests
}

func (s *site) visa(i int) string {
	now := time.Now().Unix()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"payment_status": "paid", "amount": 0.001, "iat": now, "exp": now + 3600, "iss": broker,
		"aud": audience, "sub": s.agents[i].ID(), "cnf": map[string]string{"jkt": s.keyIDs[i]}})
	token.Header["kid"] = "1"
	return must(token.SignedString(s.broker))
}

func (s *site) allocations(publisher *imagxp.Publisher) {
	requests := s.sign(1000, false)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	check(publisher, requests)
	runtime.ReadMemStats(&after)
	allocations := float64(after.Mallocs-before.Mallocs) / float64(len(requests))
	fmt.Printf("allocations of a Check: %.2f, the verdict and its texts\n", allocations)
}

func check(publisher *imagxp.Publisher, requests []*http.Request) time.Duration {
	ctx := context.Background()
	start := time.Now()
	for _, r := range requests {
		must(publisher.Check(ctx, r))
	}
	return time.Since(start)
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func inParallel(publisher *imagxp.Publisher, requests []*http.Request, goroutines int) time.Duration {
	var all sync.WaitGroup
	share := len(requests) / goroutines
	start := time.Now()
	for i := range goroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			check(publisher, requests[i*share:][:share])
		}()
	}
	all.Wait()
	return time.Since(start)
}

// tokens are what golang-jwt parses: the claims of a visa, 64 tokens of four keys.
type tokens struct {
	texts  []string
	keys   []*ecdsa.PublicKey
	parser *jwt.Parser
}

type claims struct {
	jwt.RegisteredClaims
	PaymentStatus string  `json:"payment_status"`
	Amount        float64 `json:"amount"`
}

func newTokens() *tokens {
	t := &tokens{parser: jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(broker), jwt.WithAudience(audience), jwt.WithExpirationRequired())}
	var private []*ecdsa.PrivateKey
	for range agents {
		key := newECDSA()
		private, t.keys = append(private, key), append(t.keys, &key.PublicKey)
	}
	for i := range 64 {
		now := jwt.NewNumericDate(time.Now())
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims{jwt.RegisteredClaims{Issuer: broker, Audience: jwt.ClaimStrings{audience}, IssuedAt: now,
			ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)), ID: fmt.Sprint(i), Subject: fmt.Sprintf("bot%d.example.com", i%agents)}, "paid", 0.001})
		token.Header["kid"] = "1"
		t.texts = append(t.texts, must(token.SignedString(private[i%agents])))
	}
	return t
}

func (t *tokens) parse(count int) time.Duration {
	start := time.Now()
	for i := range count {
		key := t.keys[i%len(t.texts)%agents]
		token := must(t.parser.ParseWithClaims(t.texts[i%len(t.texts)], new(claims), func(*jwt.Token) (any, error) { return key, nil }))
		if !token.Valid {
			log.Fatal("a token is not valid")
		}
	}
	return time.Since(start)
}

func newECDSA() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
