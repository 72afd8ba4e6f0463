package imagxp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A real server with TLS stands where a public name leads: only the name's address is made up.

const publicAddress = "93.184.216.34"

func tlsFetcher(t *testing.T, handler http.HandlerFunc) *HTTPFetcher {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	fetcher := NewHTTPFetcher(HTTPFetcherConfig{RootCAs: roots})
	fetcher.resolve = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr(publicAddress)}, nil
	}
	fetcher.dial = func(ctx context.Context, address netip.AddrPort, check func(netip.Addr) error) (net.Conn, error) {
		if err := check(address.Addr()); err != nil || address.String() != publicAddress+":443" {
			return nil, fmt.Errorf("%v: %w", address, err)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	return fetcher
}

func manifestNeed(host string) Need {
	return Need{Kind: AgentManifest, URL: "https://" + host + ManifestPath, Host: host, MaxLen: 64}
}

func TestWhatIsADocument(t *testing.T) {
	redirected := new(atomic.Bool)
	var bomb bytes.Buffer // made before anybody waits for it
	zip := gzip.NewWriter(&bomb)
	fmt.Fprint(zip, strings.Repeat(" ", 1<<20))
	zip.Close()
	fetcher := tlsFetcher(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" || r.Header.Get("Accept") != "application/json" || r.Header.Get("Cookie") != "" {
			t.Errorf("%v", r.Header)
		}
		header := w.Header()
		header.Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/good":
			header.Set("Cache-Control", "public, max-age=60")
			fmt.Fprint(w, `{"a":1}`)
		case "/type":
			header.Set("Content-Type", "text/html")
		case "/redirect":
			http.Redirect(w, r, "/landed", http.StatusFound)
		case "/landed":
			redirected.Store(true)
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/broken":
			w.WriteHeader(http.StatusBadGateway)
		case "/zip":
			header.Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		case "/long":
			fmt.Fprint(w, strings.Repeat("a", 1<<20))
		case "/headers":
			header.Set("X-Long", strings.Repeat("a", 32<<10))
		case "/slow":
			select {
			case <-time.After(3 * time.Second):
			case <-r.Context().Done():
			}
		}
	})
	for path, want := range map[string]Outcome{"/good": Found, "/type": NotThere, "/redirect": NotThere, "/gone": NotThere, "/busy": Unreachable,
		"/broken": Unreachable, "/zip": NotThere, "/long": Found, "/headers": Unreachable, "/slow": Unreachable} {
		need := manifestNeed("bot.example.com")
		need.URL = "https://bot.example.com" + path
		answer, err := fetcher.Fetch(t.Context(), need)
		if err != nil || answer.Outcome != want || (answer.Reason == "") != (want == Found) || len(answer.Body) > need.MaxLen+1 {
			t.Errorf("%s: %v %q, %d bytes, %v", path, answer.Outcome, answer.Reason, len(answer.Body), err)
		}
		if path == "/good" && (string(answer.Body) != `{"a":1}` || answer.MaxAge != time.Minute) {
			t.Errorf("%s, %v", answer.Body, answer.MaxAge)
		}
		fetcher.budget = newFetchBudget() // each row has its own
	}
	if redirected.Load() {
		t.Error("a redirect was followed")
	}
}

func TestWhomAFetchMayReach(t *testing.T) {
	fetcher := tlsFetcher(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	resolveTo := func(addresses ...string) {
		fetcher.resolve = func(context.Context, string) ([]netip.Addr, error) {
			var parsed []netip.Addr
			for _, address := range addresses {
				parsed = append(parsed, netip.MustParseAddr(address))
			}
			return parsed, nil
		}
	}
	for _, addresses := range [][]string{{"127.0.0.1"}, {"10.0.0.1"}, {"169.254.169.254"}, {"::1"}, {"::ffff:127.0.0.1"}, {"64:ff9b::7f00:1"}, {"fd00::1"}, {},
		{publicAddress, "192.168.0.1"}} { // one that is not public condemns the name
		resolveTo(addresses...)
		answer, err := fetcher.Fetch(t.Context(), Need{Kind: AgentManifest, URL: "https://bot.example.com/", MaxLen: 64, Known: true})
		if err != nil || answer.Outcome != Unreachable {
			t.Errorf("%v: %+v %v", addresses, answer, err)
		}
	}
	resolveTo(publicAddress)
	for _, url := range []string{"http://bot.example.com/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://bot.example.com:8443/",
		"https://user@bot.example.com/", "https://bot.local/", "file:///etc/passwd", "https://bot.example.com%00/"} {
		answer, err := fetcher.Fetch(t.Context(), Need{Kind: AgentManifest, URL: url, MaxLen: 64, Known: true})
		if err != nil || answer.Outcome != Unreachable {
			t.Errorf("%s: %+v %v", url, answer, err)
		}
	}
	fetcher.config.Denied = []netip.Prefix{netip.MustParsePrefix(publicAddress + "/32")}
	if answer, _ := fetcher.Fetch(t.Context(), Need{Kind: AgentManifest, URL: "https://bot.example.com/", MaxLen: 64, Known: true}); answer.Outcome != Unreachable {
		t.Error("a denied address was reached")
	}
	if err := fetcher.reach("bot.example.com", false)(nat64Of(publicAddress)); err == nil {
		t.Error("a denied address may be reached by NAT64")
	}
	fetcher.config.Denied = nil
	if err := fetcher.reach("bot.example.com", false)(nat64Of(publicAddress)); err != nil {
		t.Error(err)
	}
	if !resolver.PreferGo {
		t.Error("a name server that keeps silent holds a thread")
	}
}

func nat64Of(address string) netip.Addr {
	as4 := netip.MustParseAddr(address).As4()
	as16 := nat64.Addr().As16()
	copy(as16[12:], as4[:])
	return netip.AddrFrom16(as16)
}

// A network to which there are too many connections says nothing about a document on it: the visitor comes again.
func TestACrowdedNetworkCondemnsNobody(t *testing.T) {
	agent := newTestAgent(t, "bot.example.com")
	manifest := must(agent.Manifest(Manifest{}))(t)
	fetcher := tlsFetcher(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(manifest)
	})
	for _, address := range []netip.Addr{netip.MustParseAddr(publicAddress), nat64Of(publicAddress)} {
		fetcher.resolve = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{address}, nil }
		fetcher.budget = newFetchBudget()
		publisher := small(t, PublisherConfig{Fetcher: fetcher})
		var leave []func()
		for range perNetworkMax {
			leave = append(leave, must(fetcher.budget.occupy(netip.MustParseAddr(publicAddress)))(t))
		}
		if _, err := publisher.Check(t.Context(), signedVisit(t, agent, "/a")); !errors.Is(err, ErrIdentityPending) || !errors.Is(err, errCrowded) {
			t.Errorf("%v: %v", address, err)
		}
		for _, one := range leave {
			one()
		}
		fetcher.resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(publicAddress)}, nil
		}
		if _, err := publisher.Check(t.Context(), signedVisit(t, agent, "/a")); err != nil {
			t.Errorf("%v: %v", address, err)
		}
	}
}

// The socket itself refuses, whatever a look-up said before.
func TestTheSocketIsJudged(t *testing.T) {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer listener.Close()
	fetcher := NewHTTPFetcher(HTTPFetcherConfig{})
	_, err := dialChecked(t.Context(), listener.Addr().(*net.TCPAddr).AddrPort(), fetcher.reach("bot.example.com", false))
	if !errors.Is(err, ErrHostForbidden) {
		t.Errorf("%v", err)
	}
	conn, err := dialChecked(t.Context(), listener.Addr().(*net.TCPAddr).AddrPort(), fetcher.reach("localhost", false))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestTLSIsThatOfTheName(t *testing.T) {
	fetcher := tlsFetcher(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	if answer, _ := fetcher.Fetch(t.Context(), manifestNeed("bot.example.org")); answer.Outcome != Unreachable || !strings.Contains(answer.Reason, "certificate") {
		t.Errorf("a certificate for another name: %+v", answer)
	}
	stranger := NewHTTPFetcher(HTTPFetcherConfig{})
	stranger.resolve, stranger.dial = fetcher.resolve, fetcher.dial
	if answer, _ := stranger.Fetch(t.Context(), manifestNeed("bot.example.com")); answer.Outcome != Unreachable {
		t.Errorf("a certificate of nobody's: %+v", answer)
	}
	old := fetcher.client.Transport.(*http.Transport).TLSClientConfig
	if old.MinVersion != tls.VersionTLS12 {
		t.Error("TLS below 1.2")
	}
}

func TestDevelopmentIsThisMachine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	defer server.Close()
	server.Config.SetKeepAlivesEnabled(false)
	url := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	need := Need{Kind: AgentManifest, URL: url, MaxLen: 64, Known: true}
	for development, want := range map[bool]Outcome{true: NotThere, false: Unreachable} {
		fetcher := NewHTTPFetcher(HTTPFetcherConfig{Development: development})
		if answer, _ := fetcher.Fetch(t.Context(), need); answer.Outcome != want { // text/plain: it answered
			t.Errorf("development %v: %+v", development, answer)
		}
	}
}

func TestBudget(t *testing.T) {
	budget, now := newFetchBudget(), time.Now()
	flooder, other := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	got := 0
	for range 100 {
		if budget.begin(false, flooder, now) {
			got++
		}
	}
	if got != namesPerClient || !budget.begin(false, other, now) || !budget.begin(true, flooder, now) {
		t.Errorf("%d names for one client", got)
	}
	for i := range 100 {
		if budget.begin(false, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), now) {
			got++
		}
	}
	if got != namesPerSecond-1 {
		t.Errorf("%d names in a second", got)
	}
	if now = now.Add(time.Second); !budget.begin(false, flooder, now) {
		t.Error("a second later there is none")
	}
	for budget.begin(true, flooder, now) {
	}
	if budget.underway != fetchesMax {
		t.Errorf("%d at a time", budget.underway)
	}
	budget.end()
	if !budget.begin(true, flooder, now) {
		t.Error("none after one has ended")
	}
	var leave func()
	for i := range perNetworkMax {
		leave = must(budget.occupy(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})))(t)
	}
	if _, err := budget.occupy(netip.MustParseAddr("192.0.2.200")); !errors.Is(err, errCrowded) {
		t.Errorf("%v", err)
	}
	leave()
	leave() // once is enough
	if _, err := budget.occupy(netip.MustParseAddr("192.0.2.200")); err != nil {
		t.Errorf("%v", err)
	}
	for i := range 2 * clientsMax {
		budget.client(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(budget.clients) > clientsMax {
		t.Errorf("%d clients are remembered", len(budget.clients))
	}
}

func TestMaxAge(t *testing.T) {
	for value, want := range map[string]time.Duration{"public, max-age=60": time.Minute, `MAX-AGE="60", max-age=7`: time.Minute,
		"max-age=99999999999999999999": (1<<31 - 1) * time.Second, "max-age=600, no-store": 0, "s-maxage=60": -1, "max-age=-1": -1, "": -1} {
		if got := maxAge(http.Header{"Cache-Control": {value}}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	for media, want := range map[string]bool{"application/json": true, "Application/JSON; charset=utf-8": true, "application/vnd.imagxp+json": true,
		"text/x+json;a": true, "": false, "text/html": false, "application/jsonp": false, "+json": false, "text/html;+json": false} {
		if isJSON(media) != want {
			t.Errorf("%q", media)
		}
	}
}
