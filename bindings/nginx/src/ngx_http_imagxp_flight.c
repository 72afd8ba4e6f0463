
/*
 * One document on its way: from the take-off to the answer, the end of its
 * time, or the end of the request that it was for.
 */


#include "ngx_http_imagxp.h"


static void ngx_http_imagxp_supply(ngx_http_imagxp_flight_t *flight,
    imagxp_answer *answer);
static void ngx_http_imagxp_release(ngx_http_imagxp_flight_t *flight);
static void ngx_http_imagxp_timer_handler(ngx_event_t *ev);
static void ngx_http_imagxp_overdue(ngx_http_imagxp_flight_t *flight);
static void ngx_http_imagxp_flight_cleanup(void *data);


ngx_int_t
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

        ngx_http_imagxp_wake(ctx, flight, answer);
    }

    ngx_http_imagxp_release(flight);

    if (flight->held) {
        flight->held = 0;
        ngx_http_finalize_request(flight->request, NGX_DONE);
    }
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
