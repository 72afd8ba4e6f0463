package imagxp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// The shared cases of keys, feedback and provenance.

type keyRow struct {
	ID         string
	Scalar     string                                             `json:"private_scalar_hex"`
	PKCS8      string                                             `json:"pkcs8_b64"`
	PKCS8Short string                                             `json:"pkcs8_without_public_b64"`
	SPKI       string                                             `json:"spki_b64"`
	JWK        json.RawMessage                                    `json:"jwk"`
	Reference  struct{ ExportPublicKey, ExportPrivateKey string } `json:"reference_result"`
}

// Every form of a key is the same pair, and is written as the reference writes it.
func TestVectorsOfKeys(t *testing.T) {
	count := &tally{t: t}
	for _, raw := range loadRows(t, vectorFolder(t), "interop/keys.json") {
		row := decode[keyRow](t, raw)
		scalar := strings.Repeat("0", max(0, 64-len(row.Scalar))) + row.Scalar
		for _, form := range []string{scalar, row.PKCS8, row.PKCS8Short, string(row.JWK)} {
			key, err := ParseKey(form)
			count.check("keys", row.ID, codeName(err), "OK")
			if err == nil {
				count.check("keys", row.ID, key.PublicKey(), otherwise(row.Reference.ExportPublicKey, row.SPKI))
				count.check("keys", row.ID, string(must(key.Export())(t)), otherwise(row.Reference.ExportPrivateKey, row.PKCS8))
			}
		}
	}
	count.done()
}

func otherwise(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// The token layer: an issuer of ad proofs, whose tokens are without payment.
func TestVectorsOfTokens(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(vectorFolder(t), "profile", "jwt.json"))
	if err != nil {
		t.Skipf("profile/jwt.json: not there, skipped: %v", err)
	}
	file := decode[struct {
		Iss, Aud string
		JWKS     json.RawMessage
		NowMs    int64 `json:"now_ms"`
		Tests    []struct{ ID, JWT, Expect string }
	}](t, text)
	const keySet = "https://keys.example.com/jwks"
	s := must(newSite(string(marshal(map[string]any{"audiences": []string{file.Aud},
		"monetization": map[string]any{"adNetwork": map[string]string{"jwksUrl": keySet, "issuer": file.Iss}}})), false))(t)
	s.network.put(keySet, file.JWKS)
	s.nowMs = file.NowMs
	count := &tally{t: t}
	for _, row := range file.Tests {
		_, err := s.VerifyToken(t.Context(), AdProofToken, row.JWT, "", "")
		count.check("jwt", row.ID, codeName(err), row.Expect)
	}
	count.done()
}

type tokenRow struct {
	ID     string
	NowMs  *int64 `json:"now_ms"`
	Token  *string
	Inputs *struct {
		AgentID  string `json:"agent_id"`
		Resource string
	}
	Reference struct {
		Signed    string `json:"signed_string"`
		Signature string
		PublicKey string `json:"public_key"`
		Headers   map[string]string
	} `json:"reference_result"`
	Expect string
}

func TestVectorsOfFeedback(t *testing.T) {
	count, agent := &tally{t: t}, vectorVisitor(t)
	for _, raw := range loadRows(t, vectorFolder(t), "interop/feedback.json") {
		row := decode[tokenRow](t, raw)
		document, agentID := fmt.Sprintf(`{"signal":%s,"signature":%s}`, row.Reference.Signed, marshal(row.Reference.Signature)), vectorAgent
		if row.Token != nil {
			document = *row.Token
		}
		if row.Inputs != nil {
			agentID = otherwise(row.Inputs.AgentID, agentID)
		}
		now := saidAt(document) // rows of tokens have no clock: they are read when they were written
		if row.NowMs != nil {
			now = time.UnixMilli(*row.NowMs)
		}
		judgement, err := verifyFeedback(document, agentID, otherwise(row.Reference.PublicKey, agent.PublicKey()), nil, now)
		count.check("feedback", row.ID, accepted(err == nil), row.Expect)
		if err == nil && row.Inputs != nil {
			count.check("feedback", row.ID, judgement.URL, row.Inputs.Resource)
		}
	}
	count.done()
}

func saidAt(document string) time.Time {
	var said struct{ Signal struct{ Timestamp time.Time } }
	if json.Unmarshal([]byte(document), &said) != nil || said.Signal.Timestamp.IsZero() {
		return time.UnixMilli(1000)
	}
	return said.Signal.Timestamp
}

func TestVectorsOfProvenance(t *testing.T) {
	count := &tally{t: t}
	for _, raw := range loadRows(t, vectorFolder(t), "interop/provenance.json") {
		row := decode[tokenRow](t, raw)
		var nowMs int64
		if row.NowMs != nil {
			nowMs = *row.NowMs
		}
		said := abi.Provenance{Origin: row.Reference.Headers[HeaderContentOrigin], Signature: row.Reference.Headers[HeaderProvenanceSig],
			TS: strconv.FormatInt(nowMs, 10)} // the reference sends no time
		origin, tsMs, status := abi.VerifyProvenance(row.Reference.PublicKey, &said, nowMs, 0, 0)
		count.check("provenance", row.ID, accepted(status == abi.OK), row.Expect)
		if status == abi.OK {
			count.check("provenance", row.ID, fmt.Sprintf(`{"origin":"%s","ts":%d}`, ContentOrigin(origin), tsMs), row.Reference.Signed)
		}
	}
	count.done()
}

// What is signed here verifies here, and nothing else does.
func TestFeedbackAndProvenanceVerify(t *testing.T) {
	key := must(GenerateKey())(t)
	agent := must(NewAgent("bot.example.com", key))(t)
	token := must(agent.SignFeedback(Feedback{URL: testOrigin + "/a", Score: 400_000, Reason: Inaccurate, Audience: testOrigin, VisaID: "7", ID: "1"}))(t)
	judgement, err := VerifyFeedback(token, agent.ID(), agent.PublicKey(), testOrigin)
	if err != nil || judgement.Score != 400_000 || judgement.Payment != WithholdPayment || len(judgement.Reasons) != 1 || judgement.Reasons[0] != Inaccurate ||
		judgement.URL != testOrigin+"/a" || judgement.ID != "1" || judgement.VisaID != "7" || time.Since(judgement.At).Abs() > time.Minute {
		t.Errorf("%+v %v", judgement, err)
	}
	other := newTestAgent(t, "bot.example.com")
	for name, err := range map[string]error{
		"another key":      second(VerifyFeedback(token, agent.ID(), other.PublicKey(), testOrigin)),
		"another agent":    second(VerifyFeedback(token, "other.example.com", agent.PublicKey(), testOrigin)),
		"another audience": second(VerifyFeedback(token, agent.ID(), agent.PublicKey(), "https://other.example.com")),
		"flipped":          second(VerifyFeedback(flipped(token), agent.ID(), agent.PublicKey(), testOrigin)),
	} {
		if codeName(err) != ErrFeedbackInvalid.Name() {
			t.Errorf("%s: %v", name, err)
		}
	}
	header := make(http.Header)
	if err := key.SignProvenance(header, SyntheticContent); err != nil {
		t.Fatal(err)
	}
	if origin, err := VerifyProvenance(header, key.PublicKey()); err != nil || origin != SyntheticContent {
		t.Errorf("%v %v", origin, err)
	}
	header.Set(HeaderContentOrigin, HumanContent.String())
	if _, err := VerifyProvenance(header, key.PublicKey()); codeName(err) != ErrSignatureInvalid.Name() {
		t.Errorf("another origin: %v", err)
	}
	if key.SignProvenance(header, 0) == nil {
		t.Error("no origin is signed")
	}
}

// flipped is a token with another first character of its signature.
func flipped(token string) string {
	at := strings.LastIndex(token, ".") + 1
	other := "A"
	if token[at] == 'A' {
		other = "B"
	}
	return token[:at] + other + token[at+1:]
}

func second[T any](_ T, err error) error { return err }
