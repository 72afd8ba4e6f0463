package imagxp

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A client whose requests are verified in vain is told to come later, before they are verified; others are not.
func TestFailures(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network})
	from := func(client string, r *http.Request) error {
		r.RemoteAddr = client + ":1234"
		_, err := publisher.Check(t.Context(), r)
		return err
	}
	bad := func() *http.Request {
		r := signedVisit(t, agent, "/a")
		r.Header.Set(HeaderSignature, strings.Repeat("1", 128))
		return r
	}
	const hostile, honest, proxy, replayer = "198.51.100.1", "198.51.100.2", "10.0.0.1", "198.51.100.3"
	failed, busy := 0, 0
	for range 2 * failuresBurst {
		switch err := from(hostile, bad()); {
		case errors.Is(err, ErrSignatureInvalid):
			failed++
		case errors.Is(err, ErrBusy):
			busy++
		default:
			t.Fatal(err)
		}
	}
	if failed < failuresBurst || busy == 0 {
		t.Errorf("%d failed, %d were told to come later", failed, busy)
	}
	if err := from(honest, signedVisit(t, agent, "/a")); err != nil {
		t.Errorf("another client: %v", err)
	}
	if err := from(hostile, visit("/a", nil)); !errors.Is(err, ErrIdentityRequired) {
		t.Errorf("a request without a signature: %v", err)
	}
	for captured := signedVisit(t, agent, "/a"); ; {
		if err := from(replayer, captured); errors.Is(err, ErrBusy) {
			break
		} else if err != nil && !errors.Is(err, ErrReplayDetected) {
			t.Fatal(err)
		}
	}
	for range 2 * failuresBurst { // one address that stands for many clients
		if err := from(proxy, bad()); !errors.Is(err, ErrSignatureInvalid) {
			t.Fatal(err)
		}
	}
}

func TestFailuresAreForgotten(t *testing.T) {
	f, now := new(failures), time.Now()
	client := netip.MustParseAddr("198.51.100.1")
	for range failuresBurst {
		f.note(client, now)
	}
	if !f.tooMany(client, now) || f.tooMany(netip.MustParseAddr("198.51.100.2"), now) || f.tooMany(client, now.Add(time.Second)) {
		t.Error("the bucket is not one of 20 a second and 40 at once")
	}
	f.note(netip.MustParseAddr("198.51.100.3"), now.Add(time.Minute))
	if f.count.Load() != 1 {
		t.Errorf("%d are remembered", f.count.Load())
	}
	for i := range 2 * clientsMax {
		f.note(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}), now.Add(time.Minute))
	}
	if len(f.clients) > clientsMax {
		t.Errorf("%d are remembered", len(f.clients))
	}
}
