package imagxp

import (
	"context"
	"errors"
	"net/http"
)

// Handler protects next: who is refused gets the answer of [Refusal], and whoever is admitted reaches next with the verdict
// in the request's context ([FromContext]).
func (p *Publisher) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
