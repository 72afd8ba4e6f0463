package caddy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	imagxp "github.com/imagxp/imagxp/bindings/go"
)

// A real Caddy, built from this module, in front of real agents.

var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "caddy")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(folder, "caddy")
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/caddy").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

const caddyfileText = `{
	admin ADMIN
	auto_https off
	persist_config off
	order rewrite before imagxp
}
http://localhost:PORT {
	rewrite * /rewritten
	imagxp {
		policy {"development":true,"strategy":"STRICT","allowRAG":true}
		origin http://localhost:PORT
		replay_slots 1000
	}
	respond "{http.imagxp.agent_id} {http.imagxp.visitor} {http.imagxp.purpose} {http.imagxp.proof} {uri}NOTE"
}
`

type caddyServer struct{ url, admin, folder string }

func startCaddy(t *testing.T) *caddyServer {
	t.Helper()
	s := &caddyServer{"http://localhost:" + freePort(t), "localhost:" + freePort(t), t.TempDir()}
	command := exec.Command(binary, "run", "--adapter", "caddyfile", "--config", s.config(t, ""))
	command.Env = append(os.Environ(), "HOME="+s.folder, "XDG_DATA_HOME="+s.folder, "XDG_CONFIG_HOME="+s.folder)
	var log strings.Builder
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for range 400 {
		if response, err := http.Get(s.url); err == nil {
			response.Body.Close()
			return s
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("Caddy does not answer")
	return nil
}

func (s *caddyServer) config(t *testing.T, note string) string {
	t.Helper()
	port := s.url[strings.LastIndex(s.url, ":")+1:]
	text := strings.NewReplacer("PORT", port, "ADMIN", s.admin, "NOTE", note).Replace(strings.Replace(caddyfileText, `policy {"d`, "policy `{\"d", 1))
	text = strings.Replace(text, "true}\n", "true}`\n", 1)
	path := filepath.Join(s.folder, "Caddyfile")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func newAgent(t *testing.T) *imagxp.Agent {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	key, err := imagxp.GenerateKey()
	agent, err2 := imagxp.NewAgent(strings.Replace(strings.TrimPrefix(server.URL, "http://"), "127.0.0.1", "localhost", 1), key)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	manifest, err := agent.Manifest(imagxp.Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc(imagxp.ManifestPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(manifest)
	})
	return agent
}

func send(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (s *caddyServer) signed(t *testing.T, agent *imagxp.Agent) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+"/a?b=c", nil)
	if err == nil {
		err = agent.SignRequest(r, imagxp.RAGRetrieval)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCaddy(t *testing.T) {
	s, agent := startCaddy(t), newAgent(t)
	unsigned, _ := http.NewRequest(http.MethodGet, s.url+"/a", nil)
	if status, body := send(t, unsigned); status != 401 || !strings.HasPrefix(body, `{"error":"IDENTITY_REQUIRED"`) {
		t.Errorf("unsigned: %d %s", status, body)
	}
	terms, _ := http.NewRequest(http.MethodGet, s.url+imagxp.PolicyPath, nil)
	if status, body := send(t, terms); status != 200 || !json.Valid([]byte(body)) || !strings.Contains(body, `"allowRAG":true`) {
		t.Errorf("the terms: %d %s", status, body)
	}
	r := s.signed(t, agent)
	want := agent.ID() + " VERIFIED_AGENT RAG_RETRIEVAL NONE /rewritten?b=c"
	if status, body := send(t, r); status != 200 || body != want {
		t.Errorf("signed: %d %s", status, body)
	}
	replay := func(when string) {
		t.Helper()
		if status, body := send(t, r); status != 403 || !strings.Contains(body, "REPLAY_DETECTED") {
			t.Errorf("a replay %s: %d %s", when, status, body)
		}
	}
	replay("at once")

	// Nonces outlive a reload with another configuration of the same publisher.
	reload := exec.Command(binary, "reload", "--adapter", "caddyfile", "--config", s.config(t, " again"), "--address", s.admin)
	if out, err := reload.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	replay("after a reload")
	if status, body := send(t, s.signed(t, agent)); status != 200 || body != want+" again" {
		t.Errorf("after a reload: %d %s", status, body)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"policy `{\"alowRAG\":true}`\norigin https://pub.example.com": "POLICY_INVALID",
		"policy `{}`":                    "Origins is empty",
		"origin https://pub.example.com": "policy or policy_file is missing",
		"polcy `{}`":                     "imagxp takes",
		"replay_slots many":              "replay_slots",
		"policy `{}`\npolicy_file /x\norigin https://pub.example.com": "not both",
	} {
		path := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(path, []byte("{\nadmin off\n}\n:80 {\nimagxp {\n"+text+"\n}\n}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "validate", "--adapter", "caddyfile", "--config", path).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s", text, err, out)
		}
	}
}

// A name is in agent_id only if it is proven; what is not there is empty, not a placeholder left as it was.
func TestNamesThatAreClaimed(t *testing.T) {
	for visitor, want := range map[imagxp.Visitor]string{
		imagxp.VerifiedAgent: "bot.example.com/empty", imagxp.UnidentifiedBot: "empty/bot.example.com", imagxp.LikelyHuman: "empty/bot.example.com",
	} {
		replacer := caddy.NewReplacer()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		tell(r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, replacer)), &imagxp.Verdict{Visitor: visitor, AgentID: "bot.example.com"})
		if got := replacer.ReplaceKnown("{http.imagxp.agent_id}/{http.imagxp.claimed_agent_id}", "empty"); got != want {
			t.Errorf("%s: %s", visitor, got)
		}
	}
}

// A proxy of one's own that Caddy was not told of is not one client.
func TestClients(t *testing.T) {
	for text, counts := range map[string]bool{"203.0.113.9": true, "2001:db8::1": true, "10.0.0.1": false, "127.0.0.1": false, "::ffff:192.168.0.1": false, "": false} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: text}))
		if got := clientAddr(r); got.IsValid() != counts {
			t.Errorf("%s: %v", text, got)
		}
	}
}
