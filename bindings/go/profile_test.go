package imagxp

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// The strict profile (vectors/README.md), by the functions that judge one input, and by requests that hold it.

type profileRow struct {
	ID     string
	In     json.RawMessage
	InHex  string `json:"in_hex"`
	OutHex string `json:"out_hex"`
	SPKI   string
	Ms     int64
	Expect string
}

func profile(t *testing.T, name string) []profileRow {
	t.Helper()
	var rows []profileRow
	for _, raw := range loadRows(t, vectorFolder(t), "profile/"+name+".json") {
		rows = append(rows, decode[profileRow](t, raw))
	}
	return rows
}

func (r *profileRow) text(t *testing.T) string {
	t.Helper()
	var text string
	if err := json.Unmarshal(r.In, &text); err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	return text
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	return must(hex.DecodeString(text))(t)
}

func TestVectorsOfTheProfile(t *testing.T) {
	count, agent := &tally{t: t}, newTestAgent(t, vectorAgent)
	for _, row := range profile(t, "ssrf_address") {
		address := must(netip.ParseAddr(row.text(t)))(t)
		count.check("ssrf_address", row.ID, statusName(abi.MayConnect(address.AsSlice())), row.Expect)
	}
	for _, row := range profile(t, "agent_id") {
		count.check("agent_id", row.ID, statusName(abi.CheckAgentID(row.text(t), false)), row.Expect)
	}
	for _, row := range profile(t, "json_strict") {
		out, status := abi.JCS(unhex(t, row.InHex))
		count.check("json_strict", row.ID, statusName(status), row.Expect)
		if status == abi.OK {
			count.check("json_strict", row.ID, hex.EncodeToString(out), row.OutHex)
		}
	}
	for _, row := range profile(t, "spki") {
		_, status := abi.ManifestWrite(vectorAgent, base64.StdEncoding.EncodeToString(unhex(t, row.SPKI)), "", nil, nil)
		if Code(status) == ErrKeyFormat { // in a text, what is not the one form is told before what is not on the curve
			status = int32(ErrKeyInvalid)
		}
		count.check("spki", row.ID, statusName(status), row.Expect)
	}
	for name, member := range map[string]string{"nonce": "nonce", "timestamp": "ts"} {
		for _, row := range profile(t, name) {
			if len(row.In) > 2048 {
				continue // no header holds it
			}
			now := int64(vectorNow) // by the clock of the row: what is a time is fresh
			if name == "timestamp" && row.Ms != 0 {
				now = max(row.Ms, 1)
			}
			got := spoilt(t, agent, now, 300_000, 60_000, object{member: row.In})
			count.check(name, row.ID, got, told(row.Expect))
		}
	}
	for _, row := range profile(t, "time_window") {
		var in [4]int64
		if err := json.Unmarshal(row.In, &in); err != nil {
			t.Fatal(err)
		}
		ts := time.UnixMilli(in[1]).UTC()
		if in[0] <= 0 || ts.Year() < 1970 || ts.Year() > 9999 {
			continue
		}
		got := spoilt(t, agent, in[0], in[2], in[3], object{"ts": marshal(ts.Format("2006-01-02T15:04:05.000Z"))})
		count.check("time_window", row.ID, got, told(row.Expect))
	}
	count.done()
}

func statusName(status int32) string {
	if status == abi.OK {
		return "OK"
	}
	return Code(status).Name()
}

// spoilt judges a request whose signature is somebody else's: whatever is judged before the signature is told, and the rest is
// SIGNATURE_INVALID.
func spoilt(t *testing.T, agent *Agent, nowMs, windowMs, skewMs int64, members object) string {
	t.Helper()
	payload := object{"v": marshal("1.1"), "ts": marshal("2026-01-26T12:00:00.000Z"), "nonce": marshal("0f0e0d0c-0b0a-4908-8706-050403020100"),
		"agent_id": marshal(vectorAgent), "resource": marshal(testOrigin + "/posts/a"), "purpose": marshal("RAG_RETRIEVAL")}
	maps.Copy(payload, members)
	s := must(newSite(string(marshal(map[string]any{"allowRAG": true, "window": windowMs, "skew": skewMs})), false))(t)
	header := make(http.Header)
	must(agent.Sign(Claims{Resource: testOrigin + "/posts/a", Purpose: RAGRetrieval, Now: time.UnixMilli(vectorNow)}))(t).Set(header)
	header.Set(HeaderPayload, base64.StdEncoding.EncodeToString(marshal(payload)))
	got, _ := s.judge(t, header, nowMs)
	return got
}

func told(code string) string {
	if code == "OK" {
		return "SIGNATURE_INVALID"
	}
	return code
}
