package imagxp

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// ReplayStore remembers nonces for several processes or nodes. What it gets are keyed tags, no names. Package
// github.com/imagxp/imagxp/bindings/go/redisstore has one on Redis.
type ReplayStore interface {
	// Take remembers a tag until expiry, in one step, and says whether it was new. An error refuses the request
	// (ErrReplayStoreDown): what can't be asked has not been admitted.
	Take(ctx context.Context, tag [16]byte, expiry time.Time) (taken bool, err error)
}

// ReplayStats are the counts of the replay cache, for dashboards.
type ReplayStats struct {
	// Slots are the entries that fit, Live those in use, LiveOfNewNames those of names first seen less than an hour ago.
	Slots, Live, LiveOfNewNames uint64
	// Admitted, and refused: used before, no room, over quota.
	Admitted, RefusedUsed, RefusedFull, RefusedQuota uint64
	// ClockStepsBack counts calls whose time lay more than two seconds behind an earlier one's.
	ClockStepsBack uint64
}

// replayCache is the nonces of this process: one for all goroutines, under one lock that is held for well under a microsecond.
// It is not sharded: a visa of single use must meet its first use whichever agent sends it.
type replayCache struct {
	lock  sync.Mutex
	words []uint64
}

func newReplayCache(slots int, acceptFrom time.Time) (*replayCache, error) {
	var seed [32]byte
	rand.Read(seed[:])
	var from int64
	if !acceptFrom.IsZero() {
		from = acceptFrom.UnixMilli()
	}
	words, status := abi.ReplayNew(slots, &seed, from)
	return &replayCache{words: words}, asError(status)
}

// admit gives, with ErrReplayCacheFull, when there may be room.
func (r *replayCache) admit(call *abi.Call, nowMs int64) (status int32, retryAfter time.Duration) {
	r.lock.Lock()
	defer r.lock.Unlock()
	status = call.Admit(r.words, nowMs)
	if status == abi.ReplayCacheFull {
		retryAfter = time.Duration(abi.ReplayRetryAfterS(r.words)) * time.Second
	}
	return status, retryAfter
}

func (r *replayCache) stats() ReplayStats {
	r.lock.Lock()
	defer r.lock.Unlock()
	stats, _ := abi.ReplayStats(r.words)
	return ReplayStats(stats)
}
