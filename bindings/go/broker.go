package imagxp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// BrokerClient is an agent's side of a broker: it buys visas and sends feedback. [Wallet] buys for whoever pays on the way.
type BrokerClient struct {
	// URL is the broker's, as publishers name it: https://broker.example.com.
	URL string
	// Agent buys: the broker knows by its signature whose account pays.
	Agent *Agent
	// Client sends; nil is one with a time-out of 10 s.
	Client *http.Client
}

// Visa is what a broker has sold.
type Visa struct {
	// Token is the value of the header HeaderCredential.
	Token string
	// Expires is when it ends, by what it says itself.
	Expires time.Time
}

// BrokerError is an answer of a broker that is not a visa.
type BrokerError struct {
	// Status is the HTTP status: 402 if the account can't pay.
	Status int
	// Code is the `error` of the answer, if it has one.
	Code string
}

func (e *BrokerError) Error() string {
	return fmt.Sprintf("imagxp: the broker answered %d %.100q", e.Status, e.Code)
}

// mayBeSold says whether the sale may have been made, or may yet be: the same request again is the same sale.
func (e *BrokerError) mayBeSold() bool {
	return e.Status == http.StatusTooManyRequests || e.Status >= 500
}

const (
	brokerTimeout   = 10 * time.Second
	brokerAnswerMax = 16 << 10
	buyPath         = "/issue-visa"
	mediaJSON       = "application/json"
)

var brokerHTTP = &http.Client{Timeout: brokerTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// BuyVisa buys a visa for a publisher, such as nytimes.com. The amount is a decimal with at most six places. A purchase that got no
// answer is asked for once more with the same nonce, which is the same sale; if ctx ends before, it may have been made. A [Wallet]
// remembers such purchases.
func (b *BrokerClient) BuyVisa(ctx context.Context, publisher, amount string) (Visa, error) {
	price, err := parseMicros(amount)
	if err != nil {
		return Visa{}, err
	}
	request, err := b.order(publisher, price)
	if err != nil {
		return Visa{}, err
	}
	return b.fulfil(ctx, request)
}

// order signs a purchase.
func (b *BrokerClient) order(publisher string, micros int64) (*http.Request, error) {
	body, err := json.Marshal(struct {
		Publisher string      `json:"publisher"`
		Amount    json.Number `json:"amount"`
	}{publisher, json.Number(formatMicros(micros))})
	if err != nil {
		return nil, err
	}
	return b.signed(buyPath, body, mediaJSON)
}

// fulfil sends a purchase, as often as it takes: it is one sale.
func (b *BrokerClient) fulfil(ctx context.Context, order *http.Request) (Visa, error) {
	answer, err := b.insist(ctx, order)
	if err != nil {
		return Visa{}, err
	}
	var sold struct {
		Token      string `json:"token"`
		HeaderName string `json:"header_name"`
	}
	if err := json.Unmarshal(answer, &sold); err != nil || sold.Token == "" || sold.HeaderName != "" && !strings.EqualFold(sold.HeaderName, HeaderCredential) {
		return Visa{}, fmt.Errorf("imagxp: the broker's answer is not a visa for %s: %w", HeaderCredential, errors.Join(err, ErrJWTFormat))
	}
	expires, err := expiryOf(sold.Token)
	return Visa{sold.Token, expires}, err
}

// post signs once and sends, and sends the same once more if there was no answer.
func (b *BrokerClient) post(ctx context.Context, path string, body []byte, media string) ([]byte, error) {
	request, err := b.signed(path, body, media)
	if err != nil {
		return nil, err
	}
	return b.insist(ctx, request)
}

func (b *BrokerClient) signed(path string, body []byte, media string) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodPost, strings.TrimRight(b.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("imagxp: the broker's URL: %w", err)
	}
	request.Header.Set("Content-Type", media)
	return request, b.Agent.SignRequest(request, RAGRetrieval)
}

func (b *BrokerClient) insist(ctx context.Context, request *http.Request) ([]byte, error) {
	answer, err := b.send(ctx, request)
	var refused *BrokerError
	if err != nil && ctx.Err() == nil && (!errors.As(err, &refused) || refused.Status >= 500) {
		answer, err = b.send(ctx, request)
	}
	return answer, err
}

func (b *BrokerClient) send(ctx context.Context, request *http.Request) ([]byte, error) {
	request = request.Clone(ctx)
	request.Body, _ = request.GetBody() // of a bytes.Reader: never an error
	client := b.Client
	if client == nil {
		client = brokerHTTP
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("imagxp: the broker: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return nil, &BrokerError{response.StatusCode, refusalOf(response)}
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, brokerAnswerMax))
	if err != nil {
		return nil, fmt.Errorf("imagxp: the broker's answer: %w", err)
	}
	return answer, nil
}

// expiryOf reads exp of a token that only its audience need verify.
func expiryOf(token string) (time.Time, error) {
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return time.Time{}, fmt.Errorf("imagxp: the broker's visa: %w", ErrJWTFormat)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Exp float64 } // a NumericDate, which may have a fraction (RFC 7519 section 2)
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	const most = 1 << 40 // seconds; far beyond any visa
	if err != nil || !(claims.Exp > 0 && claims.Exp < most) {
		return time.Time{}, fmt.Errorf("imagxp: the broker's visa: %w", errors.Join(ErrJWTClaims, err))
	}
	return time.UnixMilli(int64(claims.Exp * 1000)), nil
}
