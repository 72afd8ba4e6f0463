package imagxp

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// How many requests of one client may be refused behind a signature check (docs/threats.md section 5): they cost this host as much as a
// success.
const (
	failuresPerSecond = 20
	failuresBurst     = 40
)

var errFailures = errors.New("too many requests of this client were verified in vain")

// failures are the clients whose requests were verified in vain of late. While there is none, a request costs one atomic load.
type failures struct {
	count   atomic.Int32
	lock    sync.Mutex
	clients map[netip.Prefix]*rate.Limiter
	swept   time.Time
}

// tooMany says whether a client has used up its failures.
func (f *failures) tooMany(client netip.Addr, now time.Time) bool {
	if f.count.Load() == 0 || !client.IsValid() {
		return false
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	bucket, known := f.clients[network(client, 32, 64)]
	return known && bucket.TokensAt(now) < 1
}

// note counts a failure.
func (f *failures) note(client netip.Addr, now time.Time) {
	if !client.IsValid() {
		return
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	f.sweep(now)
	key := network(client, 32, 64)
	bucket, known := f.clients[key]
	if !known {
		if len(f.clients) >= clientsMax {
			return // so many at once: the cap on cores holds
		}
		if f.clients == nil {
			f.clients = make(map[netip.Prefix]*rate.Limiter)
		}
		bucket = rate.NewLimiter(failuresPerSecond, failuresBurst)
		f.clients[key] = bucket
	}
	bucket.AllowN(now, 1)
	f.count.Store(int32(len(f.clients)))
}

// sweep forgets, once a second, who has failed long ago.
func (f *failures) sweep(now time.Time) {
	if now.Sub(f.swept) < time.Second {
		return
	}
	f.swept = now
	for client, bucket := range f.clients {
		if bucket.TokensAt(now) >= failuresBurst {
			delete(f.clients, client)
		}
	}
}
