// Package redisstore remembers nonces for several nodes in one Redis: an imagxp.ReplayStore.
//
//	store, err := redisstore.Open("redis://redis.internal:6379/0")
//	publisher, err := imagxp.NewPublisher(imagxp.PublisherConfig{…, Store: store, StoreSecret: secret})
//
// Each nonce is one SET … NX with a time to live: atomic in Redis, so of any number of nodes one is the first. What is
// stored is a keyed tag, no name. A Redis that does not answer within the time-out refuses the request (503
// REPLAY_STORE_DOWN). Replicas are written behind: when a primary fails, what it had not yet passed on can be used once more.
package redisstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	timeout = 50 * time.Millisecond // docs/threats.md section 7
	prefix  = "imagxp:"
	// grace is how much longer Redis remembers than it must: clocks of nodes differ by a second.
	grace = 2 * time.Second
)

// Store is an imagxp.ReplayStore. It may be used by many goroutines at once.
type Store struct {
	client redis.UniversalClient
}

// Open makes a store of a URL such as redis://user:password@host:6379/0, rediss:// for TLS, unix:///path. It does not connect
// yet: Ping does.
func Open(url string) (*Store, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1
	return &Store{redis.NewClient(options)}, nil
}

// New makes a store of a client that is there already: a cluster, a ring, one with Sentinel. The client must have been made with
// ContextTimeoutEnabled, or a Redis that hangs would hang requests; and with MaxRetries -1, since a retry of a write that was
// done looks like a replay.
func New(client redis.UniversalClient) (*Store, error) {
	if single, ok := client.(*redis.Client); ok && !single.Options().ContextTimeoutEnabled {
		return nil, errors.New("redisstore: make the client with ContextTimeoutEnabled: true")
	}
	return &Store{client}, nil
}

// Take remembers a tag until expiry, and says whether it was new.
func (s *Store) Take(ctx context.Context, tag [16]byte, expiry time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	life := max(time.Until(expiry), 0) + grace
	err := s.client.SetArgs(ctx, prefix+hex.EncodeToString(tag[:]), 1, redis.SetArgs{Mode: "NX", TTL: life}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// Ping says whether Redis answers: ask at start.
func (s *Store) Ping(ctx context.Context) error { return s.client.Ping(ctx).Err() }

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }
