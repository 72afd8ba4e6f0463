package imagxp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A real agent, a real site and a real broker over HTTP on this machine, in development mode.

// testNet is the three of them.
type testNet struct {
	agent     *Agent
	publisher *Publisher
	site      *httptest.Server
	broker    *testBroker
}

const developmentPolicy = `{"development":true,"allowRAG":true,"strategy":"STRICT"%s}`

// serveManifest makes an agent whose manifest is served on localhost.
func serveManifest(t testing.TB) *Agent {
	t.Helper()
	var agent *Agent
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	agent = newTestAgent(t, strings.Replace(strings.TrimPrefix(server.URL, "http://"), "127.0.0.1", "localhost", 1))
	manifest := must(agent.Manifest(Manifest{ContactEmail: "security@example.com"}))(t)
	mux.HandleFunc("GET "+ManifestPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(manifest)
	})
	return agent
}

func newTestNet(t testing.TB, members string, handler http.Handler) *testNet {
	t.Helper()
	n := &testNet{agent: serveManifest(t), broker: newTestBroker(t)}
	members = strings.ReplaceAll(members, "BROKER", n.broker.URL)
	n.publisher = must(NewPublisher(PublisherConfig{Policy: fmt.Sprintf(developmentPolicy, members), AcceptFrom: time.UnixMilli(1),
		Keys: KeyCacheSizes{Names: 64, Issuers: 2}, ReplaySlots: 4096}))(t)
	n.site = httptest.NewServer(n.publisher.Handler(handler))
	t.Cleanup(n.site.Close)
	return n
}

func (n *testNet) client(wallet *Wallet) *http.Client {
	return &http.Client{Transport: &Transport{Agent: n.agent, Purpose: RAGRetrieval, Wallet: wallet}}
}

const paying = `,"requiresPayment":true,"price":"0.001","audiences":["127.0.0.1"],"monetization":{"brokerUrl":"BROKER"}`

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	verdict, ok := FromContext(r.Context())
	fmt.Fprintln(w, ok, verdict.Visitor, verdict.AgentID, verdict.Proof)
})

func get(t testing.TB, client *http.Client, url string) (int, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, string(must(io.ReadAll(response.Body))(t))
}

func TestRoundTrip(t *testing.T) {
	mux := http.NewServeMux()
	n := newTestNet(t, "", mux)
	mux.Handle("/a", hello)
	mux.Handle("/redirect", http.RedirectHandler("/a?x=%20y#fragment", http.StatusFound))
	mux.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	client := n.client(nil)
	want := fmt.Sprintf("true VERIFIED_AGENT %s NONE\n", n.agent.ID())
	for _, path := range []string{"/a", "/a?b=c&d=%2F", "/redirect", "/a"} {
		if status, body := get(t, client, n.site.URL+path); status != 200 || body != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	response := must(client.Post(n.site.URL+"/post", "text/plain", strings.NewReader("body")))(t)
	if body := must(io.ReadAll(response.Body))(t); string(body) != "body" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	response.Body.Close()
	if status, body := get(t, http.DefaultClient, n.site.URL+"/a"); status != 401 || !strings.HasPrefix(body, `{"error":"IDENTITY_REQUIRED"`) {
		t.Errorf("unsigned: %d %s", status, body)
	}
	request := must(http.NewRequest(http.MethodGet, n.site.URL+"/a", nil))(t)
	must(client.Do(request))(t).Body.Close()
	if len(request.Header) != 0 {
		t.Errorf("the caller's request was changed: %v", request.Header)
	}
}

// testBroker sells visas: ES256 by the standard library, so that what is bought here is nobody's own format.
type testBroker struct {
	*httptest.Server
	key   *ecdsa.PrivateKey
	sales atomic.Int32
	life  time.Duration
	broke atomic.Bool  // answers 402
	drop  atomic.Bool  // breaks the next connection after the sale
	hangs atomic.Int32 // that many of the next answers do not come
	lock  sync.Mutex
	sold  map[string]string // by nonce
}

func newTestBroker(t testing.TB) *testBroker {
	t.Helper()
	b := &testBroker{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), life: time.Hour, sold: make(map[string]string)}
	accounts := must(NewPublisher(PublisherConfig{Policy: fmt.Sprintf(developmentPolicy, ""), AcceptFrom: time.UnixMilli(1), ReplaySlots: 1024,
		Keys: KeyCacheSizes{Names: 64, Issuers: 1}, Store: tolerant{}, StoreSecret: make([]byte, 32)}))(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+JWKSPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		coordinate := func(number []byte) string { return base64.RawURLEncoding.EncodeToString(number) }
		point := must(b.key.PublicKey.ECDH())(t).Bytes()
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"%s","y":"%s"}]}`, coordinate(point[1:33]), coordinate(point[33:]))
	})
	mux.HandleFunc("POST /issue-visa", func(w http.ResponseWriter, r *http.Request) {
		token := b.sell(r, accounts)
		if token == "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusPaymentRequired)
			fmt.Fprint(w, `{"error":"Payment Required"}`)
			return
		}
		if b.hangs.Add(-1) >= 0 {
			<-r.Context().Done()
			return
		}
		if b.drop.Swap(false) {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"token":"%s","header_name":"x-imagxp-credential"}`, token)
	})
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}

// tolerant is for who answers the same nonce with the same sale, and so judges it for himself.
type tolerant struct{}

func (tolerant) Take(context.Context, [16]byte, time.Time) (bool, error) { return true, nil }

func (b *testBroker) sell(r *http.Request, accounts *Publisher) string {
	var order struct {
		Publisher string
		Amount    json.Number
	}
	if json.NewDecoder(r.Body).Decode(&order) != nil || b.broke.Load() {
		return ""
	}
	verdict, err := accounts.Check(r.Context(), r)
	b.lock.Lock()
	defer b.lock.Unlock()
	if errors.Is(err, ErrReplayDetected) { // the same sale
		payload, _ := base64.StdEncoding.DecodeString(r.Header.Get(HeaderPayload))
		var said struct{ Nonce string }
		_ = json.Unmarshal(payload, &said)
		return b.sold[said.Nonce]
	}
	if err != nil {
		return ""
	}
	number := b.sales.Add(1)
	now := time.Now()
	claims, _ := json.Marshal(map[string]any{"payment_status": "paid", "amount": order.Amount, "iat": now.Unix(), "exp": now.Add(b.life).Unix(),
		"iss": b.URL, "aud": order.Publisher, "sub": verdict.AgentID, "cnf": map[string]string{"jkt": verdict.KeyID}, "jti": strconv.Itoa(int(number))})
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"ES256","kid":"1"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	r1, s1, err := ecdsa.Sign(rand.Reader, b.key, digest[:])
	if err != nil {
		return ""
	}
	signature := make([]byte, 64)
	r1.FillBytes(signature[:32])
	s1.FillBytes(signature[32:])
	b.sold[verdict.Nonce] = text + "." + encode(signature)
	return b.sold[verdict.Nonce]
}

func (n *testNet) wallet(t testing.TB, edit func(*WalletConfig)) *Wallet {
	t.Helper()
	config := WalletConfig{Agent: n.agent, Brokers: []string{n.broker.URL}, MaxPrice: "0.01", MaxTotal: "1"}
	if edit != nil {
		edit(&config)
	}
	return must(NewWallet(config))(t)
}

func TestPays(t *testing.T) {
	n := newTestNet(t, paying, hello)
	if status, body := get(t, n.client(nil), n.site.URL); status != 402 || !strings.Contains(body, "VISA_REQUIRED") {
		t.Fatalf("without a wallet: %d %s", status, body)
	}
	client := n.client(n.wallet(t, nil))
	for range 5 {
		if status, body := get(t, client, n.site.URL+"/a"); status != 200 || !strings.HasSuffix(body, "VISA\n") {
			t.Fatalf("%d %s", status, body)
		}
	}
	if sales := n.broker.sales.Load(); sales != 1 {
		t.Errorf("%d visas for five requests", sales)
	}
	response := must(client.Post(n.site.URL+"/a", "text/plain", strings.NewReader("body")))(t)
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("a body: %d", response.StatusCode)
	}
}

func TestPaysOnceForAll(t *testing.T) {
	n := newTestNet(t, paying, hello)
	client := n.client(n.wallet(t, nil))
	var all sync.WaitGroup
	for range 16 {
		start(&all, func() {
			if status, body := get(t, client, n.site.URL); status != 200 {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	all.Wait()
	if sales := n.broker.sales.Load(); sales != 1 {
		t.Errorf("%d visas", sales)
	}
}

func TestPaysAnewForASingleUse(t *testing.T) {
	n := newTestNet(t, paying+`,"visa_single_use":true`, hello)
	client := n.client(n.wallet(t, nil))
	for i := range 4 {
		if status, body := get(t, client, n.site.URL); status != 200 {
			t.Fatalf("request %d: %d %s", i, status, body)
		}
	}
	if sales := n.broker.sales.Load(); sales != 4 {
		t.Errorf("%d visas for four requests", sales)
	}
	var all sync.WaitGroup
	for range 8 {
		start(&all, func() {
			if status, body := get(t, client, n.site.URL); status != 200 {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	all.Wait()
}

func TestWhatIsNotPaid(t *testing.T) {
	for name, row := range map[string]struct {
		members string
		edit    func(*WalletConfig)
		broke   bool
		want    error
	}{
		"too dear":         {strings.Replace(paying, "0.001", "0.02", 1), nil, false, ErrPriceTooHigh},
		"another broker":   {paying, func(c *WalletConfig) { c.Brokers = []string{"https://broker.example.com"} }, false, ErrBrokerUnknown},
		"no price":         {strings.Replace(paying, `"price":"0.001",`, "", 1), nil, false, ErrNoPrice},
		"an empty account": {paying, nil, true, nil},
	} {
		n := newTestNet(t, row.members, hello)
		n.broker.broke.Store(row.broke)
		var log bytes.Buffer
		wallet := n.wallet(t, func(c *WalletConfig) {
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			if row.edit != nil {
				row.edit(c)
			}
		})
		if status, body := get(t, n.client(wallet), n.site.URL); status != 402 || !strings.Contains(body, "VISA_REQUIRED") {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if row.want != nil && !strings.Contains(log.String(), row.want.Error()[:30]) || !strings.Contains(log.String(), "not paid") {
			t.Errorf("%s: %s", name, log.String())
		}
		if n.broker.sales.Load() != 0 {
			t.Errorf("%s: something was bought", name)
		}
	}
	n := newTestNet(t, strings.Replace(paying, `"price":"0.001",`, "", 1), hello)
	open := n.wallet(t, func(c *WalletConfig) { c.OpenPrice = "0.002" })
	if status, body := get(t, n.client(open), n.site.URL); status != 200 {
		t.Errorf("an open price: %d %s", status, body)
	}
}

// A sale whose answer is lost is asked for once more, and is the same.
func TestALostSaleIsTheSame(t *testing.T) {
	n := newTestNet(t, paying, hello)
	n.broker.drop.Store(true)
	if status, body := get(t, n.client(n.wallet(t, nil)), n.site.URL); status != 200 || n.broker.sales.Load() != 1 {
		t.Errorf("%d %s, %d sales", status, body, n.broker.sales.Load())
	}
}

// A visa that has expired while it was in the wallet is replaced.
func TestVisasExpire(t *testing.T) {
	n := newTestNet(t, paying, hello)
	n.broker.life = expiryMargin - time.Second // never kept
	client := n.client(n.wallet(t, nil))
	for range 2 {
		if status, body := get(t, client, n.site.URL); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
	if sales := n.broker.sales.Load(); sales != 2 {
		t.Errorf("%d sales", sales)
	}
}

// A repeated request that is not idempotent may have been done: only a key for it lets it be sent again.
func TestWhatIsNotSentAgain(t *testing.T) {
	n := newTestNet(t, "", hello)
	for key, want := range map[string]int{"": 403, "1": 200} {
		below := new(repeater)
		client := &http.Client{Transport: &Transport{Agent: n.agent, Purpose: Summary, Base: below}}
		request := must(http.NewRequest(http.MethodPost, n.site.URL, nil))(t)
		if key != "" {
			request.Header.Set("Idempotency-Key", key)
		}
		response := must(client.Do(request))(t)
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("key %q: %d, sent %d times", key, response.StatusCode, below.sent.Load())
		}
	}
}

func TestMoney(t *testing.T) {
	for text, want := range map[string]int64{"0.001": 1000, "1": 1_000_000, "12.5": 12_500_000, "0.000001": 1, "1.50": 1_500_000, "999999999.999999": 999_999_999_999_999} {
		got, err := parseMicros(text)
		if err != nil || got != want {
			t.Errorf("%s: %d %v", text, got, err)
		}
		if again, err := parseMicros(formatMicros(got)); err != nil || again != got {
			t.Errorf("%s: %s", text, formatMicros(got))
		}
	}
	for _, text := range []string{"", "0", "0.0", "-1", "+1", "1e3", ".5", "5.", "1.0000001", "1000000000", "1,5", "0x1", " 1", "1.2.3", "NaN"} {
		if _, err := parseMicros(text); !errors.Is(err, ErrVisaAmount) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// repeater is a transport that sends its first request twice, as net/http does when a connection breaks under it.
type repeater struct{ sent atomic.Int32 }

func (r *repeater) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.sent.Add(1) == 1 {
		first, err := http.DefaultTransport.RoundTrip(request.Clone(request.Context()))
		if err != nil {
			return nil, err
		}
		first.Body.Close()
	}
	return http.DefaultTransport.RoundTrip(request)
}

func TestARepeatedRequestIsSignedAnew(t *testing.T) {
	n, below := newTestNet(t, "", hello), new(repeater)
	client := &http.Client{Transport: &Transport{Agent: n.agent, Purpose: Summary, Base: below}}
	if status, body := get(t, client, n.site.URL); status != 200 || below.sent.Load() != 2 {
		t.Errorf("%d %s, sent %d times", status, body, below.sent.Load())
	}
}

func TestHTTP2(t *testing.T) {
	n := newTestNet(t, "", hello)
	server := httptest.NewUnstartedServer(n.publisher.Handler(hello))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	client.Transport = &Transport{Agent: n.agent, Purpose: Summary, Base: client.Transport}
	response := must(client.Get(server.URL + "/a?b=%2F"))(t)
	defer response.Body.Close()
	if response.StatusCode != 200 || response.ProtoMajor != 2 {
		t.Errorf("%s %s", response.Proto, response.Status)
	}
}

func TestWhatIsNotSent(t *testing.T) {
	for _, transport := range []*Transport{{Purpose: Summary}, {Agent: newTestAgent(t, "bot.example.com")}} { // no agent, no purpose
		body := &closing{Reader: strings.NewReader("body")}
		request := must(http.NewRequest(http.MethodPost, testOrigin, body))(t)
		if _, err := transport.RoundTrip(request); err == nil || !body.closed {
			t.Errorf("%v, closed %v", err, body.closed)
		}
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
