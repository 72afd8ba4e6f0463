package imagxp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// order is a purchase: a request that is signed once and sent until it is answered, since a broker takes the same nonce for the same sale.
type order struct {
	broker, publisher string
	amount            int64
	request           *http.Request
	signedAt          time.Time
}

const (
	// orderLife is how long a signature is good for the broker, less what a request takes.
	orderLife = 4 * time.Minute
	// unansweredMax bounds the memory.
	unansweredMax = 256
)

// buy judges the offer of a stranger, and meets it.
func (w *Wallet) buy(ctx context.Context, site *url.URL, offer Offer) (Visa, error) {
	amount, err := w.judge(offer)
	if err != nil {
		return Visa{}, err
	}
	broker := BrokerClient{URL: offer.Broker, Agent: w.config.Agent, Client: w.config.Client}
	ordered, err := w.order(&broker, site.Hostname(), amount)
	if err != nil {
		return Visa{}, err
	}
	visa, err := broker.fulfil(ctx, ordered.request)
	if err != nil {
		w.unsold(ordered, err)
		return Visa{}, err
	}
	w.logAt(ctx, slog.LevelInfo, "imagxp: visa bought", slog.String("publisher", ordered.publisher), slog.String("broker", offer.Broker),
		slog.String("amount", formatMicros(amount)), slog.Time("expires", visa.Expires))
	return visa, nil
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

// order gives the purchase that got no answer, if there is the same one, or makes a new one and counts its price.
func (w *Wallet) order(broker *BrokerClient, publisher string, amount int64) (*order, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.unanswered = slices.DeleteFunc(w.unanswered, func(o *order) bool { return time.Since(o.signedAt) > orderLife })
	for i, o := range w.unanswered {
		if o.broker == broker.URL && o.publisher == publisher && o.amount == amount {
			w.unanswered = slices.Delete(w.unanswered, i, i+1)
			return o, nil
		}
	}
	if amount > w.total-w.spent {
		return nil, fmt.Errorf("%w: %s of %s", ErrTotalSpent, formatMicros(w.spent), formatMicros(w.total))
	}
	o := &order{broker.URL, publisher, amount, nil, time.Now()}
	var err error
	if o.request, err = broker.order(publisher, amount); err == nil {
		w.spent += amount
	}
	return o, err
}

// unsold gives the price back if the broker has refused. If nobody knows, the price is spent, and the order is sent once more by
// whoever wants the same.
func (w *Wallet) unsold(o *order, err error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	var refused *BrokerError
	if errors.As(err, &refused) && !refused.mayBeSold() {
		w.spent -= o.amount
		return
	}
	if len(w.unanswered) < unansweredMax {
		w.unanswered = append(w.unanswered, o)
	}
}
