package imagxp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// Transport is an [http.RoundTripper] that signs: put it into an [http.Client], and every request of it, every redirect and every
// retry carries a signature of its own. With a [Wallet] it pays where a publisher asks for it.
type Transport struct {
	// Agent signs.
	Agent *Agent
	// Purpose is what the content is wanted for; AdsDisplayed says that ads are shown beside it.
	Purpose      Purpose
	AdsDisplayed bool
	// Wallet buys visas; nil: an answer of 402 is handed on.
	Wallet *Wallet
	// Base sends; nil is http.DefaultTransport.
	Base http.RoundTripper
}

// attemptsMax is the first attempt, one that pays, and one more if a visa turns out to be used or a nonce to be seen.
const attemptsMax = 3

// RoundTrip sends a signed copy of the request. An answer that asks for a visa, or says that the one sent was used, is met with a
// new one if the wallet gives it; else the answer is handed on.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	visa := t.Wallet.take(r.URL)
	response, err := t.attempt(r, visa.token, r.Body)
	for range attemptsMax - 1 {
		if err != nil || !isReplayable(r) {
			return response, err
		}
		next, again := t.answer(r, response, visa)
		if !again {
			return response, nil
		}
		body, err := bodyOf(r)
		if err != nil {
			return response, nil
		}
		discard(response)
		visa = next
		if response, err = t.attempt(r, visa.token, body); err != nil {
			return nil, err
		}
	}
	return response, err
}

func (t *Transport) attempt(r *http.Request, visa string, body io.ReadCloser) (*http.Response, error) {
	signed := r.Clone(r.Context())
	signed.Body = body
	if t.Wallet != nil {
		signed.Header.Del(HeaderCredential) // a redirect must not carry one site's visa to another
	}
	if visa != "" {
		signed.Header.Set(HeaderCredential, visa)
	}
	if t.Agent == nil {
		return nil, errors.Join(errors.New("imagxp: Transport.Agent is nil"), closed(body))
	}
	if err := t.Agent.signRequest(signed, Claims{Purpose: t.Purpose, AdsDisplayed: t.AdsDisplayed}); err != nil {
		return nil, errors.Join(err, closed(body))
	}
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(signed)
}

// closed closes the body of a request that is not sent, as an http.RoundTripper must.
func closed(body io.ReadCloser) error {
	if body == nil {
		return nil
	}
	return body.Close()
}

// answer says whether to try again, and with which visa.
func (t *Transport) answer(r *http.Request, response *http.Response, sent ticket) (next ticket, again bool) {
	if response.StatusCode != http.StatusPaymentRequired && response.StatusCode != http.StatusForbidden {
		return ticket{}, false
	}
	code := refusalOf(response)
	used := sent.token != "" && code == ErrVisaUsed.Name()
	switch {
	case code == ErrReplayDetected.Name():
		// The connection broke under an attempt that had arrived, and a transport below has sent it once more. That one was not refused: what it
		// did must not be done twice.
		return sent, isIdempotent(r)
	case t.Wallet == nil:
		return ticket{}, false
	case response.StatusCode == http.StatusPaymentRequired, used, sent.token != "" && code == ErrJWTExpired.Name():
		next, err := t.Wallet.pay(r.Context(), r.URL, offerOf(response), sent, used)
		if err != nil {
			t.Wallet.log(r.Context(), "imagxp: not paid", slog.String("url", r.URL.Redacted()), slog.Any("error", err))
			return ticket{}, false
		}
		return next, true
	}
	return ticket{}, false
}

// isIdempotent says whether a request may be done twice (RFC 9110 section 9.2.2), as net/http does.
func isIdempotent(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return len(r.Header["Idempotency-Key"]) > 0 || len(r.Header["X-Idempotency-Key"]) > 0
}

// isReplayable says whether a request can be sent once more.
func isReplayable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

func bodyOf(r *http.Request) (io.ReadCloser, error) {
	if r.GetBody == nil {
		return r.Body, nil
	}
	return r.GetBody()
}

// refusalMax bounds what is read of an answer that may be a refusal: ours has at most 128 bytes.
const refusalMax = 1024

// refusalOf reads the code of a refusal, and leaves the body as it was.
func refusalOf(response *http.Response) string {
	if !isJSON(response.Header.Get("Content-Type")) {
		return ""
	}
	start, _ := io.ReadAll(io.LimitReader(response.Body, refusalMax))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), response.Body), response.Body}
	var refusal struct{ Error string }
	_ = json.Unmarshal(start, &refusal) // what is not a refusal has no code
	return refusal.Error
}

// discard frees the connection for the next attempt.
func discard(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	_ = response.Body.Close()
}

// Offer is what a publisher asks for in an answer of 402.
type Offer struct {
	// Broker is where to buy; Price is how much, empty if any amount is good.
	Broker, Price string
}

func offerOf(response *http.Response) Offer {
	return Offer{strings.TrimSpace(response.Header.Get(HeaderBroker)), strings.TrimSpace(response.Header.Get(HeaderPrice))}
}
