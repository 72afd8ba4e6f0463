package imagxp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Reason is why content was good or bad.
type Reason int32

// The reasons.
const (
	SEOSpam Reason = 1 + iota
	Inaccurate
	HateSpeech
	HighQuality
	LowQualitySpam
)

// Feedback is what an agent has to say about content that it fetched. Above 0.5 the broker releases the payment of the visa, below it
// withholds it, and exactly 0.5 changes nothing.
type Feedback struct {
	// URL is what was fetched.
	URL string
	// Score is how good it was, in millionths: 0 to 1,000,000.
	Score uint32
	// Reason is why.
	Reason Reason
	// Audience is whom it is for: the broker's URL, or the publisher.
	Audience string
	// VisaID is the jti of the visa that paid, and Payload the payload header of the request; both may be empty.
	VisaID, Payload string
	// ID is its own name, by which a repetition is known; empty: a new one is drawn.
	ID string
}

// SignFeedback signs feedback: the value of HeaderFeedback. ErrFeedbackInvalid if nobody would read it. An agent whose key is
// elsewhere can't: the library signs feedback with keys that it holds.
func (a *Agent) SignFeedback(feedback Feedback) (string, error) {
	if a.key == nil {
		return "", fmt.Errorf("imagxp: feedback is signed by agents of NewAgent: %w", errors.ErrUnsupported)
	}
	if feedback.ID == "" {
		feedback.ID = rand.Text()
	}
	defer runtime.KeepAlive(a.key)
	token, status := a.key.words.SignFeedback(&abi.Feedback{AgentID: a.id, URL: feedback.URL, Audience: feedback.Audience, JTI: feedback.ID,
		Visa: feedback.VisaID, Payload: feedback.Payload, Score: feedback.Score, Reason: int32(feedback.Reason)}, hedge(), time.Now().UnixMilli())
	if status != abi.OK {
		return "", fmt.Errorf("imagxp: feedback: %w", Code(status))
	}
	return string(token), nil
}

func hedge() *[32]byte {
	random := new([32]byte)
	rand.Read(random[:])
	return random
}

// Judgement is feedback that has been verified.
type Judgement struct {
	// Score is how good the content was, in millionths, and Payment what that does to the payment: the exact score decides.
	Score   uint32
	Payment PaymentOutcome
	// Reasons are why.
	Reasons []Reason
	// At is when it was written.
	At time.Time
	// URL is what was fetched: any text, to be printed with care. ID is its own name, VisaID the jti of the visa that paid.
	URL, ID, VisaID string
	// Request is the SHA-256 of [Verdict].Payload of the request that is judged; zeros if it names none.
	Request [32]byte
}

// PaymentOutcome is what feedback does to a payment.
type PaymentOutcome int32

// The outcomes.
const (
	ReleasePayment PaymentOutcome = 1 + iota
	WithholdPayment
	UnchangedPayment
)

// VerifyFeedback verifies feedback in either form, the compact JWS or the reference's object. Call it after the agent's identity is
// verified, never before: agentID and publicKey are those of the verified request. audiences are the reader's names, one of which it
// must be for; none: any. ErrFeedbackInvalid, whatever is wrong with it.
func VerifyFeedback(feedback, agentID, publicKey string, audiences ...string) (*Judgement, error) {
	return verifyFeedback(feedback, agentID, publicKey, audiences, time.Now())
}

func verifyFeedback(feedback, agentID, publicKey string, audiences []string, now time.Time) (*Judgement, error) {
	if len(audiences) > abi.AudiencesMax {
		return nil, ErrABIArgument
	}
	found, status := abi.VerifyFeedback(feedback, agentID, publicKey, audiences, now.UnixMilli())
	if status != abi.OK {
		return nil, Code(status)
	}
	judgement := &Judgement{Score: found.Score, Payment: PaymentOutcome(found.Outcome), At: time.UnixMilli(found.TsMs), URL: found.URL,
		ID: found.JTI, VisaID: found.Visa, Request: found.Request}
	for reason := SEOSpam; reason <= LowQualitySpam; reason++ {
		if found.Reasons&(1<<reason) != 0 {
			judgement.Reasons = append(judgement.Reasons, reason)
		}
	}
	return judgement, nil
}

const feedbackPath = "/feedback"

// SendFeedback sends feedback to the broker, which settles the payment of the visa that it names. The answer is the broker's, JSON.
func (b *BrokerClient) SendFeedback(ctx context.Context, feedback Feedback) ([]byte, error) {
	if feedback.Audience == "" {
		feedback.Audience = b.URL
	}
	token, err := b.Agent.SignFeedback(feedback)
	if err != nil {
		return nil, err
	}
	return b.post(ctx, feedbackPath, []byte(token), "application/jose")
}
