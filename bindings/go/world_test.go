package imagxp

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The world of the tests in process: a site, agents, and the only documents that can be fetched.

const testOrigin = "https://pub.example.com"

// documents is a closed network.
type documents struct {
	lock    sync.Mutex
	answers map[string]Answer
	fetches atomic.Int32
	delay   time.Duration
}

func (d *documents) Fetch(_ context.Context, need Need) (Answer, error) {
	d.fetches.Add(1)
	time.Sleep(d.delay)
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.answers[need.URL], nil // the zero Answer is Unreachable
}

func (d *documents) put(url string, body []byte) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.answers == nil {
		d.answers = make(map[string]Answer)
	}
	d.answers[url] = Answer{Outcome: Found, Body: body, MaxAge: -1}
}

func (d *documents) publish(t testing.TB, agent *Agent) {
	t.Helper()
	d.put("https://"+agent.ID()+ManifestPath, must(agent.Manifest(Manifest{}))(t))
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func newTestAgent(t testing.TB, id string) *Agent {
	t.Helper()
	return must(NewAgent(id, must(GenerateKey())(t)))(t)
}

// small is a publisher of a site that remembers little and forgives restarts.
func small(t testing.TB, config PublisherConfig) *Publisher {
	t.Helper()
	if config.Policy == "" {
		config.Policy = `{"allowRAG":true,"strategy":"STRICT"}`
	}
	if config.Origins == nil {
		config.Origins = []string{testOrigin}
	}
	if config.Keys == (KeyCacheSizes{}) {
		config.Keys = KeyCacheSizes{Names: 64, Issuers: 2, Tables: 4, TableKiB: 8}
	}
	if config.ReplaySlots == 0 {
		config.ReplaySlots = 4096
	}
	if config.AcceptFrom.IsZero() {
		config.AcceptFrom = time.UnixMilli(1)
	}
	publisher := must(NewPublisher(config))(t)
	publisher.pause = func(context.Context, time.Duration) {} // TestNoFailureIsToldByItsTime
	return publisher
}

// visit is a request as a server has read it.
func visit(target string, header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "pub.example.com"
	if header != nil {
		r.Header = header
	}
	return r
}

// signedVisit is one that an agent has signed.
func signedVisit(t testing.TB, agent *Agent, target string) *http.Request {
	t.Helper()
	signed := must(agent.Sign(Claims{Resource: testOrigin + target, Purpose: RAGRetrieval}))(t)
	r := visit(target, make(http.Header))
	signed.Set(r.Header)
	return r
}

// unavailable says that a component is missing: a failure with CI=true, else a loud skip.
func unavailable(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("SKIPPED: %s is missing: %v", what, err)
}

// repository is the top of the checkout; a module from a zip has none.
func repository(t testing.TB) string {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err == nil {
		_, err = os.Stat(filepath.Join(top, "vectors"))
	}
	if err != nil {
		unavailable(t, "the checkout with vectors/", err)
	}
	return top
}

func codeName(err error) string {
	if err == nil {
		return "OK"
	}
	var code Code
	if !asCode(err, &code) {
		return fmt.Sprintf("not a code: %v", err)
	}
	return code.Name()
}

func contextWithTimeout(t testing.TB, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), timeout)
}

func envInt(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	return must(strconv.Atoi(text))(t)
}

// memoryStore is a ReplayStore for tests of what surrounds one.
type memoryStore struct {
	lock sync.Mutex
	tags map[[16]byte]time.Time
	down error
}

func (m *memoryStore) Take(_ context.Context, tag [16]byte, expiry time.Time) (bool, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.down != nil {
		return false, m.down
	}
	if _, used := m.tags[tag]; used {
		return false, nil
	}
	if m.tags == nil {
		m.tags = make(map[[16]byte]time.Time)
	}
	m.tags[tag] = expiry
	return true, nil
}

// start is WaitGroup.Go, which Go 1.24 has not yet.
func start(all *sync.WaitGroup, run func()) {
	all.Add(1)
	go func() {
		defer all.Done()
		run()
	}()
}
