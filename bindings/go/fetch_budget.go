package imagxp

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What fetching there may be (docs/threats.md, SSRF-9).
const (
	fetchesMax     = 64
	namesPerSecond = 20
	namesPerClient = 2
	perNetworkMax  = 8
	// clientsMax bounds the memory. When there are more clients, those with a full bucket are forgotten: they lose nothing.
	clientsMax = 4096
)

var (
	errBudget  = errors.New("imagxp: too many documents are being fetched, or new ones asked for: later")
	errCrowded = errors.New("too many connections to the same network are under way")
)

// fetchBudget is how much fetching there may be: at a time, a second, for one client, towards one network.
type fetchBudget struct {
	lock     sync.Mutex
	underway int
	names    *rate.Limiter
	clients  map[netip.Prefix]*rate.Limiter
	swept    time.Time
	networks map[netip.Prefix]int
}

func newFetchBudget() *fetchBudget {
	return &fetchBudget{
		names:    rate.NewLimiter(namesPerSecond, namesPerSecond),
		clients:  make(map[netip.Prefix]*rate.Limiter),
		networks: make(map[netip.Prefix]int),
	}
}

// begin gives leave for a stranger's document; end gives it back. What is known and due again is no new name.
func (b *fetchBudget) begin(known bool, client netip.Addr, now time.Time) bool {
	b.lock.Lock()
	defer b.lock.Unlock()
	// The client's own bucket first: who floods must not empty everybody's.
	if b.underway >= fetchesMax || !known && !(b.client(client, now) && b.names.AllowN(now, 1)) {
		return false
	}
	b.underway++
	return true
}

func (b *fetchBudget) end() {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.underway--
}

// client takes from the bucket of an IPv4 address or a /64.
func (b *fetchBudget) client(client netip.Addr, now time.Time) bool {
	if !client.IsValid() {
		return true
	}
	key := network(client, 32, 64)
	if len(b.clients) >= clientsMax && now.Sub(b.swept) >= time.Second { // no sooner is a bucket full again
		b.swept = now
		for other, bucket := range b.clients {
			if bucket.TokensAt(now) >= namesPerClient {
				delete(b.clients, other)
			}
		}
	}
	bucket, known := b.clients[key]
	if !known {
		if len(b.clients) >= clientsMax {
			return true // the bucket of all still counts
		}
		bucket = rate.NewLimiter(namesPerClient, namesPerClient)
		b.clients[key] = bucket
	}
	return bucket.AllowN(now, 1)
}

// occupy takes a place among the connections to an address's network; leave gives it back.
func (b *fetchBudget) occupy(address netip.Addr) (leave func(), err error) {
	key := network(address, 24, 48)
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.networks[key] >= perNetworkMax {
		return nil, errCrowded
	}
	b.networks[key]++
	return sync.OnceFunc(func() {
		b.lock.Lock()
		defer b.lock.Unlock()
		if b.networks[key]--; b.networks[key] == 0 {
			delete(b.networks, key)
		}
	}), nil
}

func network(address netip.Addr, bits4, bits6 int) netip.Prefix {
	address = inside(address.WithZone(""))
	bits := bits6
	if address.Is4() {
		bits = bits4
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}
