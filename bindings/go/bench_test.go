package imagxp

import (
	"net/http"
	"sync/atomic"
	"testing"
)

// signedVisits are requests that are used once each, from four agents whose keys are prepared.
func signedVisits(b *testing.B, publisher *Publisher, network *documents, count int) []*http.Request {
	b.Helper()
	agents := make([]*Agent, 4)
	for i := range agents {
		agents[i] = newTestAgent(b, string(rune('a'+i))+".example.com")
		network.publish(b, agents[i])
		for range 64 {
			must(publisher.Check(b.Context(), signedVisit(b, agents[i], "/warm")))(b)
		}
	}
	visits := make([]*http.Request, count)
	for i := range visits {
		visits[i] = signedVisit(b, agents[i%len(agents)], "/posts/a-page-of-the-usual-length?page=2")
	}
	return visits
}

func BenchmarkCheck(b *testing.B) {
	network := new(documents)
	publisher := small(b, PublisherConfig{Fetcher: network, Keys: KeyCacheSizes{64, 1, 8, 64}, ReplaySlots: 2*b.N + 8192})
	visits := signedVisits(b, publisher, network, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range visits {
		if _, err := publisher.Check(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// On every core at once: -cpu 1,2 -mutexprofile shows what they wait for.
func BenchmarkCheckParallel(b *testing.B) {
	network := new(documents)
	publisher := small(b, PublisherConfig{Fetcher: network, Keys: KeyCacheSizes{64, 1, 8, 64}, ReplaySlots: 2*b.N + 8192})
	visits := signedVisits(b, publisher, network, b.N)
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := publisher.Check(b.Context(), visits[next.Add(1)-1]); err != nil {
				b.Error(err)
			}
		}
	})
}
