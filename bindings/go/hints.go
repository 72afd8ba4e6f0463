package imagxp

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
	"golang.org/x/sync/singleflight"
)

// fetches makes one of all fetches of a document that are wanted at the same time.
type fetches struct{ group singleflight.Group }

// failureTime is how long a stranger's fetch takes at least that brings no document: no failure is told from another by its time
// (docs/threats.md section 8, SSRF-10).
const failureTime = 1500 * time.Millisecond

// flightTimeout is for Fetchers without one of their own.
const flightTimeout = 2 * wholeTimeout

// learn fetches a document and puts it into the key cache, once for all who wait. seen is the snapshot that lacked it: if it is
// no more the current one, the document may have come already, and the caller looks again. The fetch goes on when ctx ends, for
// the others.
func (p *Publisher) learn(ctx context.Context, document abi.Document, who cause, seen *[]uint64) (*abi.Told, error) {
	asked := p.nowMs()
	landed := p.fetches.group.DoChan(flightOf(&document), func() (any, error) {
		if p.keys.read() != seen {
			return (*abi.Told)(nil), nil
		}
		flying, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		return p.fetch(flying, document, who)
	})
	waiting, cancel := context.WithTimeout(ctx, flightTimeout)
	defer cancel()
	select {
	case result := <-landed:
		told, _ := result.Val.(*abi.Told)
		if told != nil {
			own := *told // of all who wait, each asked at his own time
			own.AskedMs, told = asked, &own
		}
		return told, result.Err
	case <-waiting.Done():
		return nil, waiting.Err()
	}
}

// flightOf names a flight: what an operator's URL may reach, a stranger's may not, so they share none.
func flightOf(document *abi.Document) string {
	if document.Configured {
		return "ours " + document.URL
	}
	return "theirs " + document.URL
}

// cause is why a document is fetched: a client's first request, or that it is known and due again.
type cause struct {
	client netip.Addr
	known  bool
}

func (p *Publisher) fetch(ctx context.Context, document abi.Document, who cause) (*abi.Told, error) {
	need := Need{Kind: DocumentKind(document.Kind), URL: document.URL, Host: document.Host, Configured: document.Configured,
		MaxLen: document.MaxLen, Client: who.client, Known: who.known}
	begun := time.Now()
	answer, err := p.config.Fetcher.Fetch(ctx, need)
	if err == nil && !need.Configured && !need.Known && answer.Outcome != Found {
		p.pause(ctx, time.Until(begun.Add(failureTime)))
	}
	if err != nil { // not now: it says nothing about the document, so it must not be supplied
		p.log(ctx, slog.LevelWarn, "imagxp: not fetched", slog.String("url", need.URL), slog.Any("error", err))
		return nil, err
	}
	p.fetched(ctx, &need, &answer)
	told := &abi.Told{Kind: document.Kind, Found: answer.kind(), URL: document.URL, Len: len(answer.Body), AnsweredMs: p.nowMs()}
	if p.config.Evidence != nil && answer.Outcome == Found {
		if told.SHA256, err = p.config.Evidence.document(document.URL, documentBody(&document, &answer), told.AnsweredMs); err != nil {
			p.log(ctx, slog.LevelError, "imagxp: a document is not on record", slog.String("url", need.URL), slog.Any("error", err))
		}
	}
	return told, p.supply(ctx, &document, &answer)
}

// pause takes so long, or as long as ctx.
func pause(ctx context.Context, while time.Duration) {
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// documentBody is at most one byte more than a document may have: enough to refuse it.
func documentBody(document *abi.Document, answer *Answer) []byte {
	return answer.Body[:min(len(answer.Body), document.MaxLen+1)]
}

func (p *Publisher) supply(ctx context.Context, document *abi.Document, answer *Answer) error {
	body := documentBody(document, answer)
	err := p.keys.write(func(words []uint64) int32 {
		return abi.Supply(words, document, answer.kind(), body, answer.maxAge(), p.nowMs())
	})
	if err == nil && document.Kind == abi.NeedJWKS {
		if alarm := Code(abi.Alarm(*p.keys.read(), document.URL)); alarm == ErrJWKPrivateExposed {
			p.log(ctx, slog.LevelError, "imagxp: "+alarm.Help(), slog.String("url", document.URL))
		}
	}
	return err
}

// hints are what an admission leaves to do: each once at a time, and few at a time.
type hints struct {
	lock     sync.Mutex
	underway map[any]struct{}
}

const hintsMax = 16

// begin says whether this one is to be done now, by whoever asked.
func (h *hints) begin(key any) bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	if _, busy := h.underway[key]; busy || len(h.underway) >= hintsMax {
		return false // the next admission gives the hint again
	}
	if h.underway == nil {
		h.underway = make(map[any]struct{})
	}
	h.underway[key] = struct{}{}
	return true
}

func (h *hints) end(key any) {
	h.lock.Lock()
	defer h.lock.Unlock()
	delete(h.underway, key)
}

// followUp refreshes a stale document and prepares the key of a busy agent, behind the visitor's back.
func (p *Publisher) followUp(call *abi.Call, result *abi.Result) {
	if refresh := call.Refresh(); refresh.Kind != 0 && p.hints.begin(refresh.URL) {
		go func() {
			defer p.hints.end(refresh.URL)
			_, _ = p.learn(context.Background(), refresh, cause{known: true}, p.keys.read()) // what failed is in the log
		}()
	}
	if id := result.Prepare; id != 0 && p.hints.begin(id) {
		go func() {
			defer p.hints.end(id)
			err := p.keys.write(func(words []uint64) int32 { return abi.Prepare(words, id, p.nowMs()) })
			if err != nil {
				p.log(context.Background(), slog.LevelError, "imagxp: a key was not prepared", slog.Any("error", err))
			}
		}()
	}
}
