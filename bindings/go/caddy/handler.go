// Package caddy is http.handlers.imagxp: Caddy admits who is verified, and answers everybody else.
//
//	imagxp {
//		policy_file /etc/caddy/policy.json
//		origin      https://pub.example.com
//	}
//
// For whoever is admitted there are the placeholders {http.imagxp.visitor}, {http.imagxp.agent_id}, {http.imagxp.purpose},
// {http.imagxp.proof} and {http.imagxp.kid}. agent_id is a proven name, or empty; claimed_agent_id is one that is only claimed, by whoever
// a policy with requireIdentityBinding false admits.
package caddy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	imagxp "github.com/imagxp/imagxp/bindings/go"
)

func init() {
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterHandlerDirective("imagxp", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("imagxp", httpcaddyfile.Before, "basic_auth")
}

// Handler is the configuration, and the handler that it makes.
type Handler struct {
	// Policy is the policy itself, PolicyFile a file that has it: one of them.
	Policy     json.RawMessage `json:"policy,omitempty"`
	PolicyFile string          `json:"policy_file,omitempty"`
	// Origins are what the site is called from outside: https://pub.example.com.
	Origins []string `json:"origins,omitempty"`
	// ReplaySlots is how many requests to remember; 0 is 450,000.
	ReplaySlots int `json:"replay_slots,omitempty"`

	key    string
	shared *shared
}

// CaddyModule says what it is.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.imagxp", New: func() caddy.Module { return new(Handler) }}
}

// Provision makes the publisher, or takes the one of the configuration before, if it is the same: nonces outlive a reload.
func (h *Handler) Provision(ctx caddy.Context) error {
	policy, err := h.policy()
	if err != nil {
		return err
	}
	config := imagxp.PublisherConfig{Policy: string(policy), Origins: h.Origins, ReplaySlots: h.ReplaySlots, ClientAddr: clientAddr}
	identity, err := json.Marshal(struct {
		Policy  string
		Origins []string
		Slots   int
	}{config.Policy, config.Origins, config.ReplaySlots})
	if err != nil {
		return err
	}
	digest := sha256.Sum256(identity)
	h.key = hex.EncodeToString(digest[:])
	value, _, err := publishers.LoadOrNew(h.key, func() (caddy.Destructor, error) { return newShared(config) })
	if err != nil {
		h.key = ""
		return err
	}
	h.shared = value.(*shared)
	h.shared.logs.use(ctx.Slogger().Handler())
	return nil
}

func (h *Handler) policy() ([]byte, error) {
	switch {
	case len(h.Policy) > 0 && h.PolicyFile != "":
		return nil, errors.New("imagxp: give policy or policy_file, not both")
	case len(h.Policy) > 0:
		return h.Policy, nil
	case h.PolicyFile != "":
		return os.ReadFile(h.PolicyFile)
	}
	return nil, errors.New("imagxp: policy or policy_file is missing")
}

// Cleanup lets the publisher go, if no configuration has it any more.
func (h *Handler) Cleanup() error {
	if h.key == "" {
		return nil
	}
	_, err := publishers.Delete(h.key)
	return err
}

// ServeHTTP decides, and tells everybody the terms.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	original := received(r)
	if imagxp.IsDiscovery(original) {
		h.shared.publisher.ServeDiscovery(w, original)
		return nil
	}
	verdict, err := h.shared.publisher.Check(r.Context(), original)
	if err == nil {
		tell(r, verdict)
		return next.ServeHTTP(w, r)
	}
	var refusal *imagxp.Refusal
	if !errors.As(err, &refusal) { // Check gives no other error; nobody passes by one
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	refusal.ServeHTTP(w, r)
	return nil
}

// received is the request as the client sent it: the signature is over that, whatever a rewrite has made of it.
func received(r *http.Request) *http.Request {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return r
	}
	as := *r
	as.Method, as.Host, as.RequestURI, as.URL = original.Method, original.Host, original.RequestURI, original.URL
	return &as
}

func tell(r *http.Request, verdict *imagxp.Verdict) {
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	proven, claimed := verdict.AgentID, ""
	if verdict.Visitor != imagxp.VerifiedAgent {
		proven, claimed = "", verdict.AgentID
	}
	for name, value := range map[string]string{"visitor": verdict.Visitor.String(), "agent_id": proven, "claimed_agent_id": claimed,
		"purpose": verdict.Purpose.String(), "proof": verdict.Proof.String(), "kid": verdict.KeyID} {
		replacer.Set("http.imagxp."+name, value)
	}
}

// clientAddr is Caddy's own notion of the client, with its trusted_proxies; a proxy that is not among them stands for many clients.
func clientAddr(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, _ := netip.ParseAddr(text)
	return imagxp.PublicClient(address)
}

// UnmarshalCaddyfile reads the directive.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		name, args := d.Val(), d.RemainingArgs()
		switch {
		case name == "origin" && len(args) > 0:
			h.Origins = append(h.Origins, args...)
		case name == "policy" && len(args) == 1 && json.Valid([]byte(args[0])):
			h.Policy = json.RawMessage(args[0])
		case name == "policy_file" && len(args) == 1:
			h.PolicyFile = args[0]
		case name == "replay_slots" && len(args) == 1:
			if _, err := fmt.Sscan(args[0], &h.ReplaySlots); err != nil || h.ReplaySlots < 1 {
				return d.Errf("replay_slots is a number of requests, not %q", args[0])
			}
		default:
			return d.Errf("imagxp takes `policy JSON`, `policy_file PATH`, `origin URL …` and `replay_slots N`, not `%s`", name)
		}
	}
	return nil
}

func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
