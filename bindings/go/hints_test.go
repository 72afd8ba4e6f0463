package imagxp

import (
	"context"
	"testing"
	"time"
)

// Whatever keeps a stranger's document from coming, the visitor hears of it after the same while (SSRF-10).
func TestNoFailureIsToldByItsTime(t *testing.T) {
	agent := newTestAgent(t, "bot.example.com")
	held := func(network *documents) time.Duration {
		var held time.Duration
		publisher := small(t, PublisherConfig{Fetcher: network})
		publisher.pause = func(_ context.Context, while time.Duration) { held = while }
		_, _ = publisher.Check(t.Context(), signedVisit(t, agent, "/a"))
		return held
	}
	for _, delay := range []time.Duration{0, 200 * time.Millisecond} {
		if whole := held(&documents{delay: delay}) + delay; whole > failureTime || whole <= failureTime-delay-time.Second {
			t.Errorf("a failure after %v is told after %v", delay, whole)
		}
	}
	network := new(documents)
	network.publish(t, agent)
	if while := held(network); while != 0 {
		t.Errorf("a document that came is held back for %v", while)
	}
}
