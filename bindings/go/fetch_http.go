package imagxp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// How long a step may take (docs/threats.md, SSRF-8), and how long the headers of an answer may be (SSRF-12).
const (
	resolveTimeout   = 500 * time.Millisecond
	connectTimeout   = 500 * time.Millisecond
	tlsTimeout       = 800 * time.Millisecond
	firstByteTimeout = time.Second
	wholeTimeout     = 1500 * time.Millisecond
	answerHeadersMax = 16 << 10
	addressesMax     = 4
)

// HTTPFetcherConfig is what an HTTPFetcher is made with. The zero value is for a public site.
type HTTPFetcherConfig struct {
	// Development admits plain http to this very machine. Never on a public site.
	Development bool
	// Denied are refused beside the addresses that are not public; a cloud's own services: 168.63.129.16/32.
	Denied []netip.Prefix
	// Allowed are private addresses that configured URLs may lead to: an operator's own broker.
	Allowed []netip.Prefix
	// RootCAs are whom TLS trusts; nil is the system's.
	RootCAs *x509.CertPool
}

// HTTPFetcher gets documents over https, by the rules of docs/deploy.md: a stranger chooses the host of a manifest's URL, and so
// whom this server talks to. The name is resolved once, every address that it has must be a public one, and the connection goes
// to an address that was judged; it is judged once more as the socket connects. No redirects, cookies, proxies or compression.
type HTTPFetcher struct {
	config HTTPFetcherConfig
	client *http.Client
	budget *fetchBudget
	// resolve and dial are the system's; tests put a closed world in their place.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	dial    func(ctx context.Context, address netip.AddrPort, check func(netip.Addr) error) (net.Conn, error)
}

// NewHTTPFetcher makes a fetcher; one for all of a server, so that its budgets count all.
func NewHTTPFetcher(config HTTPFetcherConfig) *HTTPFetcher {
	f := &HTTPFetcher{config: config, budget: newFetchBudget(), resolve: resolve, dial: dialChecked}
	f.client = &http.Client{
		Timeout:       wholeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            f.connect,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: config.RootCAs},
			TLSHandshakeTimeout:    tlsTimeout,
			ResponseHeaderTimeout:  firstByteTimeout,
			MaxResponseHeaderBytes: answerHeadersMax,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1
		},
	}
	return f
}

// Fetch gets a document.
func (f *HTTPFetcher) Fetch(ctx context.Context, need Need) (Answer, error) {
	if !need.Configured {
		if !f.budget.begin(need.Known, need.Client, time.Now()) {
			return Answer{}, errBudget
		}
		defer f.budget.end()
	}
	if err := f.judge(&need); err != nil {
		return Answer{Outcome: Unreachable, Reason: err.Error()}, nil
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, needKey{}, &need), wholeTimeout)
	defer cancel()
	answer, err := f.get(ctx, &need)
	if errors.Is(err, errCrowded) {
		return Answer{}, err // not tried: others on that network are not to be condemned by who fills it
	}
	if err != nil {
		return Answer{Outcome: Unreachable, Reason: err.Error()}, nil
	}
	return answer, nil
}

type needKey struct{}

// judge says whether a URL may be fetched at all (SSRF-1 to SSRF-3).
func (f *HTTPFetcher) judge(need *Need) error {
	target, err := url.Parse(need.URL)
	if err != nil {
		return err
	}
	_, literal := netip.ParseAddr(target.Hostname())
	switch {
	case f.config.Development && isLoopback(target.Hostname()):
		return nil
	case target.Scheme != "https":
		return errors.New("plain http is for localhost in development mode")
	case target.User != nil:
		return errors.New("the URL names a user")
	case literal == nil:
		return errors.New("an address stands where a name belongs")
	case !need.Configured && abi.CheckAgentID(target.Host, false) != abi.OK:
		return errors.New("the host is not a public domain name without a port")
	}
	return nil
}

func (f *HTTPFetcher) get(ctx context.Context, need *Need) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, need.URL, nil)
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("User-Agent", "imagxp-verifier/0.1")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Accept-Encoding", "identity")
	response, err := f.client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	if outcome, reason := judgeResponse(response); outcome != Found {
		return Answer{Outcome: outcome, Reason: reason}, nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(need.MaxLen)+1))
	if err != nil {
		return Answer{}, err
	}
	return Answer{Outcome: Found, Body: body, MaxAge: maxAge(response.Header)}, nil
}

// connect resolves once, judges all addresses, and connects to one that was judged (SSRF-4).
func (f *HTTPFetcher) connect(ctx context.Context, _, target string) (net.Conn, error) {
	need, _ := ctx.Value(needKey{}).(*Need)
	host, portText, err := net.SplitHostPort(target)
	if err != nil || need == nil {
		return nil, errors.Join(err, errors.New("not a fetch of ours"))
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	addresses, err := f.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	check := f.reach(host, need.Configured)
	for _, address := range addresses {
		// One that is not public condemns the name: it would be the one that a second look-up gives.
		if err := check(address); err != nil {
			return nil, err
		}
	}
	return f.connectOne(ctx, addresses[:min(len(addresses), addressesMax)], uint16(port), check)
}

func (f *HTTPFetcher) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil // development only: judge has refused it elsewhere
	}
	if host == "localhost" { // never a matter for DNS (RFC 6761 section 6.3)
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addresses, err := f.resolve(ctx, host)
	if err == nil && len(addresses) == 0 {
		err = errors.New("the name has no address")
	}
	return addresses, err
}

// reach says to which addresses a connection may go.
func (f *HTTPFetcher) reach(host string, configured bool) func(netip.Addr) error {
	return func(address netip.Addr) error {
		address = address.Unmap()
		good := mayConnect(address) || configured && within(f.config.Allowed, address)
		switch {
		case isLoopback(host):
			good = address.IsLoopback()
		case within(f.config.Denied, address), within(f.config.Denied, inside(address)):
			good = false
		}
		if !good {
			return fmt.Errorf("the name leads to %v, which is not a public address: %w", address, ErrHostForbidden)
		}
		return nil
	}
}

// connectOne tries one address after the other, each with its share of the time. errCrowded if one that might have answered was not tried.
func (f *HTTPFetcher) connectOne(ctx context.Context, addresses []netip.Addr, port uint16, check func(netip.Addr) error) (net.Conn, error) {
	var failed, crowded error
	for _, address := range addresses {
		leave, err := f.budget.occupy(address)
		if err != nil {
			crowded = err
			continue
		}
		attempt, cancel := context.WithTimeout(ctx, connectTimeout/time.Duration(len(addresses)))
		conn, err := f.dial(attempt, netip.AddrPortFrom(address, port), check)
		cancel()
		if err == nil {
			return &placed{conn, leave}, nil
		}
		leave()
		failed = err
	}
	return nil, errors.Join(crowded, failed)
}

// placed is a connection and its place in the budget.
type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	p.leave()
	return p.Conn.Close()
}

// resolver is Go's own: one of C holds a thread for as long as a stranger's name server keeps silent.
var resolver = net.Resolver{PreferGo: true}

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return resolver.LookupNetIP(ctx, "ip", host+".") // no search domains
}

// dialChecked asks once more, of the address that the socket is about to connect to.
func dialChecked(ctx context.Context, address netip.AddrPort, check func(netip.Addr) error) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, target string, _ syscall.RawConn) error {
		connecting, err := netip.ParseAddrPort(target)
		if err != nil {
			return err
		}
		return check(connecting.Addr())
	}}
	return dialer.DialContext(ctx, "tcp", address.String())
}

func mayConnect(address netip.Addr) bool { return abi.MayConnect(address.AsSlice()) == abi.OK }

// nat64 is the prefix of IPv6 addresses that lead to the IPv4 address in their last 32 bits (RFC 6052 section 2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// inside is the IPv4 address that an IPv6 one leads to; else the address itself.
func inside(address netip.Addr) netip.Addr {
	address = address.Unmap()
	if !nat64.Contains(address) {
		return address
	}
	bytes := address.As16()
	return netip.AddrFrom4([4]byte(bytes[12:]))
}

func within(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// isLoopback says whether the host is this machine's own.
func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// judgeResponse says whether an answer is the document (SSRF-5 to SSRF-7).
func judgeResponse(response *http.Response) (Outcome, string) {
	status := response.StatusCode
	coding, media := response.Header.Get("Content-Encoding"), response.Header.Get("Content-Type")
	switch {
	case status == http.StatusTooManyRequests || status >= 500:
		return Unreachable, fmt.Sprintf("the server answered %d, not 200", status)
	case status >= 300 && status < 400:
		return NotThere, fmt.Sprintf("the server redirects (%d): serve the document at that URL itself", status)
	case status != http.StatusOK:
		return NotThere, fmt.Sprintf("the server answered %d, not 200", status)
	case coding != "" && !strings.EqualFold(coding, "identity"):
		return NotThere, "the body is compressed, though identity was asked for"
	case media != "" && !isJSON(media):
		return NotThere, fmt.Sprintf("the media type is %.64q, not application/json", media)
	}
	return Found, ""
}

// isJSON: application/json, or any type +json; parameters do not matter.
func isJSON(media string) bool {
	essence, _, _ := strings.Cut(media, ";")
	essence = strings.ToLower(strings.TrimSpace(essence))
	return essence == "application/json" || strings.Contains(essence, "/") && strings.HasSuffix(essence, "+json")
}

// maxAge is the first max-age of Cache-Control; 0 where nothing may be stored (RFC 9111 section 5.2.2); below 0 is none.
func maxAge(header http.Header) time.Duration {
	age := time.Duration(-1)
	for _, directive := range strings.Split(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(directive, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if age < 0 {
				age = parseSeconds(strings.Trim(strings.TrimSpace(value), `"`))
			}
		}
	}
	return age
}

// parseSeconds reads digits; more than fit are the most there is (RFC 9111 section 1.2.2).
func parseSeconds(text string) time.Duration {
	const most = 1<<31 - 1
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return -1
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number > most {
		number = most
	}
	return time.Duration(number) * time.Second
}
