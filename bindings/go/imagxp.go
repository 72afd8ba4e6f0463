// Package imagxp says who an AI agent is, and whether it has paid.
//
// An [Agent] signs requests with a P-256 key that its own domain publishes. A [Publisher] verifies them, and a broker sells the
// visas that pay for them. The package links libimagxp, a Rust core behind a C interface, and adds what a Go service needs
// around it: an [http.RoundTripper] ([Transport]) and a middleware ([Publisher.Handler]), a fetcher that can't be turned against
// its own network ([HTTPFetcher]), and stores of nonces for one process or many ([ReplayStore]).
//
// A publisher, in four lines:
//
//	publisher, err := imagxp.NewPublisher(imagxp.PublisherConfig{
//		Policy:  `{"allowRAG":true,"strategy":"STRICT"}`,
//		Origins: []string{"https://pub.example.com"},
//	})
//	http.ListenAndServe(":8080", publisher.Handler(site))
//
// Every refusal is an error with a [Code], which errors.Is finds: errors.Is(err, imagxp.ErrReplayDetected).
package imagxp

//go:generate go run ./internal/codegen ../../include/imagxp.h codes.go

// Purpose is what an agent wants the content for.
type Purpose int32

// The purposes.
const (
	CrawlTraining Purpose = 1 + iota
	RAGRetrieval
	Summary
	Quotation
	Embedding
)

// String is the purpose as the wire has it.
func (p Purpose) String() string {
	return name(int32(p), "", "CRAWL_TRAINING", "RAG_RETRIEVAL", "SUMMARY", "QUOTATION", "EMBEDDING")
}

// ParsePurpose reads a purpose as the wire has it.
func ParsePurpose(text string) (Purpose, error) {
	for purpose := CrawlTraining; purpose <= Embedding; purpose++ {
		if purpose.String() == text {
			return purpose, nil
		}
	}
	return 0, ErrPurposeUnknown
}

// Visitor is who came.
type Visitor int32

// The visitors.
const (
	VerifiedAgent   Visitor = 1 + iota
	LikelyHuman             // no IMAGXP headers, but the signs of a browser
	UnidentifiedBot         // anything else that the policy admits
)

// String is the visitor as the wire has it.
func (v Visitor) String() string {
	return name(int32(v), "", "VERIFIED_AGENT", "LIKELY_HUMAN", "UNIDENTIFIED_BOT")
}

// Bound is what of a request its signature binds.
type Bound int32

// The bindings, by the policy's resource_binding.
const (
	BoundNothing Bound = iota
	BoundAuthority
	BoundExact
)

// String is the binding as the policy names it.
func (b Bound) String() string { return name(int32(b), "off", "authority", "exact") }

// Proof is what a request was paid with.
type Proof int32

// The proofs.
const (
	ProofNone Proof = iota
	ProofVisa
	ProofWhitelist
	ProofAd
)

// String is the proof as the wire has it.
func (p Proof) String() string { return name(int32(p), "NONE", "VISA", "WHITELIST", "AD_PROOF") }

func name(number int32, names ...string) string {
	if number < 0 || int(number) >= len(names) {
		return ""
	}
	return names[number]
}

// Names on the wire.
const (
	HeaderPayload    = "x-imagxp-payload"
	HeaderSignature  = "x-imagxp-signature"
	HeaderPublicKey  = "x-imagxp-public-key"
	HeaderKey        = "x-imagxp-key"
	HeaderCredential = "x-imagxp-credential"
	HeaderProof      = "x-imagxp-proof"
	HeaderFeedback   = "x-imagxp-feedback"
	HeaderBroker     = "x-imagxp-broker"
	HeaderPrice      = "x-imagxp-price"
	ManifestPath     = "/.well-known/imagxp-agent.json"
	JWKSPath         = "/.well-known/jwks.json"
	PolicyPath       = "/.well-known/imagxp-policy.json"
	Product          = "IMAGXP/1.1"
)
