
/*
 * Which flight brings a document that is wanted: one that is under way for
 * other requests of this worker, or a new one.  What workers share is the
 * store of the internal location (document.c).
 */


#include "ngx_http_imagxp.h"


static ngx_http_imagxp_flight_t *ngx_http_imagxp_find_flight(ngx_str_t *url);
static ngx_int_t ngx_http_imagxp_split_url(ngx_http_imagxp_flight_t *flight);


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


ngx_http_imagxp_flight_t *
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
