package imagxp_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	imagxp "github.com/imagxp/imagxp/bindings/go"
)

// must is for examples only.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// An agent and its manifest, on this machine.
func localAgent() (*imagxp.Agent, *httptest.Server) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	agent := must(imagxp.NewAgent(strings.Replace(server.Listener.Addr().String(), "127.0.0.1", "localhost", 1), must(imagxp.GenerateKey())))
	manifest := must(agent.Manifest(imagxp.Manifest{ContactEmail: "security@example.com"}))
	mux.HandleFunc("GET "+imagxp.ManifestPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(manifest)
	})
	return agent, server
}

// A handler that only verified agents reach.
func ExamplePublisher_Handler() {
	publisher, err := imagxp.NewPublisher(imagxp.PublisherConfig{
		Policy: `{"development":true,"strategy":"STRICT","allowRAG":true}`, // on a public site without development, but with Origins
	})
	if err != nil {
		log.Fatal(err)
	}
	site := httptest.NewServer(publisher.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verdict, _ := imagxp.FromContext(r.Context())
		fmt.Fprintf(w, "%s for %s", verdict.Visitor, verdict.Purpose)
	})))
	defer site.Close()

	response := must(http.Get(site.URL))
	fmt.Println(response.Status)

	agent, server := localAgent()
	defer server.Close()
	client := &http.Client{Transport: &imagxp.Transport{Agent: agent, Purpose: imagxp.Summary}}
	response = must(client.Get(site.URL))
	var body [64]byte
	n, _ := response.Body.Read(body[:])
	fmt.Println(response.Status, string(body[:n]))
	// Output:
	// 401 Unauthorized
	// 200 OK VERIFIED_AGENT for SUMMARY
}

// A decision without the middleware: the error says why, and answers.
func ExamplePublisher_Check() {
	publisher := must(imagxp.NewPublisher(imagxp.PublisherConfig{Policy: `{"strategy":"STRICT"}`, Origins: []string{"https://pub.example.com"}}))
	handler := func(w http.ResponseWriter, r *http.Request) {
		verdict, err := publisher.Check(r.Context(), r)
		var refusal *imagxp.Refusal
		switch {
		case err == nil:
			fmt.Fprintln(w, "Hello,", verdict.AgentID)
		case errors.Is(err, imagxp.ErrIdentityRequired):
			http.Redirect(w, r, "/for-people", http.StatusSeeOther)
		case errors.As(err, &refusal):
			refusal.ServeHTTP(w, r)
		default:
			http.Error(w, "", http.StatusInternalServerError)
		}
	}
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output: 303 /for-people
}

// Signing by hand, where there is no http.Client.
func ExampleAgent_Sign() {
	key := must(imagxp.ParseKey("a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81"))
	agent := must(imagxp.NewAgent("bot.example.com", key))
	signed := must(agent.Sign(imagxp.Claims{Resource: "https://pub.example.com/a", Purpose: imagxp.RAGRetrieval}))
	fmt.Println(len(signed.Signature), signed.PublicKey == key.PublicKey(), key.KeyID())
	// Output: 128 true LZ7XDf9VG1xNHQGOOney686TjoqrGFWaoxdlRH_py-4
}

// A wallet that pays up to a cent a visa, to one broker.
func ExampleNewWallet() {
	agent := must(imagxp.NewAgent("bot.example.com", must(imagxp.GenerateKey())))
	wallet, err := imagxp.NewWallet(imagxp.WalletConfig{Agent: agent, Brokers: []string{"https://broker.example.com"}, MaxPrice: "0.01", MaxTotal: "1"})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &imagxp.Transport{Agent: agent, Purpose: imagxp.RAGRetrieval, Wallet: wallet}}
	fmt.Println(client.Transport.(*imagxp.Transport).Wallet == wallet)
	// Output: true
}

// The code of a refusal: the log has the precise one, the client the public one.
func ExampleCode() {
	code := imagxp.ErrKeyMismatch
	fmt.Println(code.Name(), code.HTTPStatus(), code.Public().Name())
	// Output: KEY_MISMATCH 403 IDENTITY_UNVERIFIED
}
