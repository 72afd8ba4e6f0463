package caddy

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	imagxp "github.com/imagxp/imagxp/bindings/go"
)

// publishers are those of all configurations that are in force, by what they were made with.
var publishers = caddy.NewUsagePool()

// shared is a publisher that several configurations may have, one after another.
type shared struct {
	publisher *imagxp.Publisher
	logs      *currentLogs
}

func newShared(config imagxp.PublisherConfig) (*shared, error) {
	logs := new(currentLogs)
	config.Logger = slog.New(logs)
	publisher, err := imagxp.NewPublisher(config)
	return &shared{publisher, logs}, err
}

// Destruct has nothing to do: a publisher is memory.
func (*shared) Destruct() error { return nil }

// currentLogs are the logs of the configuration that came last: those of the one before are closed.
type currentLogs struct{ handler atomic.Pointer[slog.Handler] }

func (c *currentLogs) use(handler slog.Handler) { c.handler.Store(&handler) }

func (c *currentLogs) Enabled(ctx context.Context, level slog.Level) bool {
	handler := c.handler.Load()
	return handler != nil && (*handler).Enabled(ctx, level)
}

func (c *currentLogs) Handle(ctx context.Context, record slog.Record) error {
	return (*c.handler.Load()).Handle(ctx, record)
}

// WithAttrs and WithGroup are never called by the publisher: what they would add belongs to one configuration.
func (c *currentLogs) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup is WithAttrs for a group.
func (c *currentLogs) WithGroup(string) slog.Handler { return c }
