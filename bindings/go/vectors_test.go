package imagxp

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
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

type profileRow struct {
	ID     string
	In     json.RawMessage
	InHex  string `json:"in_hex"`
	OutHex string `json:"out_hex"`
	SPKI   string
	Ms     int64
	Expect string
}

func profile(t *testing.T, name string) []profileRow {
	t.Helper()
	var file struct{ Tests []profileRow }
	loadVectors(t, "profile/"+name+".json", &file)
	return file.Tests
}

func (r *profileRow) text(t *testing.T) string {
	t.Helper()
	var text string
	if err := json.Unmarshal(r.In, &text); err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	return text
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	return must(hex.DecodeString(text))(t)
}

func TestVectorsOfTheProfile(t *testing.T) {
	count := &tally{t: t}
	for _, row := range profile(t, "ssrf_address") {
		address := must(netip.ParseAddr(row.text(t)))(t)
		count.check("ssrf_address", row.ID, statusName(abi.MayConnect(address.AsSlice())), row.Expect)
	}
	for _, row := range profile(t, "agent_id") {
		count.check("agent_id", row.ID, statusName(abi.CheckAgentID(row.text(t), false)), row.Expect)
	}
	for _, row := range profile(t, "json_strict") {
		out, status := abi.JCS(unhex(t, row.InHex))
		count.check("json_strict", row.ID, statusName(status), row.Expect)
		if status == abi.OK {
			count.check("json_strict", row.ID, hex.EncodeToString(out), row.OutHex)
		}
	}
	for _, row := range profile(t, "spki") {
		_, status := abi.ManifestWrite(vectorAgent, base64.StdEncoding.EncodeToString(unhex(t, row.SPKI)), "", nil, nil)
		if Code(status) == ErrKeyFormat { // in a text, what is not the one form is told before what is not on the curve
			status = int32(ErrKeyInvalid)
		}
		count.check("spki", row.ID, statusName(status), row.Expect)
	}
	for name, member := range map[string]string{"nonce": "nonce", "timestamp": "ts"} {
		for _, row := range profile(t, name) {
			if len(row.In) > 2048 {
				continue // no header holds it
			}
			now := int64(vectorNow) // by the clock of the row: what is a time is fresh
			if name == "timestamp" && row.Ms != 0 {
				now = max(row.Ms, 1)
			}
			got := spoilt(t, now, 300_000, 60_000, object{member: row.In})
			count.check(name, row.ID, got, told(row.Expect))
		}
	}
	for _, row := range profile(t, "time_window") {
		var in [4]int64
		if err := json.Unmarshal(row.In, &in); err != nil {
			t.Fatal(err)
		}
		ts := time.UnixMilli(in[1]).UTC()
		if in[0] <= 0 || ts.Year() < 1970 || ts.Year() > 9999 {
			continue
		}
		got := spoilt(t, in[0], in[2], in[3], object{"ts": marshal(ts.Format("2006-01-02T15:04:05.000Z"))})
		count.check("time_window", row.ID, got, told(row.Expect))
	}
	count.done()
}

func statusName(status int32) string {
	if status == abi.OK {
		return "OK"
	}
	return Code(status).Name()
}

// spoilt judges a request whose signature is somebody else's: whatever is judged before the signature is told, and the rest is
// SIGNATURE_INVALID.
func spoilt(t *testing.T, nowMs, windowMs, skewMs int64, members object) string {
	t.Helper()
	payload := object{"v": marshal("1.1"), "ts": marshal("2026-01-26T12:00:00.000Z"), "nonce": marshal("0f0e0d0c-0b0a-4908-8706-050403020100"),
		"agent_id": marshal(vectorAgent), "resource": marshal(testOrigin + "/posts/a"), "purpose": marshal("RAG_RETRIEVAL")}
	maps.Copy(payload, members)
	s := must(newSite(string(marshal(map[string]any{"allowRAG": true, "window": windowMs, "skew": skewMs})), false))(t)
	header := make(http.Header)
	must(vectorVisitor(t).Sign(Claims{Resource: testOrigin + "/posts/a", Purpose: RAGRetrieval, Now: time.UnixMilli(vectorNow)}))(t).Set(header)
	header.Set(HeaderPayload, base64.StdEncoding.EncodeToString(marshal(payload)))
	got, _ := s.judge(t, header, nowMs)
	return got
}

func told(code string) string {
	if code == "OK" {
		return "SIGNATURE_INVALID"
	}
	return code
}

// The keys of the reference, in all the forms in which it wrote them.
func TestVectorsOfKeys(t *testing.T) {
	var file struct {
		Vectors []struct {
			ID     string
			Scalar string `json:"private_scalar_hex"`
			X      string `json:"public_x_hex"`
			Y      string `json:"public_y_hex"`
		}
	}
	loadVectors(t, "interop/keys.json", &file)
	const spki = "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
	for _, row := range file.Vectors {
		if row.Scalar == "" {
			continue
		}
		key := must(ParseKey(row.Scalar))(t)
		if want := base64.StdEncoding.EncodeToString(unhex(t, spki+row.X+row.Y)); key.PublicKey() != want {
			t.Errorf("%s: %s", row.ID, key.PublicKey())
		}
		for _, export := range []func() ([]byte, error){key.Export, key.ExportPEM} {
			again := must(ParseKey(string(must(export())(t))))(t)
			if again.KeyID() != key.KeyID() {
				t.Errorf("%s: an exported key is another", row.ID)
			}
		}
	}
}
