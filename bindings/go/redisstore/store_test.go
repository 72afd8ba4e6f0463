package redisstore

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	imagxp "github.com/imagxp/imagxp/bindings/go"
	"github.com/redis/go-redis/v9"
)

// server is a redis-server of this test's own.
type server struct {
	address string
	bus     string // of a cluster's node
	process *os.Process
}

func startRedis(t *testing.T, options ...string) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: redis-server is missing: %v", err)
	}
	s := &server{address: freeAddress(t)}
	_, port, _ := net.SplitHostPort(s.address)
	command := exec.Command(path, append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir(),
		"--loglevel", "warning"}, options...)...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = command.Process
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	store := s.open(t)
	for range 200 {
		if store.client.Ping(t.Context()).Err() == nil {
			return s
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("redis-server does not answer")
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (s *server) open(t *testing.T) *Store {
	t.Helper()
	return patient(t, fatal(Open("redis://"+s.address+"/0")))
}

// patient is for machines that have other things to do.
func patient(t *testing.T, store *Store) *Store {
	t.Cleanup(func() { _ = store.Close() })
	store.timeout = time.Second
	return store
}

func TestTakesOnce(t *testing.T) {
	store := startRedis(t).open(t)
	tag := [16]byte{1, 2, 3}
	var taken atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			first, err := store.Take(t.Context(), tag, time.Now().Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if first {
				taken.Add(1)
			}
		}()
	}
	all.Wait()
	if taken.Load() != 1 {
		t.Errorf("taken %d times", taken.Load())
	}
	life, err := store.client.PTTL(t.Context(), prefix+"01020300000000000000000000000000").Result()
	if err != nil || life < 55*time.Second || life > time.Minute+grace {
		t.Errorf("%v %v", life, err)
	}
}

// documents are what each host publishes.
type documents map[string][]byte

func (d documents) Fetch(_ context.Context, need imagxp.Need) (imagxp.Answer, error) {
	return imagxp.Answer{Outcome: imagxp.Found, Body: d[need.Host], MaxAge: -1}, nil
}

func fatal[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Two nodes, one Redis: what one admitted, the other refuses; without Redis both refuse, and remember for themselves if they may.
func TestNodes(t *testing.T) {
	redisServer := startRedis(t)
	agent := fatal(imagxp.NewAgent("bot.example.com", fatal(imagxp.GenerateKey())))
	network := documents{"bot.example.com": fatal(agent.Manifest(imagxp.Manifest{}))}
	node := func(store *Store, degraded bool) *imagxp.Publisher {
		return fatal(imagxp.NewPublisher(imagxp.PublisherConfig{
			Policy: `{"allowRAG":true}`, Origins: []string{"https://pub.example.com"}, Fetcher: network,
			Keys: imagxp.KeyCacheSizes{Names: 8, Issuers: 1}, ReplaySlots: 1024,
			Store: store, StoreSecret: make([]byte, 32), StoreDegraded: degraded,
		}))
	}
	signed := func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/a", nil)
		r.Host = "pub.example.com"
		fatal(agent.Sign(imagxp.Claims{Resource: "https://pub.example.com/a", Purpose: imagxp.Summary})).Set(r.Header)
		return r
	}
	check := func(node *imagxp.Publisher, r *http.Request, want error) {
		t.Helper()
		if _, err := node.Check(t.Context(), r); !errors.Is(err, want) {
			t.Errorf("%v, wanted %v", err, want)
		}
	}
	one, two, degraded := node(redisServer.open(t), false), node(redisServer.open(t), false), node(redisServer.open(t), true)
	hasty := node(fatal(Open("redis://"+redisServer.address)), false) // as users have it
	r := signed()
	check(one, r, nil)
	check(two, r, imagxp.ErrReplayDetected)
	check(degraded, r, imagxp.ErrReplayDetected)
	check(two, signed(), nil)

	hang := func(signal syscall.Signal) { _ = redisServer.process.Signal(signal) }
	hang(syscall.SIGSTOP) // accepts, and never answers
	before := time.Now()
	check(hasty, signed(), imagxp.ErrReplayStoreDown)
	if waited := time.Since(before); waited > time.Second {
		t.Errorf("a Redis that hangs held a request for %v", waited)
	}
	hang(syscall.SIGCONT)
	check(one, signed(), nil)

	_ = redisServer.process.Kill()
	_, _ = redisServer.process.Wait()
	r = signed()
	check(one, r, imagxp.ErrReplayStoreDown)
	var refusal *imagxp.Refusal
	if _, err := one.Check(t.Context(), signed()); !errors.As(err, &refusal) || refusal.HTTPStatus() != 503 || refusal.Cause == nil {
		t.Errorf("%v", err)
	}
	check(degraded, r, nil)
	check(degraded, r, imagxp.ErrReplayDetected)
}

func TestClientsThatWouldHang(t *testing.T) {
	if _, err := New(redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})); err == nil {
		t.Error("a client without ContextTimeoutEnabled is taken")
	}
	if _, err := Open("http://nowhere"); err == nil {
		t.Error("a URL of something else is taken")
	}
	for name, client := range map[string]redis.UniversalClient{
		"a client that retries":      redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true}),
		"a cluster without time-out": redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}),
		"a cluster that retries":     redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true, MaxRetries: 2}),
	} {
		if _, err := New(client); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := New(redis.NewRing(&redis.RingOptions{ContextTimeoutEnabled: true, MaxRetries: -1})); !errors.Is(err, ErrRing) {
		t.Errorf("a ring: %v", err)
	}
	fatal(New(redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true, MaxRetries: -1})))
	store := fatal(New(redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1})))
	if taken, err := store.Take(t.Context(), [16]byte{}, time.Now()); taken || err == nil {
		t.Errorf("%v %v", taken, err)
	}
}

// A Redis that drops nonces when its memory is full admits replays: it is refused until it is set right.
func TestEviction(t *testing.T) {
	store := startRedis(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru").open(t)
	if err := store.Ping(t.Context()); !errors.Is(err, ErrEvicts) {
		t.Errorf("%v", err)
	}
	if taken, err := store.Take(t.Context(), [16]byte{1}, time.Now().Add(time.Minute)); taken || !errors.Is(err, ErrEvicts) {
		t.Errorf("%v %v", taken, err)
	}
	if err := store.client.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	if taken, err := store.Take(t.Context(), [16]byte{1}, time.Now().Add(time.Minute)); !taken || err != nil {
		t.Errorf("%v %v", taken, err)
	}
}
