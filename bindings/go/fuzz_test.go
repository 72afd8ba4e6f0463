package imagxp

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// The border: whatever comes over it, a call answers with a code that is known, and nobody gets in who was not signed for.

func FuzzCheck(f *testing.F) {
	network, agent := new(documents), newTestAgent(f, "bot.example.com")
	network.publish(f, agent)
	publishers := []*Publisher{small(f, PublisherConfig{Fetcher: network}),
		small(f, PublisherConfig{Fetcher: network, Policy: `{"allowRAG":true,"strategy":"STRICT","resource_binding":"off","requiresPayment":true,"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}`})}
	signed := must(agent.Sign(Claims{Resource: testOrigin + "/a", Purpose: RAGRetrieval}))(f)
	payload := must(base64.StdEncoding.DecodeString(signed.Payload))(f)
	f.Add("GET", "/a", payload, signed.Signature, signed.PublicKey, "", "", "curl")
	f.Add("POST", "*", []byte(`{"v":"1.1","a":"\ud800"}`), "", signed.PublicKey, "a.b.c", "a.b.c", "Mozilla")
	f.Add("", "//x/../y\x00", []byte{0xff}, "zz", "MFkw", "\x00", "é", "\r\n")
	f.Fuzz(func(t *testing.T, method, target string, payload []byte, signature, key, visa, proof, browser string) {
		header := make(http.Header)
		for name, value := range map[string]string{HeaderPayload: base64.StdEncoding.EncodeToString(payload), HeaderSignature: signature,
			HeaderPublicKey: key, HeaderCredential: visa, HeaderProof: proof, "User-Agent": browser} {
			if value != "" {
				header.Add(name, value)
				if value == browser {
					header.Add(HeaderProof, value)
				}
			}
		}
		r := &http.Request{Method: method, Host: "pub.example.com", RequestURI: target, URL: &url.URL{Path: "/"}, Header: header}
		for _, publisher := range publishers {
			verdict, err := publisher.Check(context.Background(), r)
			var refusal *Refusal
			switch {
			case err == nil && (verdict.Visitor != VerifiedAgent || signature != signed.Signature):
				t.Fatalf("admitted: %+v", verdict)
			case err != nil && (!errors.As(err, &refusal) || refusal.Code.Name() == "" || refusal.HTTPStatus() < 400 || len(refusal.Body) == 0 && refusal.HTTPStatus() != 500):
				t.Fatalf("%#v", err)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	agent := newTestAgent(f, "bot.example.com")
	f.Add(must(agent.Manifest(Manifest{}))(f), int64(60))
	f.Add([]byte(`{"agent_id":"bot.example.com","public_key":"MFkw"}`), int64(-1))
	f.Fuzz(func(t *testing.T, body []byte, maxAge int64) {
		network := new(documents)
		network.put("https://bot.example.com"+ManifestPath, body)
		network.answers["https://bot.example.com"+ManifestPath] = Answer{Outcome: Found, Body: body, MaxAge: time.Duration(maxAge)}
		publisher := small(t, PublisherConfig{Fetcher: network, Keys: KeyCacheSizes{Names: 8, Issuers: 1}, ReplaySlots: 64})
		_, err := publisher.Check(t.Context(), signedVisit(t, agent, "/a"))
		if err != nil && codeName(err) == "" {
			t.Fatal(err)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add(`{"allowRAG":true,"price":"0.001","monetization":{"brokerUrl":"https://broker.example.com"},"audiences":["a.example"]}`, testOrigin)
	f.Add(`{"development":true}`, "")
	f.Fuzz(func(t *testing.T, policy, origin string) {
		publisher, err := NewPublisher(PublisherConfig{Policy: policy, Origins: []string{origin}, Keys: KeyCacheSizes{Names: 8, Issuers: 4}, ReplaySlots: 64})
		if err == nil {
			_, _ = publisher.Check(t.Context(), visit("/", nil))
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(vectorKey)
	f.Add(string(must(must(GenerateKey())(f).ExportPEM())(f)))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseKey(text)
		if (key == nil) == (err == nil) {
			t.Fatalf("%v %v", key, err)
		}
		if err == nil && len(key.PublicKey()) != 124 {
			t.Fatal(key.PublicKey())
		}
	})
}

func FuzzSign(f *testing.F) {
	agent := newTestAgent(f, "bot.example.com")
	f.Add(testOrigin+"/a", int32(RAGRetrieval), true, int64(1769428800000))
	f.Fuzz(func(t *testing.T, resource string, purpose int32, ads bool, nowMs int64) {
		signed, err := agent.Sign(Claims{Resource: resource, Purpose: Purpose(purpose), AdsDisplayed: ads, Now: time.UnixMilli(nowMs)})
		if err == nil && (len(signed.Signature) != 128 || len(signed.PublicKey) != 124) {
			t.Fatalf("%+v", signed)
		}
	})
}
