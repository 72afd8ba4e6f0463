package imagxp

import (
	"context"
	"errors"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// TokenRole is who issues a token.
type TokenRole int32

// The roles.
const (
	VisaToken    TokenRole = 1 + iota // of the policy's broker
	AdProofToken                      // of the policy's ad network
)

// Token is what a visa or ad proof says.
type Token struct {
	// Issuer and ID are its iss and jti.
	Issuer, ID string
	// AmountMicros is what was paid, in millionths; 0 in an ad proof.
	AmountMicros int64
	// Expires is when it ends.
	Expires time.Time
	// Bound says that it names its holder.
	Bound bool
}

// VerifyToken verifies a visa or ad proof outside a request, for whoever sees it before the request that it pays for. agentID and
// publicKey are those of the holder, whom a bound token must name; both empty: that is not judged. That it is the first use of a
// visa that is good for one is not seen here.
func (p *Publisher) VerifyToken(ctx context.Context, role TokenRole, token, agentID, publicKey string) (*Token, error) {
	for range roundsMax {
		keys := p.keys.read()
		found, status := abi.VerifyToken(token, int32(role), agentID, publicKey, p.policy, *keys, p.nowMs())
		switch status {
		case abi.Verified:
			return &Token{found.Issuer, found.JTI, found.AmountMicros, time.Unix(found.ExpiresS, 0), found.Bound}, nil
		case abi.Need:
			if _, err := p.learn(ctx, found.Need, cause{}, keys); err != nil {
				return nil, errors.Join(pending(found.Need.Kind), err)
			}
		default:
			return nil, Code(status)
		}
	}
	return nil, ErrBusy
}
