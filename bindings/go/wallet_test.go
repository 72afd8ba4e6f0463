package imagxp

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// greedy is a publisher that takes money and gives nothing.
func greedy(t *testing.T, broker, code string) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(HeaderBroker, broker)
		w.Header().Set(HeaderPrice, "0.001")
		w.WriteHeader(http.StatusPaymentRequired)
		_, _ = w.Write([]byte(`{"error":"` + code + `"}`))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Whoever refuses what was just bought for it gets nothing more: not in the same request, and not in the next ones.
func TestGreed(t *testing.T) {
	// That visas are of single use is learned from one that was shared, and from no second one.
	for code, want := range map[string]int32{"VISA_REQUIRED": 1, "JWT_EXPIRED": 1, "VISA_USED": 3} {
		n := newTestNet(t, paying, hello)
		wallet := n.wallet(t, nil)
		client := n.client(wallet)
		site := greedy(t, n.broker.URL, code)
		for range 5 {
			if status, _ := get(t, client, site); status != 402 {
				t.Errorf("%d", status)
			}
		}
		if sales := n.broker.sales.Load(); sales != want {
			t.Errorf("%s: %d visas for five requests", code, sales)
		}
		if status, body := get(t, client, n.site.URL); status != 200 {
			t.Errorf("an honest site beside it: %d %s", status, body)
		}
	}
}

func TestTotal(t *testing.T) {
	n := newTestNet(t, paying+`,"visa_single_use":true`, hello)
	wallet := n.wallet(t, func(c *WalletConfig) { c.MaxTotal = "0.0025" })
	for i, want := range []int{200, 200, 402, 402} {
		if status, body := get(t, n.client(wallet), n.site.URL); status != want {
			t.Errorf("request %d: %d %s", i, status, body)
		}
	}
	if sales := n.broker.sales.Load(); sales != 2 || wallet.Spent() != "0.002" {
		t.Errorf("%d visas, %s", sales, wallet.Spent())
	}
	for name, edit := range map[string]func(*WalletConfig){
		"no total":      func(c *WalletConfig) { c.MaxTotal = "" },
		"a plain URL":   func(c *WalletConfig) { c.Brokers = []string{"http://broker.example.com"} },
		"no URL at all": func(c *WalletConfig) { c.Brokers = []string{"broker.example.com"} },
	} {
		config := WalletConfig{Agent: n.agent, Brokers: []string{n.broker.URL}, MaxPrice: "0.01", MaxTotal: "1"}
		edit(&config)
		if _, err := NewWallet(config); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// What a broker refuses to sell is not spent.
func TestWhatIsRefusedIsNotSpent(t *testing.T) {
	n := newTestNet(t, paying, hello)
	n.broker.broke.Store(true)
	wallet := n.wallet(t, nil)
	if status, _ := get(t, n.client(wallet), n.site.URL); status != 402 || wallet.Spent() != "0" {
		t.Errorf("%d, %s", status, wallet.Spent())
	}
}

// A broker that sells and does not answer, twice: the next request asks for the same sale.
func TestASaleWithoutAnAnswerIsNotLost(t *testing.T) {
	n := newTestNet(t, paying, hello)
	wallet := n.wallet(t, func(c *WalletConfig) { c.Client = &http.Client{Timeout: time.Second} })
	n.broker.hangs.Store(2)
	if status, body := get(t, n.client(wallet), n.site.URL); status != 402 || wallet.Spent() != "0.001" {
		t.Errorf("%d %s, %s", status, body, wallet.Spent())
	}
	if status, body := get(t, n.client(wallet), n.site.URL); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if sales := n.broker.sales.Load(); sales != 1 || wallet.Spent() != "0.001" {
		t.Errorf("%d visas, %s", sales, wallet.Spent())
	}
}

// Over plain http nothing is bought, and no visa is shown.
func TestNoVisaOverPlainHTTP(t *testing.T) {
	n := newTestNet(t, paying, hello)
	wallet := n.wallet(t, nil)
	if status, _ := get(t, n.client(wallet), n.site.URL); status != 200 || n.broker.sales.Load() != 1 {
		t.Fatalf("%d", status)
	}
	address := strings.TrimPrefix(greedy(t, n.broker.URL, "VISA_REQUIRED"), "http://")
	toSite := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	client := &http.Client{Transport: &Transport{Agent: n.agent, Purpose: RAGRetrieval, Wallet: wallet, Base: toSite}}
	if status, body := get(t, client, "http://pub.example.com/"); status != 402 || n.broker.sales.Load() != 1 {
		t.Errorf("%d %s, %d visas", status, body, n.broker.sales.Load())
	}
	plain := must(url.Parse("http://pub.example.com/"))(t)
	wallet.sites[originOf(plain)] = &walletSite{visa: Visa{"token", time.Now().Add(time.Hour)}}
	if held := wallet.take(plain); held.token != "" {
		t.Error("a visa goes over plain http")
	}
}

func TestSitesAreOrigins(t *testing.T) {
	for text, want := range map[string]string{
		"https://pub.example.com/a": "https://pub.example.com:443", "https://PUB.example.com:443": "https://pub.example.com:443",
		"http://pub.example.com": "http://pub.example.com:80", "https://pub.example.com:8443/": "https://pub.example.com:8443",
	} {
		if got := originOf(must(url.Parse(text))(t)); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestExpiries(t *testing.T) {
	token := func(exp string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":`+exp+`}`)) + ".c2ln"
	}
	if at, err := expiryOf(token("1700000000.5")); err != nil || at.UnixMilli() != 1_700_000_000_500 {
		t.Errorf("%v %v", at, err)
	}
	for _, exp := range []string{"0", "-1", "1e300", `"1700000000"`, "null", "1e999"} {
		if _, err := expiryOf(token(exp)); !errors.Is(err, ErrJWTClaims) {
			t.Errorf("%s: %v", exp, err)
		}
	}
}
