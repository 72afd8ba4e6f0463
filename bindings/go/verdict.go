package imagxp

import (
	"context"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Verdict is what a [Publisher] found of a request that it admitted.
type Verdict struct {
	// Visitor is who came.
	Visitor Visitor
	// AgentID is who signed, or says so: it is proven if Visitor is VerifiedAgent, and only then. Under a policy with requireIdentityBinding
	// false, anybody can claim any name: decide nothing by it before you have looked at Visitor. Empty if nobody signed.
	AgentID string
	// Purpose is what for; 0 if the visitor did not sign.
	Purpose Purpose
	// Bound is what of the request the signature binds.
	Bound Bound
	// Proof is what it was paid with.
	Proof Proof
	// Resource and Nonce are what was signed; Payload is all of it, as received.
	Resource, Nonce, Payload string
	// KeyID is the RFC 7638 thumbprint of the key that signed.
	KeyID string
	// Issuer and VisaID are the iss and jti of the visa or ad proof, AmountMicros what it paid in millionths, VisaExpires when it
	// expires.
	Issuer, VisaID string
	AmountMicros   int64
	VisaExpires    time.Time
	// SignedAt is when the agent signed.
	SignedAt time.Time

	flags uint32
}

// Signed says whether the request was signed.
func (v *Verdict) Signed() bool { return v.flags&abi.FlagSigned != 0 }

// AdsDisplayed says whether the agent shows ads beside the content.
func (v *Verdict) AdsDisplayed() bool { return v.flags&abi.FlagAds != 0 }

// TokenBound says whether the visa or ad proof names its holder.
func (v *Verdict) TokenBound() bool { return v.flags&abi.FlagTokenBound != 0 }

// SingleUse says whether the visa was good for this request only.
func (v *Verdict) SingleUse() bool { return v.flags&abi.FlagSingleUse != 0 }

func (v *Verdict) clockSteppedBack() bool { return v.flags&abi.FlagSteppedBack != 0 }

// newVerdict copies a result: one allocation for the verdict, one for all of its texts.
func newVerdict(result *abi.Result) *Verdict {
	verdict := &Verdict{
		Visitor: Visitor(result.Visitor), Purpose: Purpose(result.Purpose), Bound: Bound(result.Bound), Proof: Proof(result.Proof),
		AmountMicros: result.AmountMicros, flags: result.Flags,
	}
	if !verdict.Signed() {
		return verdict
	}
	verdict.SignedAt = time.UnixMilli(result.TsMs)
	if result.ExpiresS != 0 {
		verdict.VisaExpires = time.Unix(result.ExpiresS, 0)
	}
	sources := [...][]byte{result.AgentID, result.Resource, result.Nonce, result.Payload, result.KID, result.Issuer, result.JTI}
	targets := [...]*string{&verdict.AgentID, &verdict.Resource, &verdict.Nonce, &verdict.Payload, &verdict.KeyID, &verdict.Issuer,
		&verdict.VisaID}
	var stack [2048]byte
	all := stack[:0]
	for _, source := range sources {
		all = append(all, source...)
	}
	text := string(all)
	for i, source := range sources {
		*targets[i], text = text[:len(source)], text[len(source):]
	}
	return verdict
}

type verdictKey struct{}

// FromContext gives the verdict that [Publisher.Handler] has put into the context of an admitted request.
func FromContext(ctx context.Context) (*Verdict, bool) {
	verdict, ok := ctx.Value(verdictKey{}).(*Verdict)
	return verdict, ok
}
