package imagxp

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
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

// ownVectors is the project's own folder; vectorFolder the one that is run.
func ownVectors(t *testing.T) string { return filepath.Join(repository(t), "vectors") }

func vectorFolder(t *testing.T) string {
	if folder := os.Getenv("IMAGXP_VECTORS"); folder != "" {
		return folder
	}
	return ownVectors(t)
}

// loadRows reads the rows of a file; none, and said so, where it is not there.
func loadRows(t *testing.T, folder, file string) []json.RawMessage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, file))
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("%s: not there, skipped", file)
		return nil
	}
	var rows []json.RawMessage
	var document struct{ Vectors, Tests []json.RawMessage }
	if err == nil && json.Unmarshal(text, &rows) != nil {
		err = json.Unmarshal(text, &document)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return append(append(rows, document.Vectors...), document.Tests...)
}

func decode[T any](t *testing.T, raw json.RawMessage) T {
	t.Helper()
	var row T
	if err := json.Unmarshal(raw, &row); err != nil {
		t.Fatalf("%v: %.200s", err, raw)
	}
	return row
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
	Expect             string
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

// tally counts, and compares.
type tally struct {
	t              *testing.T
	passed, failed int
	codes          map[string]map[string]string
	own            map[string]map[string]any
}

func (c *tally) check(file, id, got, want string) {
	if got == want {
		c.passed++
		return
	}
	c.failed++
	c.t.Errorf("%s %s: got %s, wanted %s", file, id, got, want)
}

// code compares with the recorded code of a row of ours; of any other row, with whether it is admitted.
func (c *tally) code(file string, raw json.RawMessage, id, got, expect string) {
	c.t.Helper()
	name, _, _ := strings.Cut(id, "#")
	if want, recorded := c.recorded(file)[id]; recorded && reflect.DeepEqual(c.own[file][name], decode[any](c.t, raw)) {
		c.check(file, id, got, want)
		return
	}
	c.check(file, id, accepted(got == "OK"), expect)
}

func accepted(is bool) string {
	if is {
		return "accept"
	}
	return "reject"
}

// recorded are the codes of our own file, and with them its rows.
func (c *tally) recorded(file string) map[string]string {
	c.t.Helper()
	if c.codes == nil {
		text := must(os.ReadFile(filepath.Join(ownVectors(c.t), "interop_codes.json")))(c.t)
		c.codes, c.own = decode[map[string]map[string]string](c.t, text), make(map[string]map[string]any)
	}
	if c.own[file] == nil {
		c.own[file] = make(map[string]any)
		for _, raw := range loadRows(c.t, ownVectors(c.t), file) {
			c.own[file][decode[struct{ ID string }](c.t, raw).ID] = decode[any](c.t, raw)
		}
	}
	return c.codes[file]
}

// done says the counts. A folder of others may lack whole areas; ours may not.
func (c *tally) done() {
	c.t.Logf("%d passed, %d failed", c.passed, c.failed)
	if c.passed == 0 && os.Getenv("IMAGXP_VECTORS") == "" {
		c.t.Error("no row was run")
	}
}

func TestVectorsOfRequests(t *testing.T) {
	count := &tally{t: t}
	for _, area := range []string{"requests_accepted", "requests_rejected", "requests_encoding_quirks", "manifests", "policy", "heuristics"} {
		file := "interop/" + area + ".json"
		for _, raw := range loadRows(t, vectorFolder(t), file) {
			row := decode[vectorRow](t, raw)
			nowMs := max(row.NowMs, 1)
			s, err := row.site(t, nowMs)
			if err != nil {
				count.code(file, raw, row.ID, codeName(err), row.Expect)
				continue
			}
			got, verdict := s.judge(t, row.header(), nowMs)
			count.code(file, raw, row.ID, got, row.Expect)
			if got == "OK" && row.VisitorType != "" {
				count.check(file, row.ID, verdict.Visitor.String(), row.VisitorType)
			}
		}
	}
	for _, area := range []string{"replay", "replay_profile"} {
		file := "interop/" + area + ".json"
		for _, raw := range loadRows(t, vectorFolder(t), file) {
			row := decode[vectorRow](t, raw)
			s := must(row.site(t, row.Steps[0].NowMs))(t)
			for place, step := range row.Steps {
				got, _ := s.judge(t, step.header(), step.NowMs)
				count.code(file, raw, row.ID+"#"+strconv.Itoa(place), got, step.Expect)
			}
		}
	}
	count.done()
}

// vectorVisitor is the agent of a set: it has the key `key-agent` of that set.
func vectorVisitor(t *testing.T) *Agent {
	t.Helper()
	key := vectorKey
	for _, raw := range loadRows(t, vectorFolder(t), "interop/keys.json") {
		if row := decode[keyRow](t, raw); row.ID == "key-agent" {
			key = row.Scalar
		}
	}
	return must(NewAgent(vectorAgent, must(ParseKey(key))(t)))(t)
}

func TestVectorsOfVisas(t *testing.T) {
	count, agent := &tally{t: t}, vectorVisitor(t)
	for _, file := range []string{"interop/visas_accepted.json", "interop/visas_rejected.json"} {
		for _, raw := range loadRows(t, vectorFolder(t), file) {
			row := decode[vectorRow](t, raw)
			policy := marshal(map[string]any{"allowTraining": true, "allowRAG": true, "requiresPayment": true, "resource_binding": "off",
				"audiences": []string{row.audience()}, "monetization": map[string]string{"brokerUrl": row.BrokerURL}})
			s, err := newSite(string(policy), false)
			if err != nil {
				count.code(file, raw, row.ID, codeName(err), row.Expect)
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
			count.code(file, raw, row.ID, got, row.Expect)
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
