package imagxp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// WalletConfig is what a wallet is made with.
type WalletConfig struct {
	// Agent buys, and is whom the visas are bound to.
	Agent *Agent
	// Brokers are whom it buys from: their URLs, as publishers name them. A publisher that names another gets nothing.
	Brokers []string
	// MaxPrice is the most that it pays for one visa: a decimal such as 0.01.
	MaxPrice string
	// MaxTotal is the most that it pays in all, for as long as it lives: a decimal such as 5. It is required, since whoever answers 402 can ask for
	// MaxPrice again and again. A purchase whose outcome is not known counts.
	MaxTotal string
	// OpenPrice is what it pays where the publisher names no price; empty: nothing.
	OpenPrice string
	// Client reaches the brokers; nil is one with a time-out of 10 s.
	Client *http.Client
	// Logger gets a record for each visa bought (info) and each offer not met (warn); nil is none.
	Logger *slog.Logger
}

// Wallet buys visas and keeps them until they expire. It may be used by many goroutines and transports at once; the zero of its
// pointer buys nothing.
type Wallet struct {
	config           WalletConfig
	max, open, total int64
	group            singleflight.Group
	lock             sync.Mutex
	sites            map[string]*walletSite // by originOf
	spent            int64
	unanswered       []*order
}

// walletSite is what is known of one site.
type walletSite struct {
	offer     Offer
	visa      Visa
	singleUse bool
	restsTill time.Time
}

// idle says that there is nothing to remember.
func (s *walletSite) idle() bool {
	return time.Until(s.visa.Expires) < expiryMargin && time.Until(s.restsTill) <= 0
}

// ticket is a visa as one request has it.
type ticket struct {
	token  string
	bought bool // for this request, not before
	shared bool // other requests have it, too
}

// Errors of a wallet, all found by errors.Is.
var (
	ErrBrokerUnknown = errors.New("imagxp: the publisher names a broker that is not in WalletConfig.Brokers")
	ErrPriceTooHigh  = errors.New("imagxp: the price is above WalletConfig.MaxPrice")
	ErrNoPrice       = errors.New("imagxp: the publisher names no price, and WalletConfig.OpenPrice is empty")
	ErrTotalSpent    = errors.New("imagxp: WalletConfig.MaxTotal is spent")
	ErrVisaRefused   = errors.New("imagxp: the publisher refuses the visa that was bought for this request")
	ErrSiteRests     = errors.New("imagxp: the publisher has refused a visa just bought: nothing is bought for it for ten minutes")
	ErrPlainHTTP     = errors.New("imagxp: a visa goes over https only, or to this very machine")
)

const (
	// expiryMargin is how long before its end a visa is no more used: a request takes time.
	expiryMargin = 15 * time.Second
	// siteRest is how long nothing is bought for a site that took money and gave nothing.
	siteRest = 10 * time.Minute
	// sitesMax bounds the memory: when there are more, the idle ones are forgotten, and then any.
	sitesMax = 4096
)

// NewWallet makes a wallet.
func NewWallet(config WalletConfig) (*Wallet, error) {
	w := &Wallet{config: config, sites: make(map[string]*walletSite)}
	var err error
	if w.max, err = parseMicros(config.MaxPrice); err != nil {
		return nil, fmt.Errorf("imagxp: WalletConfig.MaxPrice: %w", err)
	}
	if w.total, err = parseMicros(config.MaxTotal); err != nil {
		return nil, fmt.Errorf("imagxp: WalletConfig.MaxTotal: %w", err)
	}
	if config.OpenPrice != "" {
		if w.open, err = parseMicros(config.OpenPrice); err != nil {
			return nil, fmt.Errorf("imagxp: WalletConfig.OpenPrice: %w", err)
		}
	}
	if config.Agent == nil || len(config.Brokers) == 0 {
		return nil, errors.New("imagxp: a wallet needs WalletConfig.Agent and WalletConfig.Brokers")
	}
	for _, broker := range config.Brokers {
		if parsed, err := url.Parse(broker); err != nil || parsed.Host == "" || !mayCarry(parsed) {
			return nil, fmt.Errorf("imagxp: WalletConfig.Brokers: %.200q is not a URL such as https://broker.example.com", broker)
		}
	}
	return w, nil
}

// Spent is what has been paid so far, a decimal.
func (w *Wallet) Spent() string {
	w.lock.Lock()
	defer w.lock.Unlock()
	return formatMicros(w.spent)
}

// mayCarry says whether a visa, which is money, may go to a URL: who listens on the way must not have it.
func mayCarry(target *url.URL) bool {
	return target.Scheme == "https" || target.Scheme == "http" && isLoopback(target.Hostname())
}

// originOf names a site: what is bought for one scheme, host and port is shown to no other.
func originOf(site *url.URL) string {
	port := site.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[site.Scheme]
	}
	return site.Scheme + "://" + strings.ToLower(site.Hostname()) + ":" + port
}

// take gives the visa for a site, an empty one if there is none. One of single use is gone then.
func (w *Wallet) take(site *url.URL) ticket {
	if w == nil || !mayCarry(site) {
		return ticket{}
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	known := w.sites[originOf(site)]
	if known == nil || time.Until(known.visa.Expires) < expiryMargin {
		return ticket{}
	}
	token := known.visa.Token
	if known.singleUse {
		known.visa = Visa{}
	}
	return ticket{token: token, shared: !known.singleUse}
}

// pay gets a visa in place of one that was refused. All who need one for the same site share a purchase, until the site has said
// that a visa is good for one request. Whoever refuses what was just bought gets nothing more for a while.
func (w *Wallet) pay(ctx context.Context, site *url.URL, offer Offer, refused ticket, used bool) (ticket, error) {
	if !mayCarry(site) {
		return ticket{}, ErrPlainHTTP
	}
	offer, share, err := w.note(site, offer, refused, used)
	if err != nil {
		return ticket{}, err
	}
	if !share {
		return w.payAlone(ctx, site, offer)
	}
	if held := w.take(site); held.token != "" && held.token != refused.token {
		return ticket{held.token, true, true}, nil // somebody has bought meanwhile
	}
	landed := w.group.DoChan(originOf(site), func() (any, error) {
		visa, err := w.buy(context.WithoutCancel(ctx), site, offer)
		if err == nil {
			w.keep(site, visa)
		}
		return visa.Token, err
	})
	select {
	case result := <-landed:
		token, _ := result.Val.(string)
		return ticket{token, true, true}, result.Err
	case <-ctx.Done():
		return ticket{}, ctx.Err()
	}
}

// payAlone buys for one request. If it does not wait for what it has ordered, the next one gets it.
func (w *Wallet) payAlone(ctx context.Context, site *url.URL, offer Offer) (ticket, error) {
	type landing struct {
		visa Visa
		err  error
	}
	landed := make(chan landing)
	go func() {
		visa, err := w.buy(context.WithoutCancel(ctx), site, offer)
		select {
		case landed <- landing{visa, err}:
		case <-ctx.Done():
			if err == nil {
				w.keep(site, visa)
			}
		}
	}()
	select {
	case its := <-landed:
		return ticket{token: its.visa.Token, bought: true}, its.err
	case <-ctx.Done():
		return ticket{}, ctx.Err()
	}
}

// note takes down what a site asks for, forgets the visa that it refused, and says whether visas of it can be shared, or why none is
// to be bought. That a visa just bought is used is in order once: for those who shared it before they knew.
func (w *Wallet) note(site *url.URL, offer Offer, refused ticket, used bool) (Offer, bool, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	known := w.sites[originOf(site)]
	if known == nil {
		w.makeRoom()
		known = new(walletSite)
		w.sites[originOf(site)] = known
	}
	if offer.Broker != "" {
		known.offer = offer
	}
	if known.visa.Token == refused.token {
		known.visa = Visa{}
	}
	known.singleUse = known.singleUse || used
	switch {
	case refused.bought && !(used && refused.shared):
		known.restsTill = time.Now().Add(siteRest)
		return Offer{}, false, ErrVisaRefused
	case time.Until(known.restsTill) > 0:
		return Offer{}, false, ErrSiteRests
	}
	return known.offer, !known.singleUse, nil
}

func (w *Wallet) makeRoom() {
	for origin, known := range w.sites {
		if len(w.sites) >= sitesMax && known.idle() {
			delete(w.sites, origin)
		}
	}
	for origin := range w.sites {
		if len(w.sites) < sitesMax {
			return
		}
		delete(w.sites, origin)
	}
}

func (w *Wallet) keep(site *url.URL, visa Visa) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if known := w.sites[originOf(site)]; known != nil {
		known.visa = visa
	}
}

func (w *Wallet) log(ctx context.Context, text string, attributes ...slog.Attr) {
	w.logAt(ctx, slog.LevelWarn, text, attributes...)
}

func (w *Wallet) logAt(ctx context.Context, level slog.Level, text string, attributes ...slog.Attr) {
	if w.config.Logger != nil {
		w.config.Logger.LogAttrs(ctx, level, text, attributes...)
	}
}
