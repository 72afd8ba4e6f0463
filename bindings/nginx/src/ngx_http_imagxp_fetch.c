
/*
 * Documents that are wanted: one flight for all requests of this worker that
 * want the same.  Where it goes is for address.c; what workers share is the
 * store of the internal location (document.c).
 */


#include "ngx_http_imagxp.h"


static ngx_http_imagxp_flight_t *ngx_http_imagxp_find_flight(ngx_str_t *url);
static ngx_http_imagxp_flight_t *ngx_http_imagxp_create_flight(
    ngx_http_request_t *r, ngx_http_imagxp_flight_t *wanted);
static ngx_int_t ngx_http_imagxp_split_url(ngx_http_imagxp_flight_t *flight);
static ngx_int_t ngx_http_imagxp_take_off(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *flight);
static ngx_int_t ngx_http_imagxp_board(ngx_http_imagxp_flight_t *flight,
    ngx_http_imagxp_ctx_t *ctx);
static void ngx_http_imagxp_note(ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_flight_t *flight, imagxp_answer *answer);
static void ngx_http_imagxp_supply(ngx_http_imagxp_flight_t *flight,
    imagxp_answer *answer);
static void ngx_http_imagxp_release(ngx_http_imagxp_flight_t *flight);
static void ngx_http_imagxp_timer_handler(ngx_event_t *ev);
static void ngx_http_imagxp_overdue(ngx_http_imagxp_flight_t *flight);
static void ngx_http_imagxp_wake_handler(ngx_event_t *ev);
static void ngx_http_imagxp_flight_cleanup(void *data);
static void ngx_http_imagxp_waiter_cleanup(void *data);


/*
 * NGX_AGAIN: under way, the request will be woken.  NGX_DECLINED: not now.
 * A refresh is waited for by nobody.
 */

ngx_int_t
ngx_http_imagxp_fetch(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    imagxp_need *need, ngx_uint_t refresh)
{
    ngx_str_t                  url;
    imagxp_str                 text;
    ngx_http_imagxp_flight_t  *flight, wanted;

    text = IMAGXP_TEXT(ngx_http_imagxp_worker.scratch, need->url);
    url.data = (u_char *) text.ptr;
    url.len = text.len;

    flight = ngx_http_imagxp_find_flight(&url);

    if (flight) {
        return refresh ? NGX_OK : ngx_http_imagxp_board(flight, ctx);
    }

    if (ngx_http_imagxp_worker.nflights >= NGX_HTTP_IMAGXP_FETCHES
        || ctx->tries++ == 8)
    {
        return NGX_DECLINED;
    }

    if (!need->configured && !refresh && !ngx_http_imagxp_budget_fetch(r)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "imagxp: too many new names, \"%V\" waits", &url);
        return NGX_DECLINED;
    }

    ngx_memzero(&wanted, sizeof(ngx_http_imagxp_flight_t));
    wanted.kind = need->kind;
    wanted.configured = need->configured;
    wanted.max_len = need->max_len;
    wanted.url = url;
    wanted.host.len = need->host.len;

    flight = ngx_http_imagxp_create_flight(r, &wanted);
    if (flight == NULL) {
        return NGX_ERROR;
    }

    flight->refresh = refresh;
    flight->charged = !need->configured && !refresh;

    if (!refresh && ngx_http_imagxp_board(flight, ctx) != NGX_AGAIN) {
        return NGX_ERROR;
    }

    return ngx_http_imagxp_take_off(r, flight);
}


/* the same document once more, from its origin and not from the store */

ngx_int_t
ngx_http_imagxp_fetch_again(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx)
{
    ngx_http_imagxp_flight_t  *flight;

    ctx->fresh = 1;

    flight = ngx_http_imagxp_find_flight(&ctx->last->url);

    if (flight) {
        return ngx_http_imagxp_board(flight, ctx);
    }

    flight = ctx->last;
    flight->fresh = 1;

    if (ngx_http_imagxp_board(flight, ctx) != NGX_AGAIN) {
        return NGX_ERROR;
    }

    return ngx_http_imagxp_take_off(r, flight);
}


static ngx_http_imagxp_flight_t *
ngx_http_imagxp_find_flight(ngx_str_t *url)
{
    ngx_queue_t               *q, *flights;
    ngx_http_imagxp_flight_t  *flight;

    flights = &ngx_http_imagxp_worker.flights;

    for (q = ngx_queue_head(flights);
         q != ngx_queue_sentinel(flights);
         q = ngx_queue_next(q))
    {
        flight = ngx_queue_data(q, ngx_http_imagxp_flight_t, queue);

        if (flight->url.len == url->len
            && ngx_memcmp(flight->url.data, url->data, url->len) == 0)
        {
            return flight;
        }
    }

    return NULL;
}


static ngx_http_imagxp_flight_t *
ngx_http_imagxp_create_flight(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *wanted)
{
    ngx_http_imagxp_flight_t  *flight;

    flight = ngx_pcalloc(r->pool, sizeof(ngx_http_imagxp_flight_t));
    if (flight == NULL) {
        return NULL;
    }

    flight->request = r;
    flight->kind = wanted->kind;
    flight->configured = wanted->configured;
    flight->max_len = wanted->max_len;
    flight->host.len = wanted->host.len;

    ngx_queue_init(&flight->waiters);

    flight->url.len = wanted->url.len;
    flight->url.data = ngx_pstrdup(r->pool, &wanted->url);
    if (flight->url.data == NULL) {
        return NULL;
    }

    if (ngx_http_imagxp_split_url(flight) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "imagxp: cannot fetch \"%V\"", &flight->url);
        return NULL;
    }

    return flight;
}


/* "https://name:port/path", which the library has checked */

static ngx_int_t
ngx_http_imagxp_split_url(ngx_http_imagxp_flight_t *flight)
{
    u_char     *p, *last;
    ngx_int_t   port;

    last = flight->url.data + flight->url.len;

    p = ngx_strlchr(flight->url.data, last, ':');

    if (p == NULL || last - p < 3
        || (size_t) (last - p) < flight->host.len + 3)
    {
        return NGX_ERROR;
    }

    flight->scheme.data = flight->url.data;
    flight->scheme.len = p - flight->url.data;

    flight->host.data = p + 3;
    p += 3 + flight->host.len;

    flight->uri.data = p;
    flight->uri.len = last - p;

    if (flight->uri.len == 0) {
        ngx_str_set(&flight->uri, "/");
    }

    flight->name = flight->host;
    flight->port = flight->scheme.len == 5 ? 443 : 80;

    last = flight->host.data + flight->host.len;
    p = ngx_strlchr(flight->host.data, last, ':');

    if (p) {
        port = ngx_atoi(p + 1, last - p - 1);

        if (port < 1 || port > 65535) {
            return NGX_ERROR;
        }

        flight->name.len = p - flight->host.data;
        flight->port = (in_port_t) port;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_imagxp_take_off(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *flight)
{
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_imagxp_flight_cleanup;
    cln->data = flight;

    ngx_queue_insert_tail(&ngx_http_imagxp_worker.flights, &flight->queue);
    ngx_http_imagxp_worker.nflights++;

    flight->timer.handler = ngx_http_imagxp_timer_handler;
    flight->timer.data = flight;
    flight->timer.log = r->connection->log;
    flight->timer.cancelable = 1;

    flight->deadline = ngx_current_msec + NGX_HTTP_IMAGXP_FETCH_TIME;

    ngx_add_timer(&flight->timer, NGX_HTTP_IMAGXP_FETCH_TICK);

    /* a refresh may outlive the answer, and so the request */

    if (flight->refresh) {
        r->main->count++;
        flight->held = 1;
    }

    ngx_http_imagxp_resolve(flight);

    return flight->refresh ? NGX_OK : NGX_AGAIN;
}


static ngx_int_t
ngx_http_imagxp_board(ngx_http_imagxp_flight_t *flight,
    ngx_http_imagxp_ctx_t *ctx)
{
    ngx_http_request_t  *r;
    ngx_http_cleanup_t  *cln;

    r = ctx->request;

    if (!ctx->cleanup) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_imagxp_waiter_cleanup;
        cln->data = ctx;
        ctx->cleanup = 1;

        ctx->wake.handler = ngx_http_imagxp_wake_handler;
        ctx->wake.data = ctx;
        ctx->wake.log = r->connection->log;
    }

    ctx->flight = flight;
    ctx->waiting = 1;
    ctx->asked_ms = ngx_http_imagxp_now();
    ngx_queue_insert_tail(&flight->waiters, &ctx->queue);

    r->read_event_handler = ngx_http_test_reading;

    return NGX_AGAIN;
}


void
ngx_http_imagxp_unreachable(ngx_http_imagxp_flight_t *flight)
{
    imagxp_answer  answer;

    ngx_memzero(&answer, sizeof(imagxp_answer));
    answer.kind = IMAGXP_UNREACHABLE;
    answer.max_age_s = -1;

    ngx_http_imagxp_flight_done(flight, &answer);
}


/* without an answer those who wait are told to come again */

void
ngx_http_imagxp_flight_done(ngx_http_imagxp_flight_t *flight,
    imagxp_answer *answer)
{
    ngx_queue_t            *q;
    ngx_msec_int_t          wait;
    ngx_http_imagxp_ctx_t  *ctx;

    if (flight->done) {
        return;
    }

    if (answer) {
        ngx_http_imagxp_evidence_document(flight, answer);
        ngx_http_imagxp_supply(flight, answer);
    }

    while (!ngx_queue_empty(&flight->waiters)) {

        q = ngx_queue_head(&flight->waiters);
        ctx = ngx_queue_data(q, ngx_http_imagxp_ctx_t, queue);

        ngx_queue_remove(q);
        ctx->flight = NULL;

        if (answer == NULL) {
            ctx->expired = 1;

        } else {
            ctx->needs++;
            ngx_http_imagxp_note(ctx, flight, answer);
            ctx->age = flight->age;
            ctx->fresh |= flight->fresh;

            /* another request's memory may be gone by then */

            ctx->last = flight->age < NGX_HTTP_IMAGXP_REFRESH_PAUSE
                        ? NULL
                        : ngx_http_imagxp_create_flight(ctx->request, flight);
        }

        /*
         * How long a failure took tells what a name is inside this network:
         * every one takes as long.  What was found anybody could fetch.
         */

        wait = (ngx_msec_int_t) (flight->deadline - ngx_current_msec);

        if (answer && answer->kind != IMAGXP_FOUND && !flight->configured
            && wait > 0)
        {
            ngx_add_timer(&ctx->wake, (ngx_msec_t) wait);

        } else {
            ngx_post_event(&ctx->wake, &ngx_posted_events);
        }
    }

    ngx_http_imagxp_release(flight);

    if (flight->held) {
        flight->held = 0;
        ngx_http_finalize_request(flight->request, NGX_DONE);
    }
}


/* for the story and the evidence: what the request waited for */

static void
ngx_http_imagxp_note(ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_flight_t *flight, imagxp_answer *answer)
{
    u_char        *url;
    imagxp_fetch  *fetch;

    if (ctx->nfetches == sizeof(ctx->fetches) / sizeof(ctx->fetches[0])) {
        return;
    }

    url = ngx_pstrdup(ctx->request->pool, &flight->url);
    if (url == NULL) {
        return;
    }

    fetch = &ctx->fetches[ctx->nfetches++];

    fetch->kind = (int32_t) flight->kind;
    fetch->found = answer->kind;
    fetch->url = imagxp_str_of((char *) url, flight->url.len);
    fetch->len = answer->body.len;
    fetch->asked_ms = ctx->asked_ms;
    fetch->answered_ms = ngx_http_imagxp_now();

    ngx_memcpy(fetch->sha256, flight->sha256, sizeof(fetch->sha256));
}


static void
ngx_http_imagxp_supply(ngx_http_imagxp_flight_t *flight, imagxp_answer *answer)
{
    imagxp_buf                 texts;
    imagxp_need                need;
    imagxp_status              status;
    ngx_log_t                 *log;
    ngx_http_imagxp_worker_t  *worker;

    worker = &ngx_http_imagxp_worker;
    log = flight->request->connection->log;

    texts.ptr = flight->url.data;
    texts.len = flight->url.len;

    ngx_memzero(&need, sizeof(imagxp_need));
    need.kind = (int32_t) flight->kind;
    need.configured = (int32_t) flight->configured;
    need.max_len = (uint32_t) flight->max_len;
    need.url.len = (uint32_t) flight->url.len;
    need.host.at = (uint32_t) (flight->host.data - flight->url.data);
    need.host.len = (uint32_t) flight->host.len;

    status = imagxp_key_cache_supply(&worker->keys, &need, texts, *answer,
                                     ngx_http_imagxp_now());

    if (status != IMAGXP_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "imagxp: supplying \"%V\" failed: %i", &flight->url,
                      (ngx_int_t) status);
        return;
    }

    if (flight->kind == IMAGXP_NEED_JWKS
        && imagxp_key_cache_alarm(&worker->keys,
                                  ngx_http_imagxp_str(flight->url))
           == IMAGXP_JWK_PRIVATE_EXPOSED)
    {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "imagxp: \"%V\" publishes a private key; "
                      "tell its owner", &flight->url);
    }
}


static void
ngx_http_imagxp_release(ngx_http_imagxp_flight_t *flight)
{
    flight->done = 1;

    ngx_queue_remove(&flight->queue);
    ngx_http_imagxp_worker.nflights--;

    /* a subrequest may wait for another worker's, and begin only then */

    if (flight->subrequest == NULL && flight->timer.timer_set) {
        ngx_del_timer(&flight->timer);
    }
}


static void
ngx_http_imagxp_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_imagxp_flight_t  *flight;

    flight = ev->data;
    c = flight->request->connection;

    ngx_http_set_log_request(c->log, flight->request);

    /* it ends with the flight, or with its subrequest if that is later */

    ngx_add_timer(ev, NGX_HTTP_IMAGXP_FETCH_TICK);

    ngx_http_imagxp_document_check(flight);

    if (flight->done) {
        (void) ngx_http_imagxp_document_abort(flight);

    } else if ((ngx_msec_int_t) (flight->deadline - ngx_current_msec) <= 0) {
        ngx_http_imagxp_overdue(flight);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_imagxp_overdue(ngx_http_imagxp_flight_t *flight)
{
    ngx_log_error(NGX_LOG_INFO, flight->request->connection->log, 0,
                  "imagxp: fetching \"%V\" took too long", &flight->url);

    if (flight->resolve) {
        ngx_resolve_name_done(flight->resolve);
        flight->resolve = NULL;
        ngx_http_imagxp_unreachable(flight);

    } else if (ngx_http_imagxp_document_abort(flight) == NGX_OK) {
        ngx_http_imagxp_unreachable(flight);

    } else {

        /* another worker is fetching it */

        ngx_http_imagxp_flight_done(flight, NULL);
    }
}


static void
ngx_http_imagxp_wake_handler(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_imagxp_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx->waiting = 0;

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_core_run_phases(r);

    ngx_http_run_posted_requests(c);
}


/*
 * The client that a flight was for has gone, and the subrequest with it: the
 * others begin anew.
 */

static void
ngx_http_imagxp_flight_cleanup(void *data)
{
    ngx_http_imagxp_flight_t *flight = data;

    ngx_queue_t            *q;
    ngx_http_imagxp_ctx_t  *ctx;

    if (flight->timer.timer_set) {
        ngx_del_timer(&flight->timer);
    }

    if (flight->done) {
        return;
    }

    if (flight->resolve) {
        ngx_resolve_name_done(flight->resolve);
        flight->resolve = NULL;
    }

    while (!ngx_queue_empty(&flight->waiters)) {

        q = ngx_queue_head(&flight->waiters);
        ctx = ngx_queue_data(q, ngx_http_imagxp_ctx_t, queue);

        ngx_queue_remove(q);
        ctx->flight = NULL;

        if (ctx->request != flight->request) {
            ngx_post_event(&ctx->wake, &ngx_posted_events);
        }
    }

    flight->held = 0;

    ngx_http_imagxp_release(flight);
}


static void
ngx_http_imagxp_waiter_cleanup(void *data)
{
    ngx_http_imagxp_ctx_t *ctx = data;

    if (ctx->flight) {
        ngx_queue_remove(&ctx->queue);
        ctx->flight = NULL;
    }

    if (ctx->wake.posted) {
        ngx_delete_posted_event(&ctx->wake);
    }

    if (ctx->wake.timer_set) {
        ngx_del_timer(&ctx->wake);
    }
}
