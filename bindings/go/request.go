package imagxp

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// read hands a request to the library: the request line as the client sent it, and the headers that matter.
func (p *Publisher) read(call *abi.Call, r *http.Request) {
	origin := p.originOf(r)
	call.Begin(r.Method, origin.scheme, origin.authority, targetOf(r))
	for _, name := range headersRead {
		values := r.Header[name]
		// A second line is a duplicate, and judged; a third says no more.
		for _, value := range values[:min(len(values), 2)] {
			call.Header(name, value)
		}
	}
}

// originOf is the origin that the request names, else the first: never one that only the request knows.
func (p *Publisher) originOf(r *http.Request) origin {
	for _, known := range p.origins {
		if strings.EqualFold(known.authority, strings.TrimSuffix(r.Host, known.defaultPort)) {
			return known
		}
	}
	if len(p.origins) > 0 {
		return p.origins[0]
	}
	scheme := "http" // development
	if r.TLS != nil {
		scheme = "https"
	}
	return origin{scheme: scheme, authority: r.Host}
}

// targetOf is path and query as received. RequestURI is empty in requests that no server has read, and absolute in those to
// proxies.
func targetOf(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// headersRead are the headers that matter to the library, in the canonical form of net/http; a test holds them to
// imagxp_header_matters. They are given in this order, so that of two faults the same one is always told.
var headersRead = [...]string{
	"X-Imagxp-Payload", "X-Imagxp-Signature", "X-Imagxp-Public-Key", "X-Imagxp-Key", "X-Imagxp-Credential",
	"X-Imagxp-Payment", "X-Imagxp-Proof", "X-Imagxp-Feedback", "X-Imagxp-Agent-Id", "X-Imagxp-Timestamp", "X-Imagxp-Alg",
	"User-Agent", "Accept-Language", "Sec-Fetch-Dest", "Upgrade-Insecure-Requests", "Cf-Ray", "Cf-Visitor", "X-Vercel-Id",
	"Cloudfront-Viewer-Address",
}

// remoteAddr is the address that the connection came from, if it is a public one.
func remoteAddr(r *http.Request) netip.Addr {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return PublicClient(remote.Addr())
}

// PublicClient is the address if it is a public one, else the zero Addr, which is not counted: any other is a proxy of one's own, which
// stands for many clients. A [PublisherConfig].ClientAddr that is not sure of its proxies returns it.
func PublicClient(address netip.Addr) netip.Addr {
	address = address.Unmap()
	if address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() {
		return netip.Addr{}
	}
	return address
}
