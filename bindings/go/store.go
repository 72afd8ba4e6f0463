package imagxp

import (
	"context"
	"fmt"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// sharedStore asks the ReplayStore of all nodes; nil is none.
type sharedStore struct {
	store  ReplayStore
	secret [32]byte
}

func newSharedStore(config *PublisherConfig) (*sharedStore, error) {
	if config.Store == nil {
		return nil, nil
	}
	shared := &sharedStore{store: config.Store}
	if copy(shared.secret[:], config.StoreSecret) != len(shared.secret) || len(config.StoreSecret) != len(shared.secret) {
		return nil, fmt.Errorf("imagxp: PublisherConfig.StoreSecret has %d bytes: it takes 32 random ones, the same on all nodes", len(config.StoreSecret))
	}
	return shared, nil
}

// tags are those of the nonce and of a visa of single use.
func (s *sharedStore) tags(call *abi.Call) (tags [2]abi.Tag, status int32) {
	if s == nil {
		return tags, abi.OK
	}
	status = call.Tags(&s.secret, &tags)
	return tags, status
}

// take takes the nonce first, and the visa in a step of its own: a replay must not use up a visa, and a store that stalls mostly stalls before the
// step that would. (One script for both would be read, and run, by a Redis that wakes up after the client has left.)
func (s *sharedStore) take(ctx context.Context, tags [2]abi.Tag) (Code, error) {
	if s == nil {
		return abi.OK, nil
	}
	for i, used := range [2]Code{ErrReplayDetected, ErrVisaUsed} {
		if tags[i].ExpiryS == 0 {
			continue
		}
		taken, err := s.store.Take(ctx, tags[i].Bytes, time.Unix(tags[i].ExpiryS, 0))
		if err != nil {
			return ErrReplayStoreDown, err
		}
		if !taken {
			return used, nil
		}
	}
	return abi.OK, nil
}
