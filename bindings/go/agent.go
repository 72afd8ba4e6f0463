package imagxp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Agent signs requests in the name of a domain. Make one with [NewAgent] or [NewAgentWithSigner]; it may be used by many
// goroutines at once.
type Agent struct {
	id        string
	publicKey string
	key       *Key // nil if it is elsewhere
	sign      func(*abi.Claims, time.Time) (abi.Signed, error)
}

// NewAgent makes the agent of a domain, such as bot.example.com. ErrAgentIDInvalid if it can't be one: no scheme, no port, lower
// case; in development localhost, with a port or without.
func NewAgent(id string, key *Key) (*Agent, error) {
	sign := func(claims *abi.Claims, now time.Time) (abi.Signed, error) {
		var random [48]byte
		rand.Read(random[:])
		defer runtime.KeepAlive(key)
		signed, status := key.words.Sign(claims, &random, now.UnixMilli())
		return signed, asError(status)
	}
	return newAgent(id, key.PublicKey(), key, sign)
}

// NewAgentWithSigner makes an agent whose key stays elsewhere: in a KMS, an HSM, a TPM. The signer's public key is on P-256, and it
// signs digests of SHA-256 with ECDSA in ASN.1, as [crypto.Signer] says.
func NewAgentWithSigner(id string, signer crypto.Signer) (*Agent, error) {
	public, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("imagxp: the signer's key is a %T, not ECDSA on P-256: %w", signer.Public(), ErrKeyFormat)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("imagxp: the signer's key: %w", err)
	}
	publicKey := base64.StdEncoding.EncodeToString(der)
	sign := func(claims *abi.Claims, now time.Time) (abi.Signed, error) {
		var nonce [16]byte
		rand.Read(nonce[:])
		signed, status, err := abi.SignPrepared(publicKey, claims, &nonce, now.UnixMilli(), func(digest []byte) ([64]byte, error) {
			return signDigest(signer, digest)
		})
		return signed, errors.Join(asError(status), err)
	}
	return newAgent(id, publicKey, nil, sign)
}

// signDigest signs, and takes the ASN.1 apart: r || s, 32 bytes each.
func signDigest(signer crypto.Signer, digest []byte) (signature [64]byte, err error) {
	der, err := signer.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil {
		return signature, fmt.Errorf("imagxp: the signer: %w", err)
	}
	var parts struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &parts)
	if err != nil || len(rest) > 0 || !isScalar(parts.R) || !isScalar(parts.S) {
		return signature, fmt.Errorf("imagxp: the signer gave no ASN.1 signature on P-256: %w", ErrSignFault)
	}
	parts.R.FillBytes(signature[:32])
	parts.S.FillBytes(signature[32:])
	return signature, nil
}

func isScalar(number *big.Int) bool { return number.Sign() > 0 && number.BitLen() <= 256 }

func newAgent(id, publicKey string, key *Key, sign func(*abi.Claims, time.Time) (abi.Signed, error)) (*Agent, error) {
	if status := abi.CheckAgentID(id, true); status != abi.OK {
		return nil, fmt.Errorf("imagxp: %q: %w", id, Code(status))
	}
	return &Agent{id, publicKey, key, sign}, nil
}

// ID is the agent's domain.
func (a *Agent) ID() string { return a.id }

// PublicKey is the agent's public key as its manifest has it.
func (a *Agent) PublicKey() string { return a.publicKey }

// Claims is what an agent says about one request.
type Claims struct {
	// Resource is the absolute URL that is asked for.
	Resource string
	// Purpose is what the content is wanted for.
	Purpose Purpose
	// AdsDisplayed says that ads are shown beside the content.
	AdsDisplayed bool
	// Now is the time of signing; the zero time is now.
	Now time.Time
}

// SignedHeaders are the values of the headers of one signed request. Each is good once.
type SignedHeaders struct {
	Payload, Signature, PublicKey string
}

// Sign signs one request. The errors are what a verifier would refuse: ErrResourceInvalid, ErrPurposeUnknown, ErrPayloadTooLarge …
func (a *Agent) Sign(claims Claims) (SignedHeaders, error) {
	now := claims.Now
	if now.IsZero() {
		now = time.Now()
	}
	if claims.Purpose < CrawlTraining || claims.Purpose > Embedding {
		return SignedHeaders{}, ErrPurposeUnknown
	}
	signed, err := a.sign(&abi.Claims{AgentID: a.id, Resource: claims.Resource, Purpose: int32(claims.Purpose),
		AdsDisplayed: claims.AdsDisplayed}, now)
	if err != nil {
		return SignedHeaders{}, fmt.Errorf("imagxp: signing for %q: %w", claims.Resource, err)
	}
	return SignedHeaders(signed), nil
}

// Set puts the headers into a request, and the product token into its User-Agent.
func (s SignedHeaders) Set(header http.Header) {
	header.Set(HeaderPayload, s.Payload)
	header.Set(HeaderSignature, s.Signature)
	header.Set(HeaderPublicKey, s.PublicKey)
	header.Set(HeaderKey, s.PublicKey)
	if agent := header.Get("User-Agent"); !strings.Contains(agent, Product) {
		header.Set("User-Agent", strings.TrimSpace(agent+" "+Product))
	}
}

// SignRequest signs a request that is about to be sent, in place: each attempt needs a signature of its own. [Transport]
// does it for every request of an [http.Client].
func (a *Agent) SignRequest(request *http.Request, purpose Purpose) error {
	return a.signRequest(request, Claims{Purpose: purpose})
}

func (a *Agent) signRequest(request *http.Request, claims Claims) error {
	claims.Resource = resourceOf(request)
	signed, err := a.Sign(claims)
	if err != nil {
		return err
	}
	signed.Set(request.Header)
	return nil
}

// resourceOf is the URL as the server will see it: the Host that is sent, and no fragment.
func resourceOf(request *http.Request) string {
	host := request.Host
	if host == "" {
		host = request.URL.Host
	}
	return (&url.URL{Scheme: request.URL.Scheme, Host: host}).String() + request.URL.RequestURI()
}

// Manifest is what an agent publishes at [ManifestPath] of its domain, over https, with status 200 and application/json.
type Manifest struct {
	// ContactEmail is whom to write to; may be empty.
	ContactEmail string
	// Keys are at most four keys for rotation: the next one, the last one.
	Keys []ListedKey
	// Revoked are at most sixteen keys that are good no more.
	Revoked []RevokedKey
}

// ListedKey is a key beside the current one. A zero time is no bound.
type ListedKey struct {
	// PublicKey is as [Key.PublicKey] gives it, or PEM.
	PublicKey           string
	NotBefore, NotAfter time.Time
}

// RevokedKey is a key that is good no more, from a second on.
type RevokedKey struct {
	KeyID string
	At    time.Time
}

// Manifest writes the agent's manifest.
func (a *Agent) Manifest(manifest Manifest) ([]byte, error) {
	if len(manifest.Keys) > abi.ListedMax || len(manifest.Revoked) > abi.RevokedMax {
		return nil, fmt.Errorf("imagxp: a manifest has at most %d keys and %d revoked ones: %w", abi.ListedMax, abi.RevokedMax, ErrManifestInvalid)
	}
	var listed, revoked []abi.ManifestKey
	for _, key := range manifest.Keys {
		listed = append(listed, abi.ManifestKey{Text: key.PublicKey, Times: [2]int64{seconds(key.NotBefore), seconds(key.NotAfter)}})
	}
	for _, key := range manifest.Revoked {
		revoked = append(revoked, abi.ManifestKey{Text: key.KeyID, Times: [2]int64{seconds(key.At)}})
	}
	text, status := abi.ManifestWrite(a.id, a.publicKey, manifest.ContactEmail, listed, revoked)
	return text, asError(status)
}

func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}
