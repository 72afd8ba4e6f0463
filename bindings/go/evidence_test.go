package imagxp

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// A log of real decisions: verified, and every decision proven by the documents that it names.
func TestEvidence(t *testing.T) {
	network, agent, liar := new(documents), newTestAgent(t, "bot.example.com"), newTestAgent(t, "bot.example.com")
	network.publish(t, agent)
	path, key := filepath.Join(t.TempDir(), "evidence"), must(GenerateKey())(t)
	evidence := must(OpenEvidence(path, key))(t)
	publisher := small(t, PublisherConfig{Fetcher: network, Evidence: evidence})
	if _, err := OpenEvidence(path, key); err == nil {
		t.Fatal("two writers")
	}
	r := signedVisit(t, agent, "/a")
	for _, visitor := range []struct {
		want error
		seen func() error
	}{
		{nil, func() error { _, err := publisher.Check(t.Context(), r); return err }},
		{ErrReplayDetected, func() error { _, err := publisher.Check(t.Context(), r); return err }},
		{ErrKeyMismatch, func() error { _, err := publisher.Check(t.Context(), signedVisit(t, liar, "/a")); return err }},
		{ErrIdentityRequired, func() error { _, err := publisher.Check(t.Context(), visit("/a", nil)); return err }}, // not on record
	} {
		if err := visitor.seen(); !errors.Is(err, visitor.want) {
			t.Errorf("%v", err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); sealed(t, path, key) == 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond) // a second with news is sealed
	}
	if err := errors.Join(evidence.Err(), evidence.Close(), evidence.Close()); err != nil {
		t.Error(err)
	}
	summary := summaryOf(t, path, key)
	if summary.Documents != 1 || summary.Decisions < 2 || summary.Decisions > 3 || summary.Checkpoints != 1 || summary.Faults != 0 || summary.Sealed != summary.Lines {
		t.Errorf("%+v", summary)
	}
	prove(t, path, key)
}

func summaryOf(t *testing.T, path string, key *Key) EvidenceSummary {
	t.Helper()
	file := must(os.Open(path))(t)
	defer file.Close()
	return must(VerifyEvidence(file, key.PublicKey()))(t)
}

func sealed(t *testing.T, path string, key *Key) uint64 {
	t.Helper()
	return summaryOf(t, path, key).Sealed
}

// prove proves every decision of a log.
func prove(t *testing.T, path string, key *Key) {
	t.Helper()
	documents, log, proven := make(map[[32]byte][]byte), abi.NewLog(), 0
	for line := range bytes.Lines(must(os.ReadFile(path))(t)) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		record, status := log.Line(key.PublicKey(), line)
		if status != abi.OK {
			t.Fatalf("%d %d", status, record.Fault)
		}
		switch record.Kind {
		case abi.RecordDocument:
			documents[record.SHA256] = line
		case abi.RecordDecision:
			var its [][]byte
			for _, name := range record.Documents {
				its = append(its, documents[name])
			}
			if status := abi.Prove(line, its); status != abi.OK {
				t.Errorf("not proven: %d %s", status, line)
			}
			if bad := bytes.Replace(line, []byte(`"status":200`), []byte(`"status":403`), 1); !bytes.Equal(bad, line) && abi.Prove(bad, its) == abi.OK {
				t.Errorf("another verdict is proven, too: %s", bad)
			}
			proven++
		}
	}
	if proven == 0 {
		t.Error("nothing was proven")
	}
}

// A log goes on where it ended, over a torn last line; and not over a fault.
func TestEvidenceGoesOn(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "evidence"), must(GenerateKey())(t)
	for round := range 3 {
		evidence := must(OpenEvidence(path, key))(t)
		for range 1001 { // more than a checkpoint's
			must(evidence.document("https://bot.example.com/", []byte(`{"round":1}`), time.Now().UnixMilli()))(t)
		}
		if round == 1 { // as if the machine had stopped
			evidence.disk.Lock()
			evidence.lock.Lock()
			evidence.file.Close()
			evidence.file = nil
			evidence.lock.Unlock()
			evidence.disk.Unlock()
			file := must(os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0))(t)
			must(file.WriteString(`{"torn`))(t)
			file.Close()
			continue
		}
		if err := evidence.Close(); err != nil {
			t.Fatal(err)
		}
	}
	summary := summaryOf(t, path, key)
	if summary.Documents != 3*1001 || summary.Faults != 0 || summary.Sealed != summary.Lines || summary.Checkpoints < 3 {
		t.Errorf("%+v", summary)
	}
	text := must(os.ReadFile(path))(t)
	if err := os.WriteFile(path, bytes.Replace(text, []byte("bot.example.com"), []byte("bit.example.com"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenEvidence(path, key); !errors.Is(err, ErrEvidenceFault) {
		t.Errorf("a log that was changed: %v", err)
	}
	if _, err := OpenEvidence(filepath.Join(path, "nowhere"), key); err == nil {
		t.Error("a folder that is not there")
	}
}

// A disk that is full: the line is not there, the chain is whole, and the log goes on when there is room.
func TestEvidenceOnAFullDisk(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "evidence"), must(GenerateKey())(t)
	evidence := must(OpenEvidence(path, key))(t)
	record := func() error {
		_, err := evidence.document("https://bot.example.com/", []byte(strings.Repeat(" ", 1000)), 1)
		return err
	}
	if err := record(); err != nil {
		t.Fatal(err)
	}
	file := evidence.file
	evidence.file = must(os.OpenFile("/dev/full", os.O_RDWR, 0))(t)
	if err := record(); err == nil || evidence.Err() == nil {
		t.Errorf("a full disk: %v", err)
	}
	evidence.file.Close()
	evidence.file = file
	if err := errors.Join(record(), evidence.Close()); err != nil {
		t.Fatal(err)
	}
	if summary := summaryOf(t, path, key); summary.Documents != 2 || summary.Faults != 0 {
		t.Errorf("%+v", summary)
	}
}

// A disk that is slow, or that fails, holds no request; and both are told.
func TestEvidenceOnASlowDisk(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "evidence"), must(GenerateKey())(t)
	evidence := must(OpenEvidence(path, key))(t)
	begun, goOn := make(chan struct{}, 1), make(chan error)
	disk := evidence.sync
	evidence.sync = func(*os.File) error {
		begun <- struct{}{}
		return <-goOn
	}
	record := func() { must(evidence.document("https://bot.example.com/", []byte(`{}`), 1))(t) }
	record()
	<-begun
	for range 3000 { // while the disk writes
		record()
	}
	failed := errors.New("input/output error")
	goOn <- failed
	<-begun // there is news: the next one begins by itself
	if err := evidence.Err(); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	evidence.lock.Lock()
	evidence.sync = disk
	evidence.lock.Unlock()
	goOn <- nil
	if err := evidence.Close(); err != nil {
		t.Fatal(err)
	}
	if summary := summaryOf(t, path, key); summary.Documents != 3001 || summary.Faults != 0 || summary.Sealed != summary.Lines {
		t.Errorf("%+v", summary)
	}
}
