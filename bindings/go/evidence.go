package imagxp

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Evidence is an append-only log of what was decided and on what grounds (docs/protocol.md section 9): documents as they were
// fetched, requests as they came, each line chained to the one before, and checkpoints signed by the publisher's key. `imagxp
// evidence verify` proves it, years later and without a network. Admitted requests are recorded, and those refused after
// their signature was found valid.
//
// One writer has one file: a lock keeps others out.
type Evidence struct {
	key  *Key
	now  func() time.Time
	disk sync.Mutex // held while a checkpoint goes to the disk; taken before lock, never after it
	lock sync.Mutex
	file *os.File
	size int64
	head abi.Head
	// sealed is the head that the last checkpoint left, and when.
	sealed   abi.Head
	sealedAt time.Time
	// timer makes the next checkpoint, and is there until it is on the disk; urgent is one that does not wait.
	timer  *time.Timer
	urgent bool
	buffer []byte
	// failed is why the last line is not in the file, lost why the last checkpoint is not on the disk.
	failed, lost error
	sync         func(*os.File) error
}

// checkpointAfter is how long news waits for its checkpoint.
const checkpointAfter = time.Second

// ErrEvidenceFault says that a log is not what its checkpoints say: it must not be gone on with.
var ErrEvidenceFault = errors.New("imagxp: the log of evidence has a fault")

// OpenEvidence opens a log, or begins one. A last line that was torn when the machine stopped is cut off; a log with any other
// fault is ErrEvidenceFault: keep it, and begin another.
func OpenEvidence(path string, key *Key) (*Evidence, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("imagxp: evidence: %w", err)
	}
	e := &Evidence{key: key, now: time.Now, file: file, sync: (*os.File).Sync}
	if err := e.begin(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return e, nil
}

func (e *Evidence) begin() error {
	if err := syscall.Flock(int(e.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("imagxp: evidence: %s has another writer: %w", e.file.Name(), err)
	}
	summary, log, err := readEvidence(e.file, e.key.PublicKey())
	switch {
	case err != nil:
		return err
	case summary.Faults > 0:
		return fmt.Errorf("%w: %s: %d lines are not what they should be", ErrEvidenceFault, e.file.Name(), summary.Faults)
	}
	e.head, e.size, e.sealedAt = log.Head(), log.Bytes(), e.now()
	if err := e.file.Truncate(e.size); err != nil {
		return fmt.Errorf("imagxp: evidence: %w", err)
	}
	if summary.Sealed < summary.Lines {
		return errors.Join(e.checkpoint(), e.sync(e.file))
	}
	e.sealed = e.head
	return nil
}

// EvidenceSummary is what there is in a log.
type EvidenceSummary struct {
	// Lines are whole lines; Documents, Decisions and Checkpoints what they record.
	Lines, Documents, Decisions, Checkpoints uint64
	// Sealed is the line of the last good checkpoint: what lies behind it is chained, but not signed.
	Sealed uint64
	// Faults counts lines that are not what they should be.
	Faults uint64
}

// VerifyEvidence verifies the chain and the checkpoints of a log by the publisher's public key.
func VerifyEvidence(log io.Reader, publicKey string) (EvidenceSummary, error) {
	summary, _, err := readEvidence(log, publicKey)
	return summary, err
}

func readEvidence(from io.Reader, publicKey string) (EvidenceSummary, *abi.Log, error) {
	var summary EvidenceSummary
	log, reader := abi.NewLog(), bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF { // what has no newline is torn
			summary.Sealed, summary.Faults = log.Sealed(), log.Faults()
			return summary, log, nil
		}
		if err != nil {
			return summary, log, fmt.Errorf("imagxp: evidence: %w", err)
		}
		record, status := log.Line(publicKey, line[:len(line)-1])
		if status < abi.OK {
			return summary, log, Code(status)
		}
		summary.Lines++
		switch record.Kind {
		case abi.RecordDocument:
			summary.Documents++
		case abi.RecordDecision:
			summary.Decisions++
		case abi.RecordCheckpoint:
			summary.Checkpoints++
		}
	}
}

// Close signs what is not signed yet, waits for the disk, and closes the log.
func (e *Evidence) Close() error {
	e.lock.Lock()
	file, sync := e.file, e.sync
	if file == nil {
		e.lock.Unlock()
		return nil
	}
	err := e.checkpoint()
	e.file = nil
	if e.timer != nil {
		e.timer.Stop()
	}
	e.lock.Unlock()

	e.disk.Lock() // a checkpoint that is on its way keeps the file open, and so the lock of the one writer
	defer e.disk.Unlock()
	return errors.Join(err, sync(file), file.Close())
}

// Err is why the log could not be written to, if it could not: the disk, mostly. It goes on when it can again.
func (e *Evidence) Err() error {
	e.lock.Lock()
	defer e.lock.Unlock()
	return errors.Join(e.failed, e.lost)
}

// document records a document, and gives its name.
func (e *Evidence) document(url string, body []byte, atMs int64) (sha256 [32]byte, err error) {
	err = e.append(func(head *abi.Head) (line []byte, status int32) {
		line, sha256, status = head.Document(url, body, atMs, e.buffer)
		return line, status
	})
	return sha256, err
}

// decision records a decision.
func (e *Evidence) decision(call *abi.Call, decision *abi.Decision) error {
	return e.append(func(head *abi.Head) ([]byte, int32) { return call.EvidenceDecision(decision, head, e.buffer) })
}

// append writes a line, whole or not at all. Checkpoints come from the timer: no request waits for the disk.
func (e *Evidence) append(write func(head *abi.Head) ([]byte, int32)) error {
	e.lock.Lock()
	defer e.lock.Unlock()
	if e.file == nil {
		return os.ErrClosed
	}
	err := e.line(write)
	if err == nil {
		e.schedule()
	}
	return err
}

// schedule sees to it that there will be a checkpoint: at once after many lines.
func (e *Evidence) schedule() {
	urgent := e.head.WantsCheckpoint(&e.sealed, e.now().Sub(e.sealedAt).Milliseconds())
	switch {
	case e.timer == nil && urgent:
		e.timer = time.AfterFunc(0, e.onTimer)
	case e.timer == nil:
		e.timer = time.AfterFunc(checkpointAfter, e.onTimer)
	case urgent && !e.urgent && e.timer.Stop(): // else it is running
		e.timer.Reset(0)
	}
	e.urgent = e.urgent || urgent
}

// onTimer signs under the lock, and waits for the disk without it.
func (e *Evidence) onTimer() {
	e.disk.Lock()
	defer e.disk.Unlock()
	e.lock.Lock()
	file, sync := e.file, e.sync
	if file == nil {
		e.lock.Unlock()
		return
	}
	_ = e.checkpoint() // what failed is in failed
	e.lock.Unlock()

	err := sync(file)

	e.lock.Lock()
	defer e.lock.Unlock()
	e.timer, e.urgent = nil, false
	if e.file == nil {
		return // Close has waited for the disk itself
	}
	e.lost = err
	if e.head != e.sealed {
		e.schedule()
	}
}

// line appends one line. If it cannot, the head and the file are as they were.
func (e *Evidence) line(write func(head *abi.Head) ([]byte, int32)) error {
	head := e.head
	line, status := write(&head)
	if status != abi.OK {
		return Code(status)
	}
	e.buffer = line
	if _, err := e.file.WriteAt(line, e.size); err != nil {
		e.failed = errors.Join(err, e.file.Truncate(e.size))
		return fmt.Errorf("imagxp: evidence: %w", e.failed)
	}
	e.head, e.size, e.failed = head, e.size+int64(len(line)), nil
	return nil
}

// checkpoint signs all lines so far.
func (e *Evidence) checkpoint() error {
	if e.head == e.sealed {
		return nil // no news
	}
	err := e.line(func(head *abi.Head) ([]byte, int32) {
		var hedge [32]byte
		rand.Read(hedge[:])
		defer runtime.KeepAlive(e.key)
		return head.Checkpoint(e.key.words, &hedge, e.now().UnixMilli(), e.buffer)
	})
	if err == nil {
		e.sealed, e.sealedAt = e.head, e.now()
	}
	return err
}
