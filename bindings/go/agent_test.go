package imagxp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

func TestKeys(t *testing.T) {
	key := must(GenerateKey())(t)
	for name, export := range map[string]func() ([]byte, error){"text": key.Export, "PEM": key.ExportPEM} {
		text := must(export())(t)
		if again := must(ParseKey("\n" + string(text) + "\n"))(t); again.PublicKey() != key.PublicKey() {
			t.Errorf("%s: another key", name)
		}
	}
	for _, text := range []string{"", "MFkw", "-----BEGIN PRIVATE KEY-----", strings.Repeat("0", 64), strings.Repeat("f", 64), strings.Repeat("a", 1<<20)} {
		if key, err := ParseKey(text); key != nil || !errors.Is(err, ErrPrivkeyInvalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	secret := string(must(key.Export())(t))
	for _, shown := range []string{fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s", key, key, key, key)} {
		if strings.Contains(shown, secret[40:60]) || !strings.Contains(shown, key.KeyID()) {
			t.Errorf("a key shows %s", shown)
		}
	}
	if len(key.PublicKey()) != 124 || !strings.Contains(key.PublicPEM(), "BEGIN PUBLIC KEY") || !json.Valid([]byte(key.PublicJWK())) {
		t.Errorf("%s %s %s", key.PublicKey(), key.PublicPEM(), key.PublicJWK())
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	agent := newTestAgent(t, "bot.example.com")
	if _, err := agent.Sign(Claims{Resource: testOrigin + "/" + strings.Repeat("a", 4096), Purpose: Summary}); !errors.Is(err, ErrResourceInvalid) {
		t.Errorf("a long URL: %v", err)
	}
	if _, err := agent.Sign(Claims{Resource: testOrigin + "/"}); !errors.Is(err, ErrPurposeUnknown) {
		t.Errorf("no purpose: %v", err)
	}
	if _, err := agent.Sign(Claims{Resource: testOrigin + "/", Purpose: Summary, Now: time.UnixMilli(-1)}); !errors.Is(err, ErrClockUnknown) {
		t.Errorf("no clock: %v", err)
	}
	for _, id := range []string{"", "https://bot.example.com", "BOT.example.com", "127.0.0.1", "bot.example.com:8080", "bot.local"} {
		if _, err := NewAgent(id, must(GenerateKey())(t)); !errors.Is(err, ErrAgentIDInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// hardware is a key behind an API: crypto/ecdsa behind crypto.Signer, and one that fails.
type hardware struct {
	*ecdsa.PrivateKey
	give func([]byte, error) ([]byte, error)
}

func (h hardware) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	return h.give(h.PrivateKey.Sign(random, digest, options))
}

func TestKeysElsewhere(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	network := new(documents)
	publisher := small(t, PublisherConfig{Fetcher: network})
	agent := must(NewAgentWithSigner("bot.example.com", key))(t)
	network.publish(t, agent)
	for range 32 { // short r and s among them, now and then
		if _, err := publisher.Check(t.Context(), signedVisit(t, agent, "/a")); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("no connection to the KMS")
	for name, give := range map[string]func([]byte, error) ([]byte, error){
		"an error":  func([]byte, error) ([]byte, error) { return nil, broken },
		"no ASN.1":  func([]byte, error) ([]byte, error) { return make([]byte, 64), nil },
		"a tail":    func(der []byte, err error) ([]byte, error) { return append(der, 0), err },
		"cut":       func(der []byte, err error) ([]byte, error) { return der[:len(der)-1], err },
		"nothing":   func([]byte, error) ([]byte, error) { return nil, nil },
		"too large": func([]byte, error) ([]byte, error) { return asn1Signature(new(big.Int).Lsh(big.NewInt(1), 300)), nil },
		"negative":  func([]byte, error) ([]byte, error) { return asn1Signature(big.NewInt(-1)), nil },
	} {
		agent := must(NewAgentWithSigner("bot.example.com", hardware{key, give}))(t)
		_, err := agent.Sign(Claims{Resource: testOrigin + "/", Purpose: Summary})
		if err == nil || name == "an error" && !errors.Is(err, broken) || name != "an error" && !errors.Is(err, ErrSignFault) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewAgentWithSigner("bot.example.com", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)); !errors.Is(err, ErrKeyFormat) {
		t.Errorf("P-384: %v", err)
	}
	if _, err := NewAgentWithSigner("bot.example.com", must(rsa.GenerateKey(rand.Reader, 2048))(t)); !errors.Is(err, ErrKeyFormat) {
		t.Errorf("RSA: %v", err)
	}
}

// Rotation: the request's key is a listed one, or a revoked one.
func TestManifests(t *testing.T) {
	network := new(documents)
	old, next := must(GenerateKey())(t), must(GenerateKey())(t)
	agent := must(NewAgent("bot.example.com", next))(t)
	rotated := must(NewAgent("bot.example.com", old))(t)
	publish := func(manifest Manifest) *Publisher {
		network.put("https://bot.example.com"+ManifestPath, must(agent.Manifest(manifest))(t))
		return small(t, PublisherConfig{Fetcher: network})
	}
	listed := ListedKey{PublicKey: old.PublicPEM(), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if _, err := publish(Manifest{Keys: []ListedKey{listed}}).Check(t.Context(), signedVisit(t, rotated, "/")); err != nil {
		t.Errorf("a listed key: %v", err)
	}
	expired := ListedKey{PublicKey: old.PublicKey(), NotAfter: time.Now().Add(-time.Hour)}
	if _, err := publish(Manifest{Keys: []ListedKey{expired}}).Check(t.Context(), signedVisit(t, rotated, "/")); !errors.Is(err, ErrKeyMismatch) {
		t.Errorf("an expired key: %v", err)
	}
	revoked := []RevokedKey{{old.KeyID(), time.Now().Add(-time.Hour)}}
	if _, err := publish(Manifest{Keys: []ListedKey{listed}, Revoked: revoked}).Check(t.Context(), signedVisit(t, rotated, "/")); !errors.Is(err, ErrKeyRevoked) {
		t.Errorf("a revoked key: %v", err)
	}
	if _, err := agent.Manifest(Manifest{Keys: make([]ListedKey, 5)}); !errors.Is(err, ErrManifestInvalid) {
		t.Errorf("five keys: %v", err)
	}
	if _, err := agent.Manifest(Manifest{ContactEmail: strings.Repeat("a", 1<<20)}); err == nil {
		t.Error("a megabyte of contact")
	}
}

// What is written twice is held together: the codes by the header, the names of headers by the library.
func TestGenerated(t *testing.T) {
	header := filepath.Join(repository(t), "include", "imagxp.h")
	again := filepath.Join(t.TempDir(), "codes.go")
	if out, err := exec.Command("go", "run", "./internal/codegen", header, again).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if codesOf(t, again) != codesOf(t, "codes.go") {
		t.Error("codes.go has not the codes of imagxp.h: run `go generate`")
	}
	known := make(map[string]bool)
	for _, name := range headersRead {
		known[name] = true
		if !abi.HeaderMatters(name) || http.CanonicalHeaderKey(name) != name {
			t.Errorf("%s does not matter, or is not canonical", name)
		}
	}
	text := string(must(os.ReadFile(filepath.Join(repository(t), "core", "src", "spec.rs")))(t)) + string(must(os.ReadFile(filepath.Join(repository(t), "core", "src", "visitor.rs")))(t))
	for _, word := range strings.Split(text, `"`) {
		if name := http.CanonicalHeaderKey(word); len(word) < 64 && !strings.ContainsAny(word, " \n") && abi.HeaderMatters(word) && !known[name] {
			t.Errorf("%s matters, and is not read", word)
		}
	}
}

// codesOf are the names and numbers of a file; what it says of them is the header's.
func codesOf(t *testing.T, path string) string {
	t.Helper()
	var codes strings.Builder
	for line := range strings.Lines(string(must(os.ReadFile(path))(t))) {
		if strings.Contains(line, " Code = ") {
			codes.WriteString(line)
		}
	}
	return codes.String()
}

func TestCodes(t *testing.T) {
	if ErrReplayDetected.Name() != "REPLAY_DETECTED" || ErrReplayDetected.HTTPStatus() != 403 || ErrKeyMismatch.Public() != ErrIdentityUnverified ||
		ErrIdentityPending.RetryAfter() != 2*time.Second || !strings.Contains(ErrReplayDetected.Error(), "fresh nonce") || Code(-999).Error() != "imagxp: code -999" {
		t.Error("the codes are not the library's")
	}
	for purpose := CrawlTraining; purpose <= Embedding; purpose++ {
		if again, err := ParsePurpose(purpose.String()); err != nil || again != purpose {
			t.Errorf("%v", purpose)
		}
	}
	if _, err := ParsePurpose("READING"); !errors.Is(err, ErrPurposeUnknown) || Purpose(9).String() != "" || Purpose(-1).String() != "" {
		t.Error("an unknown purpose")
	}
}

func asn1Signature(number *big.Int) []byte {
	der, err := asn1.Marshal(struct{ R, S *big.Int }{number, number})
	if err != nil {
		panic(err)
	}
	return der
}
