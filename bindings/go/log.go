package imagxp

import (
	"context"
	"log/slog"
)

func (p *Publisher) log(ctx context.Context, level slog.Level, text string, attributes ...slog.Attr) {
	if p.config.Logger != nil {
		p.config.Logger.LogAttrs(ctx, level, text, attributes...)
	}
}

func (p *Publisher) logs(ctx context.Context, level slog.Level) bool {
	return p.config.Logger != nil && p.config.Logger.Enabled(ctx, level)
}

// admitted and refused tell a decision. Only names that have passed the grammar of names are told (Claimed).
func (p *Publisher) admitted(ctx context.Context, verdict *Verdict) {
	if p.logs(ctx, slog.LevelDebug) {
		p.log(ctx, slog.LevelDebug, "imagxp: admitted", slog.Any("verdict", verdict))
	}
	if verdict.clockSteppedBack() {
		p.log(ctx, slog.LevelError, "imagxp: the clock of this host was set back by more than two seconds")
	}
}

func (p *Publisher) refused(ctx context.Context, refusal *Refusal) {
	level := slog.LevelInfo
	if refusal.HTTPStatus() >= 500 {
		level = slog.LevelWarn
	}
	if p.logs(ctx, level) {
		p.log(ctx, level, "imagxp: refused", slog.Any("refusal", refusal))
	}
}

func (p *Publisher) fetched(ctx context.Context, need *Need, answer *Answer) {
	if answer.Outcome == Found {
		p.log(ctx, slog.LevelDebug, "imagxp: fetched", slog.String("url", need.URL), slog.Int("bytes", len(answer.Body)))
		return
	}
	p.log(ctx, slog.LevelInfo, "imagxp: no document", slog.String("url", need.URL), slog.String("reason", answer.Reason))
}

// LogValue is the verdict for a log.
func (v *Verdict) LogValue() slog.Value {
	attributes := []slog.Attr{slog.String("visitor", v.Visitor.String())}
	if v.Signed() {
		attributes = append(attributes, slog.String("agent_id", v.AgentID), slog.String("purpose", v.Purpose.String()),
			slog.String("kid", v.KeyID), slog.String("bound", v.Bound.String()), slog.String("proof", v.Proof.String()))
	}
	return slog.GroupValue(attributes...)
}

// LogValue is the refusal for a log: the precise code, and what to mend.
func (r *Refusal) LogValue() slog.Value {
	attributes := []slog.Attr{slog.String("code", r.Code.Name()), slog.Int("status", r.HTTPStatus()), slog.String("help", r.Code.Help())}
	if r.Claimed.AgentID != "" {
		attributes = append(attributes, slog.String("claimed_agent_id", r.Claimed.AgentID))
	}
	if r.Cause != nil {
		attributes = append(attributes, slog.Any("cause", r.Cause))
	}
	return slog.GroupValue(attributes...)
}
