package redisstore

import (
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	imagxp "github.com/imagxp/imagxp/bindings/go"
	"github.com/redis/go-redis/v9"
)

// startCluster is three nodes that share the hash slots, without replicas.
func startCluster(t *testing.T) []*server {
	t.Helper()
	nodes := make([]*server, 3)
	for i := range nodes {
		_, bus, _ := net.SplitHostPort(freeAddress(t))
		nodes[i] = startRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1000")
		nodes[i].bus = bus
	}
	const slots = 16384
	for i, node := range nodes {
		client := node.open(t).client
		fatal(client.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", i*slots/len(nodes), (i+1)*slots/len(nodes)-1).Result())
		host, port, _ := net.SplitHostPort(nodes[0].address)
		fatal(client.Do(t.Context(), "CLUSTER", "MEET", host, port, nodes[0].bus).Result())
	}
	for _, node := range nodes {
		client := node.open(t).client
		for tries := 0; !strings.Contains(fatal(client.ClusterInfo(t.Context()).Result()), "cluster_state:ok"); tries++ {
			if tries == 400 {
				t.Fatal(client.ClusterInfo(t.Context()).Result())
			}
			time.Sleep(25 * time.Millisecond)
		}
	}
	return nodes
}

func clusterOf(nodes []*server) *redis.ClusterClient {
	var addresses []string
	for _, node := range nodes {
		addresses = append(addresses, node.address)
	}
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, ContextTimeoutEnabled: true, MaxRetries: -1})
}

// shop is a site of several publishers, each with a connection of its own, that sells requests one by one.
type shop struct {
	publishers []*imagxp.Publisher
	agent      *imagxp.Agent
	issuer     *imagxp.Issuer
}

func openShop(t *testing.T, nodes []*server) *shop {
	t.Helper()
	s := &shop{
		agent:  fatal(imagxp.NewAgent("bot.example.com", fatal(imagxp.GenerateKey()))),
		issuer: &imagxp.Issuer{URL: "https://broker.example.com", Key: fatal(imagxp.GenerateKey())},
	}
	network := documents{"bot.example.com": fatal(s.agent.Manifest(imagxp.Manifest{})), "broker.example.com": fatal(s.issuer.JWKS())}
	for range 2 {
		s.publishers = append(s.publishers, fatal(imagxp.NewPublisher(imagxp.PublisherConfig{
			Policy: `{"allowRAG":true,"requiresPayment":true,"price":"0.001","visa_single_use":true,
				"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}`,
			Origins: []string{"https://pub.example.com"}, Fetcher: network, Keys: imagxp.KeyCacheSizes{Names: 8, Issuers: 1}, ReplaySlots: 1024,
			Store: patient(t, fatal(New(clusterOf(nodes)))), StoreSecret: make([]byte, 32),
			ClientAddr: func(*http.Request) netip.Addr { return netip.Addr{} }, // one client, and all its replays
		})))
	}
	return s
}

func (s *shop) sell() string {
	return fatal(s.issuer.IssueVisa(imagxp.VisaClaims{Audience: "pub.example.com", AgentID: s.agent.ID(), PublicKey: s.agent.PublicKey(), Amount: "0.001", ID: rand.Text()}))
}

func (s *shop) signed(visa string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	r.Host = "pub.example.com"
	fatal(s.agent.Sign(imagxp.Claims{Resource: "https://pub.example.com/a", Purpose: imagxp.RAGRetrieval})).Set(r.Header)
	r.Header.Set(imagxp.HeaderCredential, visa)
	return r
}

// race gives each request to every publisher at once, and counts its admissions. A request and its visa are two keys, mostly of two
// nodes. A node that has other things to do for too long refuses, and may have been told all the same.
func (s *shop) race(t *testing.T, requests []*http.Request) (counts []int32, sum int32) {
	t.Helper()
	counts = make([]int32, len(requests))
	for i, request := range requests {
		var all sync.WaitGroup
		for _, publisher := range s.publishers {
			all.Add(1)
			go func() {
				defer all.Done()
				_, err := publisher.Check(t.Context(), request)
				switch {
				case err == nil:
					atomic.AddInt32(&counts[i], 1)
				case !errors.Is(err, imagxp.ErrReplayDetected) && !errors.Is(err, imagxp.ErrVisaUsed) && !errors.Is(err, imagxp.ErrReplayStoreDown):
					t.Errorf("request %d: %v", i, err)
				}
			}()
		}
		all.Wait()
		sum += counts[i]
	}
	return counts, sum
}

// Three nodes with a share of the keys each: every request and every visa is good once, and none while its node is away.
func TestCluster(t *testing.T) {
	nodes := startCluster(t)
	site := openShop(t, nodes)
	const visits, lonelyVisits = 64, 16 // each of these waits for a node that is away
	requests, others, later := make([]*http.Request, visits), make([]*http.Request, visits), make([]*http.Request, lonelyVisits)
	for i := range visits {
		visa := site.sell()
		requests[i], others[i] = site.signed(visa), site.signed(visa)
	}
	for i := range later {
		later[i] = site.signed(site.sell())
	}
	first, admitted := site.race(t, requests)
	if admitted < visits/2 {
		t.Errorf("%d of %d were admitted", admitted, visits)
	}
	second, _ := site.race(t, others) // with the same visas
	for _, node := range nodes {
		if held := fatal(node.open(t).client.DBSize(t.Context()).Result()); held == 0 {
			t.Errorf("%s holds nothing", node.address)
		}
	}

	_ = nodes[1].process.Kill()
	_, _ = nodes[1].process.Wait()
	again, _ := site.race(t, requests[:lonelyVisits])
	again = append(again, make([]int32, visits-lonelyVisits)...)
	for i := range visits {
		if first[i]+second[i]+again[i] > 1 {
			t.Errorf("visa %d was good for %d requests, then %d, and %d without a node", i, first[i], second[i], again[i])
		}
	}
	lonely, admitted := site.race(t, later)
	if slices.Max(lonely) > 1 || admitted == lonelyVisits {
		t.Errorf("without a node: %v", lonely)
	}
}
