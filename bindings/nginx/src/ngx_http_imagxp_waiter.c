
/*
 * A request that waits for a document: it boards the document's flight, and
 * is woken with the answer unless it leaves before.
 */


#include "ngx_http_imagxp.h"


static void ngx_http_imagxp_note(ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_flight_t *flight, imagxp_answer *answer);
static void ngx_http_imagxp_wake_handler(ngx_event_t *ev);
static void ngx_http_imagxp_waiter_cleanup(void *data);


ngx_int_t
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


/* without an answer it is told to come again */

void
ngx_http_imagxp_wake(ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_flight_t *flight, imagxp_answer *answer)
{
    ngx_msec_int_t  wait;

    ngx_queue_remove(&ctx->queue);
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
ngx_http_imagxp_wake_handler(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_imagxp_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    /* what the subrequest did last is not what is done now */

    c->log->action = NULL;

    ctx->waiting = 0;

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_core_run_phases(r);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_imagxp_waiter_cleanup(void *data)
{
    ngx_http_imagxp_leave(data);
}


void
ngx_http_imagxp_leave(ngx_http_imagxp_ctx_t *ctx)
{
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
