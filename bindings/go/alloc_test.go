//go:build !race

package imagxp

import (
	"net/http"
	"testing"
)

// The hot path allocates the verdict and the text of it, and nothing else. (The race detector empties pools, so not with it.)
func TestAllocations(t *testing.T) {
	network, agent := new(documents), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	publisher := small(t, PublisherConfig{Fetcher: network})
	visits := make([]*http.Request, 0, 300)
	for range cap(visits) {
		visits = append(visits, signedVisit(t, agent, "/a?b=c"))
	}
	const runs = 100
	next, ctx := 0, t.Context()
	check := func() {
		if _, err := publisher.Check(ctx, visits[next]); err != nil {
			t.Fatal(err)
		}
		next++
	}
	for range runs { // fetched, prepared
		check()
	}
	if allocations := testing.AllocsPerRun(runs, check); allocations > 2 {
		t.Errorf("%v allocations for a Check", allocations)
	}
}
