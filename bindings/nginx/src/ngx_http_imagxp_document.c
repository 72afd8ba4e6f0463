
/*
 * The subrequest that fetches a document: the internal location proxies it
 * to the address that was judged and keeps the answer for all workers.  Its
 * output ends here: what is read is capped, and nothing of it reaches the
 * client.
 */


#include "ngx_http_imagxp.h"


static void ngx_http_imagxp_forget_client(ngx_http_request_t *sr,
    ngx_http_imagxp_flight_t *flight);
static ngx_int_t ngx_http_imagxp_document_done(ngx_http_request_t *r,
    void *data, ngx_int_t rc);
static void ngx_http_imagxp_document_answer(ngx_http_imagxp_flight_t *flight,
    ngx_uint_t status);


char *
ngx_http_imagxp_set_documents(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    ilcf->documents = 1;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_imagxp_document_start(ngx_http_imagxp_flight_t *flight)
{
    ngx_str_t                    uri;
    ngx_http_request_t          *r, *sr;
    ngx_http_post_subrequest_t  *ps;
    ngx_http_imagxp_loc_conf_t  *conf;

    r = flight->request;
    conf = ngx_http_get_module_loc_conf(r, ngx_http_imagxp_module);

    flight->body = ngx_palloc(r->pool, flight->max_len + 1);
    if (flight->body == NULL) {
        return NGX_ERROR;
    }

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_imagxp_document_done;
    ps->data = flight;

    uri = conf->manifest_location;

    /* in the background: the request may be answered while it still runs */

    if (ngx_http_subrequest(r, &uri, NULL, &sr, ps,
                            NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* what comes from the store is a file */

    sr->filter_need_in_memory = 1;

    /*
     * allocate fake request body to avoid attempts to read it and to make
     * sure real body file (if already read) won't be closed by upstream
     */

    sr->request_body = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (sr->request_body == NULL) {
        return NGX_ERROR;
    }

    ngx_http_imagxp_forget_client(sr, flight);

    flight->subrequest = sr;
    ngx_http_set_ctx(sr, flight, ngx_http_imagxp_module);

    return NGX_OK;
}


/* whatever the location's configuration, no header of the client goes out */

static void
ngx_http_imagxp_forget_client(ngx_http_request_t *sr,
    ngx_http_imagxp_flight_t *flight)
{
    ngx_memzero(&sr->headers_in, sizeof(ngx_http_headers_in_t));

    sr->headers_in.headers.last = &sr->headers_in.headers.part;
    sr->headers_in.headers.size = sizeof(ngx_table_elt_t);
    sr->headers_in.headers.pool = sr->pool;

    sr->headers_in.server = flight->name;
    sr->headers_in.content_length_n = -1;
    sr->headers_in.keep_alive_n = -1;
}


ngx_http_imagxp_flight_t *
ngx_http_imagxp_document(ngx_http_request_t *r)
{
    if (r == r->main) {
        return NULL;
    }

    return ngx_http_get_module_ctx(r, ngx_http_imagxp_module);
}


ngx_int_t
ngx_http_imagxp_document_body(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *flight, ngx_chain_t *in)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = in; cl; cl = cl->next) {

        b = cl->buf;

        if (b->last_buf || b->last_in_chain) {
            flight->complete = 1;
        }

        if (ngx_buf_in_memory(b) && !flight->done) {

            size = ngx_min((size_t) (b->last - b->pos),
                           flight->max_len + 1 - flight->len);

            ngx_memcpy(flight->body + flight->len, b->pos, size);
            flight->len += size;
        }

        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    if (flight->done) {
        (void) ngx_http_imagxp_document_abort(flight);

    } else if (flight->len > flight->max_len) {
        ngx_http_imagxp_document_too_large(flight);
    }

    return NGX_OK;
}


/*
 * What a background subrequest reads comes to the body filter when all of it
 * is there.  Until then the location's proxy_limit_rate bounds it, and this,
 * which leaves room for the framing of chunks.
 */

void
ngx_http_imagxp_document_check(ngx_http_imagxp_flight_t *flight)
{
    ngx_http_upstream_t  *u;

    u = flight->subrequest ? flight->subrequest->upstream : NULL;

    if (u && u->pipe && flight->http_status == NGX_HTTP_OK
        && u->pipe->read_length > 2 * (off_t) flight->max_len)
    {
        ngx_http_imagxp_document_too_large(flight);
    }
}


void
ngx_http_imagxp_document_too_large(ngx_http_imagxp_flight_t *flight)
{
    if (flight->done) {
        return;
    }

    flight->too_large = 1;

    ngx_http_imagxp_document_answer(flight, NGX_HTTP_OK);
    (void) ngx_http_imagxp_document_abort(flight);
}


/*
 * Ends the connection as if it had timed out: it is the one way that works
 * in every state, and lets the cache remember the failure.  A pipe that is
 * at work comes back to the event loop only when the other side pauses.
 */

ngx_int_t
ngx_http_imagxp_document_abort(ngx_http_imagxp_flight_t *flight)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *sr;
    ngx_http_upstream_t  *u;

    sr = flight->subrequest;

    if (sr == NULL || sr->upstream == NULL
        || sr->upstream->peer.connection == NULL)
    {
        return NGX_DECLINED;
    }

    u = sr->upstream;
    c = u->peer.connection;

    if (u->pipe) {
        u->pipe->upstream_error = 1;
    }

    c->read->timedout = 1;
    ngx_post_event(c->read, &ngx_posted_events);

    return NGX_OK;
}


static ngx_int_t
ngx_http_imagxp_document_done(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_http_imagxp_flight_t *flight = data;

    ngx_http_imagxp_loc_conf_t  *conf;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "imagxp document done: %i s:%ui", rc, flight->http_status);

    flight->subrequest = NULL;

#if (NGX_HTTP_CACHE)

    if (flight->charged && r->upstream
        && r->upstream->cache_status == NGX_HTTP_CACHE_HIT)
    {
        flight->charged = 0;
        ngx_http_imagxp_budget_refund(r->main);
    }

#endif

    if (flight->done) {

        if (flight->timer.timer_set) {
            ngx_del_timer(&flight->timer);
        }

        return NGX_OK;
    }

    if (rc == NGX_HTTP_CLIENT_CLOSED_REQUEST || r->connection->error) {
        return rc;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_imagxp_module);

    if (!conf->documents || r->upstream == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "imagxp: \"%V\" is not a location of "
                      "\"imagxp_documents\": include imagxp_documents.conf "
                      "in this server", &r->uri);
    }

    ngx_http_imagxp_document_answer(flight,
                                    rc >= NGX_HTTP_SPECIAL_RESPONSE
                                    ? (ngx_uint_t) rc
                                    : flight->http_status);

    /* an error is the document's, not the client's */

    return NGX_OK;
}


static void
ngx_http_imagxp_document_answer(ngx_http_imagxp_flight_t *flight,
    ngx_uint_t status)
{
    imagxp_answer  answer;

    ngx_memzero(&answer, sizeof(imagxp_answer));
    answer.max_age_s = (int32_t) flight->max_age;

    if (flight->too_large) {

        /* the library judges by the length before it reads */

        ngx_memzero(flight->body + flight->len,
                    flight->max_len + 1 - flight->len);

        answer.kind = IMAGXP_FOUND;
        answer.body = imagxp_str_of((char *) flight->body,
                                    flight->max_len + 1);

    } else if (status == NGX_HTTP_OK && flight->complete) {
        answer.kind = flight->media_type ? IMAGXP_FOUND : IMAGXP_NOT_THERE;
        answer.body = imagxp_str_of((char *) flight->body, flight->len);

    } else if (status == 0 || status == NGX_HTTP_OK
               || status == NGX_HTTP_TOO_MANY_REQUESTS
               || status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        answer.kind = IMAGXP_UNREACHABLE;

    } else {
        answer.kind = IMAGXP_NOT_THERE;
    }

    if (answer.kind != IMAGXP_FOUND) {
        answer.max_age_s = -1;
        ngx_log_error(NGX_LOG_INFO, flight->request->connection->log, 0,
                      "imagxp: \"%V\" at %V: status %ui%s", &flight->url,
                      &flight->address, status,
                      flight->complete ? "" : ", no whole answer");
    }

    ngx_http_imagxp_flight_done(flight, &answer);
}
