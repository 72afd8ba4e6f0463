package imagxp

import (
	"context"
	"net/netip"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Fetcher gets the documents that a [Publisher] lacks: manifests and key sets. [HTTPFetcher] is the one to use; write another where
// all traffic goes through a gateway, and keep the rules of docs/deploy.md.
type Fetcher interface {
	// Fetch gets a document. An error says that there was no leave to try (a budget is used up) and nothing about the document;
	// whatever came of trying is an Answer.
	Fetch(ctx context.Context, need Need) (Answer, error)
}

// DocumentKind is which document.
type DocumentKind int32

// The documents.
const (
	AgentManifest DocumentKind = abi.NeedManifest
	JWKSet        DocumentKind = abi.NeedJWKS
)

// Need is a document that is wanted.
type Need struct {
	Kind DocumentKind
	// URL is where it is, Host the host of the URL.
	URL, Host string
	// Configured says that the URL is the operator's own. Else its host came from a stranger.
	Configured bool
	// Known says that it was fetched before and is due again: it counts as no new name.
	Known bool
	// MaxLen is its greatest length: read one byte more, and no further.
	MaxLen int
	// Client is the address of whoever caused it; the zero Addr if nobody did.
	Client netip.Addr
}

// Outcome is what came of a fetch.
type Outcome int32

// The outcomes.
const (
	// Unreachable: no answer: name, address, connection, TLS, time-out, 429 or 5xx.
	Unreachable Outcome = iota
	// NotThere: the server answered, and it was not the document: another status, a redirect, another media type.
	NotThere
	// Found: status 200, with application/json, +json or no media type.
	Found
)

// Answer is what came of a fetch.
type Answer struct {
	Outcome Outcome
	// Body is the document, with Found.
	Body []byte
	// MaxAge is that of Cache-Control; below 0 is none.
	MaxAge time.Duration
	// Reason is why there is no document: for the log, never for a client.
	Reason string
}

func (a *Answer) kind() int32 {
	switch a.Outcome {
	case Found:
		return abi.Found
	case NotThere:
		return abi.NotThere
	default:
		return abi.Unreachable
	}
}

func (a *Answer) maxAge() int32 {
	if a.MaxAge < 0 {
		return -1
	}
	return int32(min(a.MaxAge/time.Second, 1<<31-1))
}
