package imagxp

import (
	"context"
	"errors"
	"net/http"
	"strconv"
)

// Handler protects next: who is refused gets the answer of [Refusal], and whoever is admitted reaches next with the verdict
// in the request's context ([FromContext]). Everybody may read the terms at [PolicyPath].
func (p *Publisher) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsDiscovery(r) {
			p.ServeDiscovery(w, r)
			return
		}
		verdict, err := p.Check(r.Context(), r)
		if err == nil {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), verdictKey{}, verdict)))
			return
		}
		var refusal *Refusal
		if !errors.As(err, &refusal) { // Check gives no other error; nobody passes by one
			refusal = &Refusal{Code: ErrBusy, Cause: err}
		}
		refusal.ServeHTTP(w, r)
	})
}

// IsDiscovery says whether a request asks for the terms.
func IsDiscovery(r *http.Request) bool {
	return r.URL.Path == PolicyPath && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// ServeDiscovery answers with what the site tells everybody of its policy: what is admitted, what it costs and where to buy it.
func (p *Publisher) ServeDiscovery(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(p.told)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(p.told)
	}
}
