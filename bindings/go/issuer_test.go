package imagxp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Visas of our own pay; and each that a publisher would refuse is refused with the code that says why.
func TestIssuedVisasPay(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	issuer := &Issuer{URL: "https://broker.example.com", Key: must(GenerateKey())(t)}
	next := &Issuer{URL: issuer.URL, Key: must(GenerateKey())(t), KeyID: "next"}
	network.put(issuer.URL+JWKSPath, must(issuer.JWKS(next))(t))
	publisher := small(t, PublisherConfig{Fetcher: network, Policy: `{"allowRAG":true,"requiresPayment":true,"price":"0.001","visa_single_use":true,
		"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}`})
	if err := publisher.WarmUp(t.Context()); err != nil || network.fetches.Load() != 1 {
		t.Fatalf("%v, %d fetches", err, network.fetches.Load())
	}
	nowhere := small(t, PublisherConfig{Fetcher: new(documents), Policy: `{"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}`})
	if err := nowhere.WarmUp(t.Context()); !errors.Is(err, ErrJWKSUnavailable) {
		t.Errorf("a broker that is not there: %v", err)
	}
	good := VisaClaims{Audience: "pub.example.com", AgentID: agent.ID(), PublicKey: agent.PublicKey(), Amount: "0.001", ID: "1", Currency: "USD", Purpose: RAGRetrieval}
	other := newTestAgent(t, "other.example.com")
	pay := func(visa string) (*Verdict, error) {
		r := signedVisit(t, agent, "/a")
		r.Header.Set(HeaderCredential, visa)
		return publisher.Check(t.Context(), r)
	}
	visa := must(issuer.IssueVisa(good))(t)
	if token, err := publisher.VerifyToken(t.Context(), VisaToken, visa, agent.ID(), agent.PublicKey()); err != nil || token.ID != "1" || !token.Bound || token.AmountMicros != 1000 {
		t.Errorf("before its request: %+v %v", token, err)
	}
	if _, err := publisher.VerifyToken(t.Context(), VisaToken, visa, other.ID(), other.PublicKey()); !errors.Is(err, ErrJWTSubject) {
		t.Errorf("before another's request: %v", err)
	}
	verdict, err := pay(visa)
	if err != nil || verdict.Proof != ProofVisa || verdict.VisaID != "1" || verdict.AmountMicros != 1000 || verdict.Issuer != issuer.URL ||
		!verdict.TokenBound() || !verdict.SingleUse() || time.Until(verdict.VisaExpires) < 59*time.Minute {
		t.Fatalf("%+v %v", verdict, err)
	}
	if _, err := pay(visa); !errors.Is(err, ErrVisaUsed) {
		t.Errorf("used: %v", err)
	}
	for name, row := range map[string]struct {
		edit func(*VisaClaims)
		by   *Issuer
		want error
	}{
		"by the next key":             {func(c *VisaClaims) { c.ID = "2" }, next, nil},
		"too cheap":                   {func(c *VisaClaims) { c.Amount = "0.0009" }, issuer, ErrVisaAmount},
		"for another publisher":       {func(c *VisaClaims) { c.Audience = "other.example.com" }, issuer, ErrJWTAudience},
		"for another agent":           {func(c *VisaClaims) { c.AgentID = "other.example.com" }, issuer, ErrJWTSubject},
		"for another key":             {func(c *VisaClaims) { c.PublicKey = other.PublicKey() }, issuer, ErrVisaBinding},
		"expired":                     {func(c *VisaClaims) { c.Now = time.Now().Add(-2 * time.Hour) }, issuer, ErrJWTExpired},
		"by a key that is not listed": {func(*VisaClaims) {}, &Issuer{URL: issuer.URL, Key: must(GenerateKey())(t)}, ErrJWTKeyUnknown},
		"by another broker":           {func(*VisaClaims) {}, &Issuer{URL: "https://other.example.com", Key: issuer.Key}, ErrJWTIssuer},
	} {
		claims := good
		row.edit(&claims)
		if _, err := pay(must(row.by.IssueVisa(claims))(t)); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, row := range map[string]struct {
		edit func(*VisaClaims)
		want error
	}{
		"no amount":             {func(c *VisaClaims) { c.Amount = "0" }, ErrVisaAmount},
		"two hours":             {func(c *VisaClaims) { c.Lifetime = 2 * time.Hour }, ErrJWTLifetime},
		"no audience":           {func(c *VisaClaims) { c.Audience = "" }, ErrJWTAudience},
		"a key without agent":   {func(c *VisaClaims) { c.AgentID = "" }, ErrVisaBinding},
		"a long jti":            {func(c *VisaClaims) { c.ID = strings.Repeat("a", 129) }, ErrJWTClaims},
		"a lower-case currency": {func(c *VisaClaims) { c.Currency = "usd" }, ErrJWTClaims},
	} {
		claims := good
		row.edit(&claims)
		if _, err := issuer.IssueVisa(claims); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := issuer.JWKS(issuer); !errors.Is(err, ErrJWKSDuplicateKid) {
		t.Errorf("the same key twice: %v", err)
	}
}

func TestFeedback(t *testing.T) {
	n := newTestNet(t, "", http.NotFoundHandler())
	good := Feedback{URL: testOrigin + "/a", Score: 900_000, Reason: HighQuality, Audience: n.broker.URL, VisaID: "1"}
	token := must(n.agent.SignFeedback(good))(t)
	if strings.Count(token, ".") != 2 || len(token) > 2048 {
		t.Error(token)
	}
	for name, edit := range map[string]func(*Feedback){
		"a score above one": func(f *Feedback) { f.Score = 1_000_001 }, "no reason": func(f *Feedback) { f.Reason = 0 },
		"a reason that is none": func(f *Feedback) { f.Reason = 9 }, "a long URL": func(f *Feedback) { f.URL = strings.Repeat("a", 4096) },
		"a payload that is none": func(f *Feedback) { f.Payload = "é" },
	} {
		bad := good
		edit(&bad)
		if _, err := n.agent.SignFeedback(bad); err == nil || codeName(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var signer crypto.Signer = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	if _, err := must(NewAgentWithSigner("bot.example.com", signer))(t).SignFeedback(good); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	broker := BrokerClient{URL: n.broker.URL, Agent: n.agent} // knows no feedback
	var refused *BrokerError
	if _, err := broker.SendFeedback(t.Context(), good); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("%v", err)
	}
}
