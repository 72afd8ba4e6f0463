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
	lines, status := call.Story(p.policy, p.decided(d))
	if status != abi.OK {
		p.log(ctx, slog.LevelError, "imagxp: a story was not told", slog.String("code", Code(status).Name()))
		return
	}
	for line := range bytes.Lines(lines) {
		tellLine(ctx, p.config.Story, line)
	}
}

// record puts a decision on record: who was admitted by a signature, and who was refused behind one.
func (p *Publisher) record(ctx context.Context, call *abi.Call, d *decision) {
	if p.config.Evidence == nil || !isProof(call, d) {
		return
	}
	if err := p.config.Evidence.decision(call, p.decided(d)); err != nil {
		p.log(ctx, slog.LevelError, "imagxp: a decision is not on record", slog.Any("error", err))
	}
}

// isProof says whether there was a valid signature: behind it the identity is judged (-4xx), and then policy and payment (-5xx).
func isProof(call *abi.Call, d *decision) bool {
	if d.admission {
		return call.Result().Flags&abi.FlagSigned != 0
	}
	return d.status <= -400 && d.status > -600 && Code(d.status) != ErrVisitorRefused
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
