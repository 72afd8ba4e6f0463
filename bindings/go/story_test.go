package imagxp

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

// The story of a cold agent, of its replay, and of a liar: the events in their order.
func TestStory(t *testing.T) {
	network, agent, liar := new(documents), newTestAgent(t, "bot.example.com"), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	var log, story bytes.Buffer
	publisher := small(t, PublisherConfig{Fetcher: network, Story: slog.New(slog.NewJSONHandler(&story, nil)),
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	r := signedVisit(t, agent, "/a")
	hostile := visit("/a", nil)
	hostile.RequestURI = "/a\x1b[31m" // no server of Go reads that, but others may
	for _, row := range []struct {
		name   string
		check  func() error
		events string
		fields []string
	}{
		{"admitted", func() error { _, err := publisher.Check(t.Context(), r); return err },
			"RECEIVED CLAIMED SIGNATURE_VALID MANIFEST_ASKED MANIFEST_RECEIVED CONFIRMED GRANTED", []string{`"agent_id":"bot.example.com"`, `"module":"IMAGXP DNS"`}},
		{"a replay", func() error { _, err := publisher.Check(t.Context(), r); return err }, "REPEATED BLOCKED", []string{`"status":403`}},
		{"a liar", func() error { _, err := publisher.Check(t.Context(), signedVisit(t, liar, "/a")); return err }, "CLAIMED", []string{`"status":403`}},
		{"a stranger", func() error { _, err := publisher.Check(t.Context(), hostile); return err }, "RECEIVED", []string{`"status":401`}},
	} {
		story.Reset()
		_ = row.check()
		var events []string
		for line := range bytes.Lines(story.Bytes()) {
			var record struct{ Msg, Module, At string }
			if err := json.Unmarshal(line, &record); err != nil || record.Module == "" || record.At == "" {
				t.Errorf("%s: %s %v", row.name, line, err)
			}
			events = append(events, record.Msg)
		}
		told := strings.Join(events, " ")
		for _, event := range strings.Fields(row.events) {
			if !strings.Contains(told, event) {
				t.Errorf("%s: %s is not told: %s", row.name, event, told)
			}
		}
		for _, field := range row.fields {
			if !strings.Contains(story.String(), field) {
				t.Errorf("%s: %s is not told: %s", row.name, field, story.String())
			}
		}
		if strings.ContainsRune(story.String(), '\x1b') {
			t.Errorf("%s: %q", row.name, story.String())
		}
	}
	for _, text := range []string{"imagxp: admitted", "visitor=VERIFIED_AGENT", "imagxp: refused", "code=REPLAY_DETECTED", "imagxp: fetched", "code=KEY_MISMATCH"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("%s is not logged: %s", text, log.String())
		}
	}
}
