package imagxp

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// tell tells the story of a decision (docs/protocol.md section 8): a record for each event, its module and its fields. Only what
// has passed its grammar is shown, anything else by its SHA-256, so that nobody writes into a log but its owner.
func (p *Publisher) tell(ctx context.Context, call *abi.Call, d *decision) {
	if p.config.Story == nil || !p.config.Story.Enabled(ctx, slog.LevelInfo) {
		return
	}
	lines, status := call.Story(p.policy, &abi.Decision{Status: d.status, Admission: d.admission, Vouched: d.vouched, ReceivedMs: d.receivedMs,
		DecidedMs: p.nowMs(), Told: d.told})
	if status != abi.OK {
		p.log(ctx, slog.LevelError, "imagxp: a story was not told", slog.String("code", Code(status).Name()))
		return
	}
	for line := range bytes.Lines(lines) {
		tellLine(ctx, p.config.Story, line)
	}
}

func tellLine(ctx context.Context, story *slog.Logger, line []byte) {
	var event map[string]any
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if decoder.Decode(&event) != nil {
		return // the library writes JSON
	}
	text, _ := event["event"].(string)
	delete(event, "event")
	attributes := make([]slog.Attr, 0, len(event))
	for _, name := range slices.Sorted(maps.Keys(event)) {
		attributes = append(attributes, slog.Any(name, event[name]))
	}
	story.LogAttrs(ctx, slog.LevelInfo, text, attributes...)
}
