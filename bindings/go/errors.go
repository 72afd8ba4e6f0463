package imagxp

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Code is why something was refused, and an error itself: errors.Is(err, [ErrReplayDetected]). Numbers and names are the
// same in all languages; the hundreds say whose fault it is.
type Code int32

// Error is the name, and what to mend. For logs and tools: a remote client is told Public().Name() only.
func (c Code) Error() string {
	if name := c.Name(); name != "" {
		return "imagxp: " + name + ": " + c.Help()
	}
	return "imagxp: code " + strconv.Itoa(int(c))
}

// Name is the name as wire and logs have it: REPLAY_DETECTED.
func (c Code) Name() string { return abi.StatusName(int32(c)) }

// Help is a sentence that says what was wrong and what to mend.
func (c Code) Help() string { return abi.StatusHelp(int32(c)) }

// HTTPStatus is the status to answer with.
func (c Code) HTTPStatus() int { return abi.StatusHTTP(int32(c)) }

// Public is the code that a remote client may be told: every failure of an identity looks alike there.
func (c Code) Public() Code { return Code(abi.StatusPublic(int32(c))) }

// RetryAfter is when time alone may have mended it; 0 if it can't.
func (c Code) RetryAfter() time.Duration {
	return time.Duration(abi.StatusRetryAfterS(int32(c))) * time.Second
}

// asError makes an error of a status of the library.
func asError(status int32) error {
	if status >= abi.OK {
		return nil
	}
	return Code(status)
}

// Refusal is the error of [Publisher.Check]: the precise code for the log, and the answer for the client. It is an
// [http.Handler] that writes that answer.
type Refusal struct {
	// Code is the precise reason.
	Code Code
	// Claimed is what the request says of itself, unproven.
	Claimed Claimed
	// RetryAfter is for the header of that name; 0 is none.
	RetryAfter time.Duration
	// Body is what the client may know: the public code, the visitor, the proof.
	Body []byte
	// Broker and Price are, with a 402, where to pay and how much.
	Broker, Price string
	// Cause is what failed on this side, if anything did: a store, a context.
	Cause error
}

// Claimed is what a request says, unproven. AgentID has passed the grammar of names; all is zero where a field is in doubt.
type Claimed struct {
	AgentID  string
	Resource string
	Purpose  Purpose
}

func (r *Refusal) Error() string {
	text := r.Code.Error()
	if r.Claimed.AgentID != "" {
		text += fmt.Sprintf(" (a request in the name of %s)", r.Claimed.AgentID)
	}
	if r.Cause != nil {
		text += ": " + r.Cause.Error()
	}
	return text
}

// Unwrap lets errors.Is and errors.As find the code and the cause.
func (r *Refusal) Unwrap() []error {
	if r.Cause == nil {
		return []error{r.Code}
	}
	return []error{r.Code, r.Cause}
}

// HTTPStatus is the status to answer with.
func (r *Refusal) HTTPStatus() int { return r.Code.HTTPStatus() }

// ServeHTTP answers the refused request: status, headers and body.
func (r *Refusal) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(r.Body)))
	header.Set("Cache-Control", "no-store")
	if r.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(r.RetryAfter/time.Second)))
	}
	if r.Broker != "" {
		header.Set(HeaderBroker, r.Broker)
	}
	if r.Price != "" {
		header.Set(HeaderPrice, r.Price)
	}
	w.WriteHeader(r.HTTPStatus())
	if request.Method != http.MethodHead {
		_, _ = w.Write(r.Body)
	}
}
