package imagxp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// paidSite is a site that sells requests one by one and remembers them in a store.
func paidSite(t *testing.T, config PublisherConfig) (publisher *Publisher, pay func(visa string) error, sell func(id string) string) {
	t.Helper()
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	issuer := &Issuer{URL: "https://broker.example.com", Key: must(GenerateKey())(t)}
	network.put(issuer.URL+JWKSPath, must(issuer.JWKS())(t))
	config.Fetcher, config.StoreSecret = network, make([]byte, 32)
	config.Policy = `{"allowRAG":true,"requiresPayment":true,"price":"0.001","visa_single_use":true,
		"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}`
	publisher = small(t, config)
	pay = func(visa string) error {
		r := signedVisit(t, agent, "/a")
		r.Header.Set(HeaderCredential, visa)
		_, err := publisher.Check(t.Context(), r)
		return err
	}
	sell = func(id string) string {
		return must(issuer.IssueVisa(VisaClaims{Audience: "pub.example.com", AgentID: agent.ID(), PublicKey: agent.PublicKey(), Amount: "0.001", ID: id}))(t)
	}
	return publisher, pay, sell
}

// Printing a publisher shows nothing of the secret.
func TestTheStoreSecretIsNotShown(t *testing.T) {
	secret := []byte("0123456789abcdefghijklmnopqrstuv")
	publisher := small(t, PublisherConfig{Store: new(memoryStore), StoreSecret: secret})
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, told := range []string{string(secret), hex.EncodeToString(secret), strings.Trim(fmt.Sprint(secret), "[]"), "0x30, 0x31, 0x32"} {
			if strings.Contains(fmt.Sprintf(format, publisher), told) {
				t.Errorf("%s shows it", format)
			}
		}
	}
}

// A store that does not answer takes no visa: it pays once the store is back, and no second time.
func TestAStoreThatIsDownTakesNoVisa(t *testing.T) {
	store := new(memoryStore)
	publisher, pay, sell := paidSite(t, PublisherConfig{Store: store})
	visa := sell("1")
	store.down = errors.New("stalled")
	if err := pay(visa); !errors.Is(err, ErrReplayStoreDown) {
		t.Fatalf("while the store is down: %v", err)
	}
	store.down = nil
	if err := pay(visa); err != nil {
		t.Errorf("the visa is lost: %v", err)
	}
	if err := pay(visa); !errors.Is(err, ErrVisaUsed) {
		t.Errorf("a second use: %v", err)
	}
	if stats := publisher.ReplayStats(); stats.Admitted != 1 {
		t.Errorf("%+v", stats)
	}
}

// What was used while each process remembered for itself is used when the store is back.
func TestWhatIsUsedWithoutTheStore(t *testing.T) {
	store := &memoryStore{down: errors.New("stalled")}
	_, pay, sell := paidSite(t, PublisherConfig{Store: store, StoreDegraded: true})
	visa := sell("1")
	if err := pay(visa); err != nil {
		t.Fatal(err)
	}
	store.down = nil
	if err := pay(visa); !errors.Is(err, ErrVisaUsed) {
		t.Errorf("%v", err)
	}
}

// A replay is refused by its nonce, and takes no visa with it.
func TestAReplayUsesNoVisa(t *testing.T) {
	store := new(memoryStore)
	shared := sharedStore{store: store}
	expiry := time.Now().Add(time.Minute).Unix()
	nonce, first, second := abi.Tag{Bytes: [16]byte{1}, ExpiryS: expiry}, abi.Tag{Bytes: [16]byte{2}, ExpiryS: expiry}, abi.Tag{Bytes: [16]byte{3}, ExpiryS: expiry}
	for _, row := range []struct {
		visa abi.Tag
		want Code
		tags int
	}{{first, abi.OK, 2}, {second, ErrReplayDetected, 2}, {first, ErrReplayDetected, 2}} {
		if code, err := shared.take(t.Context(), [2]abi.Tag{nonce, row.visa}); code != row.want || err != nil || len(store.tags) != row.tags {
			t.Errorf("%v %v, %d tags", code, err, len(store.tags))
		}
	}
}

// A process that has no room left is no reason to refuse what the store has taken; and the evidence is whole.
func TestTheStoreHasRoom(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "evidence"), must(GenerateKey())(t)
	evidence := must(OpenEvidence(path, key))(t)
	publisher, pay, sell := paidSite(t, PublisherConfig{Store: new(memoryStore), ReplaySlots: 1, Evidence: evidence})
	const visits = 200
	for i := range visits {
		if err := pay(sell(strconv.Itoa(i))); err != nil {
			t.Fatalf("visit %d: %v", i, err)
		}
	}
	if stats := publisher.ReplayStats(); stats.RefusedFull+stats.RefusedQuota == 0 {
		t.Errorf("there was room: %+v", stats)
	}
	if err := evidence.Close(); err != nil {
		t.Fatal(err)
	}
	if summary := summaryOf(t, path, key); summary.Decisions != visits || summary.Faults != 0 {
		t.Errorf("%+v", summary)
	}
	prove(t, path, key)
}
