package imagxp

import (
	"fmt"
	"runtime"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Issuer issues visas: the heart of a broker. The service around it (accounts, a ledger) is the broker's own.
type Issuer struct {
	// URL is the broker's, byte for byte as publishers configure it.
	URL string
	// Key signs; KeyID is its name in the key set; empty: its thumbprint.
	Key   *Key
	KeyID string
}

// VisaClaims is what a visa says.
type VisaClaims struct {
	// Audience is the publisher: nytimes.com.
	Audience string
	// AgentID and PublicKey are whom the visa is bound to: the verified agent, and its key. Empty: it is good for anybody who holds it.
	AgentID, PublicKey string
	// Amount is what was paid: a decimal above 0 with at most six places.
	Amount string
	// Lifetime is at most an hour; zero is that.
	Lifetime time.Duration
	// ID is the visa's own name: wanted by publishers for whom a visa is good for one request. May be empty.
	ID string
	// Currency and Purpose are informational, and may be zero.
	Currency string
	Purpose  Purpose
	// Now is the time of issue; the zero time is now.
	Now time.Time
}

// IssueVisa issues a visa: the value of HeaderCredential. The errors are what a verifier would refuse.
func (i *Issuer) IssueVisa(claims VisaClaims) (string, error) {
	amount, err := parseMicros(claims.Amount)
	if err != nil {
		return "", err
	}
	if claims.Lifetime == 0 {
		claims.Lifetime = time.Hour
	}
	if claims.Lifetime < time.Second || claims.Lifetime > time.Hour {
		return "", fmt.Errorf("imagxp: a visa of %v: %w", claims.Lifetime, ErrJWTLifetime)
	}
	if claims.Now.IsZero() {
		claims.Now = time.Now()
	}
	defer runtime.KeepAlive(i.Key)
	token, status := i.Key.words.IssueVisa(i.keyID(), &abi.Visa{Issuer: i.URL, Audience: claims.Audience, AgentID: claims.AgentID,
		PublicKey: claims.PublicKey, JTI: claims.ID, Currency: claims.Currency, AmountMicros: amount,
		LifetimeS: uint32(claims.Lifetime / time.Second), Purpose: int32(claims.Purpose)}, hedge(), claims.Now.UnixMilli())
	if status != abi.OK {
		return "", fmt.Errorf("imagxp: a visa: %w", Code(status))
	}
	return string(token), nil
}

func (i *Issuer) keyID() string {
	if i.KeyID == "" {
		return i.Key.KeyID()
	}
	return i.KeyID
}

// JWKS is the key set to serve at [JWKSPath], with status 200 and application/json: this issuer's key, and those of others with the
// same URL, such as the last one and the next.
func (i *Issuer) JWKS(others ...*Issuer) ([]byte, error) {
	var pairs []string
	for _, issuer := range append([]*Issuer{i}, others...) {
		pairs = append(pairs, issuer.keyID(), issuer.Key.PublicKey())
	}
	if len(pairs) > 2*abi.PublishedMax {
		return nil, ErrJWKSInvalid
	}
	set, status := abi.JWKSWrite(pairs)
	return set, asError(status)
}
