package imagxp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
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
	config    WalletConfig
	max, open int64
	group     singleflight.Group
	lock      sync.Mutex
	sites     map[string]*walletSite
}

// walletSite is what is known of one site.
type walletSite struct {
	offer     Offer
	visa      Visa
	singleUse bool
}

// Errors of a wallet, all found by errors.Is.
var (
	ErrBrokerUnknown = errors.New("imagxp: the publisher names a broker that is not in WalletConfig.Brokers")
	ErrPriceTooHigh  = errors.New("imagxp: the price is above WalletConfig.MaxPrice")
	ErrNoPrice       = errors.New("imagxp: the publisher names no price, and WalletConfig.OpenPrice is empty")
)

const (
	// expiryMargin is how long before its end a visa is no more used: a request takes time.
	expiryMargin = 15 * time.Second
	// sitesMax bounds the memory: when there are more, those without a visa are forgotten, and then any.
	sitesMax = 4096
)

// NewWallet makes a wallet.
func NewWallet(config WalletConfig) (*Wallet, error) {
	w := &Wallet{config: config, sites: make(map[string]*walletSite)}
	var err error
	if w.max, err = parseMicros(config.MaxPrice); err != nil {
		return nil, fmt.Errorf("imagxp: WalletConfig.MaxPrice: %w", err)
	}
	if config.OpenPrice != "" {
		if w.open, err = parseMicros(config.OpenPrice); err != nil {
			return nil, fmt.Errorf("imagxp: WalletConfig.OpenPrice: %w", err)
		}
	}
	if config.Agent == nil || len(config.Brokers) == 0 {
		return nil, errors.New("imagxp: a wallet needs WalletConfig.Agent and WalletConfig.Brokers")
	}
	return w, nil
}

// take gives the visa for a site, empty if there is none. One of single use is gone then.
func (w *Wallet) take(site *url.URL) string {
	if w == nil {
		return ""
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	known := w.sites[site.Host]
	if known == nil || time.Until(known.visa.Expires) < expiryMargin {
		return ""
	}
	token := known.visa.Token
	if known.singleUse {
		known.visa = Visa{}
	}
	return token
}

// pay gets a visa in place of one that was refused. All who need one for the same site share a purchase, until the site has said
// that a visa is good for one request.
func (w *Wallet) pay(ctx context.Context, site *url.URL, offer Offer, refused string, used bool) (string, error) {
	offer, share := w.note(site, offer, refused, used)
	if token := w.take(site); token != "" && token != refused && share {
		return token, nil // somebody has bought meanwhile
	}
	if !share {
		visa, err := w.buy(ctx, site, offer)
		return visa.Token, err
	}
	landed := w.group.DoChan(site.Host, func() (any, error) {
		visa, err := w.buy(context.WithoutCancel(ctx), site, offer)
		if err == nil {
			w.keep(site, visa)
		}
		return visa.Token, err
	})
	select {
	case result := <-landed:
		token, _ := result.Val.(string)
		return token, result.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// note takes down what a site asks for, forgets the visa that it refused, and says whether visas of it can be shared.
func (w *Wallet) note(site *url.URL, offer Offer, refused string, used bool) (Offer, bool) {
	w.lock.Lock()
	defer w.lock.Unlock()
	known := w.sites[site.Host]
	if known == nil {
		w.makeRoom()
		known = new(walletSite)
		w.sites[site.Host] = known
	}
	if offer.Broker != "" {
		known.offer = offer
	}
	if known.visa.Token == refused {
		known.visa = Visa{}
	}
	known.singleUse = known.singleUse || used
	return known.offer, !known.singleUse
}

func (w *Wallet) makeRoom() {
	for host, known := range w.sites {
		if len(w.sites) >= sitesMax && time.Until(known.visa.Expires) < expiryMargin {
			delete(w.sites, host)
		}
	}
	for host := range w.sites {
		if len(w.sites) < sitesMax {
			return
		}
		delete(w.sites, host)
	}
}

func (w *Wallet) keep(site *url.URL, visa Visa) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if known := w.sites[site.Host]; known != nil {
		known.visa = visa
	}
}

// buy judges the offer of a stranger, and meets it.
func (w *Wallet) buy(ctx context.Context, site *url.URL, offer Offer) (Visa, error) {
	amount, err := w.judge(offer)
	if err != nil {
		return Visa{}, err
	}
	broker := BrokerClient{URL: offer.Broker, Agent: w.config.Agent, Client: w.config.Client}
	visa, err := broker.BuyVisa(ctx, site.Hostname(), formatMicros(amount))
	if err == nil {
		w.logAt(ctx, slog.LevelInfo, "imagxp: visa bought", slog.String("publisher", site.Hostname()), slog.String("broker", offer.Broker),
			slog.String("amount", formatMicros(amount)), slog.Time("expires", visa.Expires))
	}
	return visa, err
}

func (w *Wallet) judge(offer Offer) (int64, error) {
	if !slices.Contains(w.config.Brokers, offer.Broker) {
		return 0, fmt.Errorf("%w: %.200q", ErrBrokerUnknown, offer.Broker)
	}
	amount := w.open
	if offer.Price != "" {
		var err error
		if amount, err = parseMicros(offer.Price); err != nil {
			return 0, fmt.Errorf("imagxp: the publisher's price: %w", err)
		}
	}
	switch {
	case amount == 0:
		return 0, ErrNoPrice
	case amount > w.max:
		return 0, fmt.Errorf("%w: %s", ErrPriceTooHigh, formatMicros(amount))
	}
	return amount, nil
}

func (w *Wallet) log(ctx context.Context, text string, attributes ...slog.Attr) {
	w.logAt(ctx, slog.LevelWarn, text, attributes...)
}

func (w *Wallet) logAt(ctx context.Context, level slog.Level, text string, attributes ...slog.Attr) {
	if w.config.Logger != nil {
		w.config.Logger.LogAttrs(ctx, level, text, attributes...)
	}
}
