package imagxp

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// The shared cases (vectors/README.md) through the Go package: the same codes as in Rust.

const (
	vectorAgent = "bot.example.com"
	vectorKey   = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"
	vectorNow   = 1769428800000
)

type object = map[string]json.RawMessage

func loadVectors(t *testing.T, file string, into any) bool {
	t.Helper()
	folder := os.Getenv("IMAGXP_VECTORS")
	if folder == "" {
		folder = filepath.Join(repository(t), "vectors")
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("%s: not there, skipped", file)
		return false
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return true
}

// site is a publisher in a closed world, by the clock of its row.
type site struct {
	*Publisher
	network documents
	nowMs   int64
}

func newSite(policy string, whitelisted bool) (*site, error) {
	s := &site{nowMs: 1}
	config := PublisherConfig{
		Policy: policy, Origins: []string{testOrigin}, Keys: KeyCacheSizes{Names: 64, Issuers: 2}, ReplaySlots: 256,
		AcceptFrom: time.UnixMilli(0), Fetcher: &s.network, Now: func() time.Time { return time.UnixMilli(s.nowMs) },
	}
	if whitelisted {
		config.Whitelist = func(string) bool { return true }
	}
	var err error
	s.Publisher, err = NewPublisher(config)
	return s, err
}

func (s *site) judge(t *testing.T, header http.Header, nowMs int64) (string, *Verdict) {
	s.nowMs = nowMs
	verdict, err := s.Check(t.Context(), visit("/posts/a", header))
	return codeName(err), verdict
}

// learn supplies an agent's manifest at a time.
func (s *site) learn(t *testing.T, agentID, publicKey string, nowMs int64) {
	t.Helper()
	s.nowMs = nowMs
	document := abi.Document{Kind: abi.NeedManifest, MaxLen: 8192, URL: "https://" + agentID + ManifestPath, Host: agentID}
	answer := Answer{Outcome: Found, Body: manifestOf(agentID, publicKey), MaxAge: -1}
	if err := s.supply(t.Context(), &document, &answer); err != nil {
		t.Fatal(err)
	}
}

func manifestOf(agentID, publicKey string) []byte {
	text, _ := json.Marshal(map[string]string{"agent_id": agentID, "public_key": publicKey})
	return text
}

// vectorRow is a row of interop/: a request, a sequence of them, or a visa.
type vectorRow struct {
	ID                 string
	NowMs              int64           `json:"now_ms"`
	Policy             json.RawMessage `json:"policy"`
	Strategy           json.RawMessage
	ExpectedAudience   string                     `json:"expected_audience"`
	IdentityCache      map[string]string          `json:"identity_cache"`
	FetchTable         map[string]json.RawMessage `json:"fetch_table"`
	CheckPayment       string                     `json:"check_payment_returns"`
	Headers            map[string]string
	VisitorType        string `json:"visitor_type"`
	Steps              []vectorRow
	Token              string
	JWKS, JWKSHTTP     json.RawMessage
	JWKSHTTPUnderscore json.RawMessage `json:"jwks_http"`
	JWKSURL            string          `json:"jwks_url"`
	BrokerURL          string          `json:"broker_url"`
}

func (r *vectorRow) policyJSON() string {
	policy := object{}
	_ = json.Unmarshal(r.Policy, &policy) // a row without one has the defaults
	strategy := r.Strategy
	if strategy == nil {
		strategy = json.RawMessage("null")
	}
	maps.Copy(policy, object{"strategy": strategy, "resource_binding": json.RawMessage(`"off"`), "window": json.RawMessage("300000"),
		"skew": json.RawMessage("300000"), "audiences": marshal([]string{r.audience()})})
	return string(marshal(policy))
}

func (r *vectorRow) audience() string {
	if r.ExpectedAudience == "" {
		return "nytimes.com"
	}
	return r.ExpectedAudience
}

func marshal(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// documentOf is a recorded answer; false for none.
func documentOf(raw json.RawMessage, anyType bool) (Answer, bool) {
	var recorded struct {
		Status  *int
		Headers map[string]string
		Body    string
	}
	if json.Unmarshal(raw, &recorded) != nil {
		return Answer{}, false
	}
	if recorded.Status == nil {
		return Answer{}, true
	}
	header := make(http.Header)
	if media := recorded.Headers["content-type"]; media != "" && !anyType {
		header.Set("Content-Type", media)
	}
	outcome, _ := judgeResponse(&http.Response{StatusCode: *recorded.Status, Header: header})
	return Answer{Outcome: outcome, Body: []byte(recorded.Body), MaxAge: -1}, true
}

func (r *vectorRow) site(t *testing.T, nowMs int64) (*site, error) {
	s, err := newSite(r.policyJSON(), r.CheckPayment == "true")
	if err != nil {
		return nil, err
	}
	for agentID, publicKey := range r.IdentityCache {
		s.learn(t, agentID, publicKey, nowMs-60_000)
	}
	s.network.answers = make(map[string]Answer)
	for url, raw := range r.FetchTable {
		if answer, ok := documentOf(raw, false); ok {
			s.network.answers[url] = answer
		}
	}
	return s, nil
}

func (r *vectorRow) header() http.Header {
	header := make(http.Header)
	for name, value := range r.Headers {
		header.Add(name, wireBytes(value))
	}
	return header
}

// wireBytes are the bytes of a recorded value: Latin-1 where it is that.
func wireBytes(value string) string {
	var wire []byte
	for _, r := range value {
		if r > 0xff {
			return value
		}
		wire = append(wire, byte(r))
	}
	return string(wire)
}

// tally counts, and compares with the recorded code; a row without one is judged by accept or reject alone.
type tally struct {
	t              *testing.T
	passed, failed int
}

func (c *tally) check(file, id, got, want string) {
	if got == want {
		c.passed++
		return
	}
	c.failed++
	c.t.Errorf("%s %s: got %s, wanted %s", file, id, got, want)
}

func (c *tally) code(codes map[string]map[string]string, file, id, got, expect string) {
	if want, recorded := codes[file][id]; recorded {
		c.check(file, id, got, want)
		return
	}
	accepted := "reject"
	if got == "OK" {
		accepted = "accept"
	}
	c.check(file, id, accepted, expect)
}

// done says the counts. A folder of others may lack whole areas; ours may not.
func (c *tally) done() {
	c.t.Logf("%d passed, %d failed", c.passed, c.failed)
	if c.passed == 0 && os.Getenv("IMAGXP_VECTORS") == "" {
		c.t.Error("no row was run")
	}
}

type vectorFile struct {
	Vectors []struct {
		vectorRow
		Expect string
		Steps  []struct {
			vectorRow
			Expect string
		}
	}
}

func TestVectorsOfRequests(t *testing.T) {
	codes, count := map[string]map[string]string{}, &tally{t: t}
	loadVectors(t, "interop_codes.json", &codes)
	for _, area := range []string{"requests_accepted", "requests_rejected", "requests_encoding_quirks", "manifests", "policy", "heuristics"} {
		file := "interop/" + area + ".json"
		var rows vectorFile
		loadVectors(t, file, &rows)
		for _, row := range rows.Vectors {
			nowMs := max(row.NowMs, 1)
			s, err := row.site(t, nowMs)
			if err != nil {
				count.code(codes, file, row.ID, codeName(err), row.Expect)
				continue
			}
			got, verdict := s.judge(t, row.header(), nowMs)
			count.code(codes, file, row.ID, got, row.Expect)
			if got == "OK" && row.VisitorType != "" {
				count.check(file, row.ID, verdict.Visitor.String(), row.VisitorType)
			}
		}
	}
	for _, area := range []string{"replay", "replay_profile"} {
		file := "interop/" + area + ".json"
		var rows vectorFile
		loadVectors(t, file, &rows)
		for _, row := range rows.Vectors {
			s := must(row.site(t, row.Steps[0].NowMs))(t)
			for place, step := range row.Steps {
				got, _ := s.judge(t, step.header(), step.NowMs)
				count.code(codes, file, row.ID+"#"+strconv.Itoa(place), got, step.Expect)
			}
		}
	}
	count.done()
}

func vectorVisitor(t *testing.T) *Agent {
	t.Helper()
	return must(NewAgent(vectorAgent, must(ParseKey(vectorKey))(t)))(t)
}

func TestVectorsOfVisas(t *testing.T) {
	codes, count, agent := map[string]map[string]string{}, &tally{t: t}, vectorVisitor(t)
	loadVectors(t, "interop_codes.json", &codes)
	for _, file := range []string{"interop/visas_accepted.json", "interop/visas_rejected.json"} {
		var rows vectorFile
		loadVectors(t, file, &rows)
		for _, row := range rows.Vectors {
			policy := marshal(map[string]any{"allowTraining": true, "allowRAG": true, "requiresPayment": true, "resource_binding": "off",
				"audiences": []string{row.audience()}, "monetization": map[string]string{"brokerUrl": row.BrokerURL}})
			s, err := newSite(string(policy), false)
			if err != nil {
				count.code(codes, file, row.ID, codeName(err), row.Expect)
				continue
			}
			s.network.put("https://"+vectorAgent+ManifestPath, manifestOf(vectorAgent, agent.PublicKey()))
			if answer, ok := row.keySet(); ok {
				s.network.answers[row.JWKSURL] = answer
			}
			header := make(http.Header)
			must(agent.Sign(Claims{Resource: testOrigin + "/posts/a", Purpose: RAGRetrieval, Now: time.UnixMilli(row.NowMs)}))(t).Set(header)
			header.Set(HeaderCredential, row.Token)
			got, _ := s.judge(t, header, row.NowMs)
			count.code(codes, file, row.ID, got, row.Expect)
		}
	}
	count.done()
}

// keySet is the answer that the row records, or else its set.
func (r *vectorRow) keySet() (Answer, bool) {
	var recorded object
	if json.Unmarshal(r.JWKSHTTPUnderscore, &recorded) == nil && recorded != nil {
		return documentOf(r.JWKSHTTPUnderscore, true)
	}
	if r.JWKS == nil || string(r.JWKS) == "null" {
		return Answer{}, false
	}
	body, text := []byte(r.JWKS), ""
	if json.Unmarshal(r.JWKS, &text) == nil {
		body = []byte(text)
	}
	return Answer{Outcome: Found, Body: body, MaxAge: -1}, true
}
