//go:build broker

package imagxp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The project's own broker, as a program: `make test-go-broker` builds it, and runs this. IMAGXP_BIN is the command line.

const adminToken = "0123456789abcdef0123456789abcdef"

func startBroker(t *testing.T) string {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := listener.Addr().String()
	listener.Close()
	command := exec.Command(os.Getenv("IMAGXP_BIN"), "broker", "--dev", "--listen", address)
	command.Dir, command.Env = t.TempDir(), append(os.Environ(), "IMAGXP_BROKER_ADMIN_TOKEN="+adminToken)
	output := must(command.StdoutPipe())(t)
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if strings.Contains(lines.Text(), "Broker running on ") {
			go func() { // nobody else reads it
				for lines.Scan() {
				}
			}()
			return strings.Replace("http://"+address, "127.0.0.1", "localhost", 1)
		}
	}
	t.Fatal("the broker did not start")
	return ""
}

// An agent with money buys on the way, once for a visa that serves until it expires, anew for each of single use; its feedback
// settles what it paid. One without money gets the 402.
func TestTheBroker(t *testing.T) {
	url, agent, poor := startBroker(t), serveManifest(t), serveManifest(t)
	credit := exec.Command(os.Getenv("IMAGXP_BIN"), "broker", "credit", agent.ID(), "10", "--broker", url, "--dev")
	credit.Env = append(os.Environ(), "IMAGXP_BROKER_ADMIN_TOKEN="+adminToken)
	if out, err := credit.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, use := range []string{"false", "true"} {
		policy := fmt.Sprintf(developmentPolicy, `,"requiresPayment":true,"visa_single_use":`+use+`,"price":"0.001","audiences":["localhost"],"monetization":{"brokerUrl":"`+url+`"}`)
		publisher := must(NewPublisher(PublisherConfig{Policy: policy, AcceptFrom: time.UnixMilli(1), Keys: KeyCacheSizes{Names: 64, Issuers: 2}, ReplaySlots: 1024}))(t)
		server := httptest.NewServer(publisher.Handler(hello))
		defer server.Close()
		site := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
		for who, want := range map[*Agent]int{agent: 200, poor: 402} {
			wallet := must(NewWallet(WalletConfig{Agent: who, Brokers: []string{url}, MaxPrice: "0.01", MaxTotal: "1"}))(t)
			client := (&testNet{agent: who}).client(wallet)
			for range 3 {
				if status, body := get(t, client, site); status != want {
					t.Errorf("single use %s: %d %s", use, status, body)
				}
			}
		}
		broker := BrokerClient{URL: url, Agent: agent}
		visa := must(broker.BuyVisa(t.Context(), "localhost", "0.001"))(t)
		token := must(publisher.VerifyToken(t.Context(), VisaToken, visa.Token, agent.ID(), agent.PublicKey()))(t)
		answer := must(broker.SendFeedback(t.Context(), Feedback{URL: site + "/", Score: 900_000, Reason: HighQuality, VisaID: token.ID}))(t)
		var settled struct{ Visa, State string }
		if err := json.Unmarshal(answer, &settled); err != nil || settled.Visa != token.ID || settled.State != "released" {
			t.Errorf("%s %v", answer, err)
		}
	}
}
