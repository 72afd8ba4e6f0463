package imagxp

import (
	"crypto/rand"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// KeyCacheSizes is how much a publisher remembers of keys.
type KeyCacheSizes struct {
	// Names are agents, the refused ones included.
	Names uint32
	// Issuers are those of visas and ad proofs; at least as many as the policy names.
	Issuers uint32
	// Tables are prepared keys: those of busy agents, which verify several times faster.
	Tables uint32
	// TableKiB is the size of a table: 2, 8, 16, 32, 64 or 320.
	TableKiB uint32
}

// keyCache is the keys of agents and issuers: an immutable snapshot behind a pointer. Readers take no lock; whoever has news
// clones it, writes into the clone, and swaps. The old one lives as long as its readers.
type keyCache struct {
	snapshot atomic.Pointer[[]uint64]
	writer   sync.Mutex
}

func newKeyCache(sizes KeyCacheSizes) (*keyCache, error) {
	var seed [32]byte
	rand.Read(seed[:])
	words, status := abi.KeyCacheNew(abi.Sizes(sizes), &seed)
	if status != abi.OK {
		return nil, Code(status)
	}
	cache := new(keyCache)
	cache.snapshot.Store(&words)
	return cache, nil
}

func (k *keyCache) read() *[]uint64 { return k.snapshot.Load() }

func (k *keyCache) write(change func(words []uint64) int32) error {
	k.writer.Lock()
	defer k.writer.Unlock()
	words := slices.Clone(*k.snapshot.Load())
	if status := change(words); status != abi.OK {
		return Code(status)
	}
	k.snapshot.Store(&words)
	return nil
}
