// Package redisstore remembers nonces for several nodes in one Redis: an imagxp.ReplayStore.
//
//	store, err := redisstore.Open("redis://redis.internal:6379/0")
//	publisher, err := imagxp.NewPublisher(imagxp.PublisherConfig{…, Store: store, StoreSecret: secret})
//
// Each nonce is one SET … NX with a time to live: atomic in Redis, so of any number of nodes one is the first. What is
// stored is a keyed tag, no name. A Redis that does not answer within the time-out refuses the request (503
// REPLAY_STORE_DOWN).
//
// What Redis forgets can be used once more. It forgets when it evicts keys, so one with a limit of memory must have maxmemory-policy
// noeviction, or Take is ErrEvicts. It forgets what was not on its disk when it stopped: everything, without a disk; up to a second with
// appendonly yes and appendfsync everysec; nothing with appendfsync always. That is nonces younger than the policy's window, and visas of single
// use until they expire: where those are sold, have appendonly. Replicas are written behind, in a cluster too: when a primary
// fails, what it had not yet passed on is forgotten.
package redisstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
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
	client  redis.UniversalClient
	timeout time.Duration // tests are more patient
	keeps   atomic.Bool   // has said that it evicts nothing
}

// ErrEvicts says that Redis drops keys when its memory is full: nonces, with the rest.
var ErrEvicts = errors.New("redisstore: this Redis evicts keys when memory is full: set maxmemory-policy noeviction")

// ErrRing says that a redis.Ring asks another shard for the keys of one that is away, and that one knows nothing of them.
var ErrRing = errors.New("redisstore: a ring forgets nonces when a shard is away: use a cluster")

// Open makes a store of a URL such as redis://user:password@host:6379/0, rediss:// for TLS, unix:///path. It does not connect
// yet: Ping does.
func Open(url string) (*Store, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1
	return &Store{client: redis.NewClient(options), timeout: timeout}, nil
}

// New makes a store of a client that is there already: a cluster, one with Sentinel. The client must have been made with
// ContextTimeoutEnabled, or a Redis that hangs would hang requests; and with MaxRetries -1 (0 is three retries), since a retry of a
// write that was done looks like a replay. A cluster needs no hash tags: each tag is a command of its own. Its client sends what broke
// off once more, whatever MaxRetries says: such a request may be told that it is a replay. A ring is ErrRing.
func New(client redis.UniversalClient) (*Store, error) {
	timeouts, retries := true, 0
	switch client := client.(type) {
	case *redis.Client:
		timeouts, retries = client.Options().ContextTimeoutEnabled, client.Options().MaxRetries
	case *redis.ClusterClient:
		timeouts, retries = client.Options().ContextTimeoutEnabled, client.Options().MaxRetries
	case *redis.Ring:
		return nil, ErrRing
	}
	switch {
	case !timeouts:
		return nil, errors.New("redisstore: make the client with ContextTimeoutEnabled: true")
	case retries > 0:
		return nil, errors.New("redisstore: make the client with MaxRetries: -1")
	}
	return &Store{client: client, timeout: timeout}, nil
}

// Take remembers a tag until expiry, and says whether it was new.
func (s *Store) Take(ctx context.Context, tag [16]byte, expiry time.Time) (bool, error) {
	if !s.keeps.Load() {
		if err := s.Ping(ctx); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	life := max(time.Until(expiry), 0) + grace
	err := s.client.SetArgs(ctx, prefix+hex.EncodeToString(tag[:]), 1, redis.SetArgs{Mode: "NX", TTL: life}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// Ping says whether Redis answers and keeps what it is told (ErrEvicts): ask at start. The first Take asks, too. A Redis that does
// not let this user see INFO is taken at its operator's word.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return err
	}
	err := s.eachNode(ctx, evicts)
	s.keeps.Store(err == nil)
	return err
}

func (s *Store) eachNode(ctx context.Context, ask func(context.Context, *redis.Client) error) error {
	switch client := s.client.(type) {
	case *redis.Client:
		return ask(ctx, client)
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, ask)
	}
	return nil
}

func evicts(ctx context.Context, node *redis.Client) error {
	text, err := node.Info(ctx, "memory").Result()
	var said redis.Error
	switch {
	case errors.As(err, &said): // not for this user
		return nil
	case err != nil:
		return err
	}
	var limit, policy string
	for line := range strings.Lines(text) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "maxmemory":
			limit = value
		case "maxmemory_policy":
			policy = value
		}
	}
	if limit != "0" && policy != "" && policy != "noeviction" {
		return fmt.Errorf("%w, not %s", ErrEvicts, policy)
	}
	return nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }
