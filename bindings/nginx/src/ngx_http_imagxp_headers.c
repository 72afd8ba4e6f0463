
/*
 * What upstream servers are told: x-imagxp-verified-… headers.  Copies that
 * a client sent are removed from every request before anything else.
 */


#include "ngx_http_imagxp.h"


#define NGX_HTTP_IMAGXP_PREFIX  "x-imagxp-verified-"


static ngx_uint_t ngx_http_imagxp_is_ours(ngx_str_t *name);
static ngx_int_t ngx_http_imagxp_remove(ngx_http_request_t *r,
    ngx_list_part_t *part, ngx_uint_t i);
static ngx_int_t ngx_http_imagxp_unlink_empty(ngx_list_t *list);
static ngx_int_t ngx_http_imagxp_push(ngx_http_request_t *r, char *name,
    ngx_str_t *value);


ngx_int_t
ngx_http_imagxp_strip_handler(ngx_http_request_t *r)
{
    if (ngx_http_imagxp_strip(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_imagxp_strip(ngx_http_request_t *r)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; /* void */ ) {

            if (!ngx_http_imagxp_is_ours(&h[i].key)) {
                i++;
                continue;
            }

            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "imagxp: header \"%V\" removed", &h[i].key);

            if (ngx_http_imagxp_remove(r, part, i) != NGX_OK) {
                return NGX_ERROR;
            }

            h = part->elts;
            n++;
        }
    }

    return n ? ngx_http_imagxp_unlink_empty(&r->headers_in.headers) : NGX_OK;
}


/* in CGI's variables "-" and "_" are the same */

static ngx_uint_t
ngx_http_imagxp_is_ours(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    if (name->len < sizeof(NGX_HTTP_IMAGXP_PREFIX) - 1) {
        return 0;
    }

    for (i = 0; i < sizeof(NGX_HTTP_IMAGXP_PREFIX) - 1; i++) {

        ch = name->data[i] == '_' ? '-' : ngx_tolower(name->data[i]);

        if (ch != NGX_HTTP_IMAGXP_PREFIX[i]) {
            return 0;
        }
    }

    return 1;
}


/*
 * Elements cannot move: r->headers_in points to them.  So the part is cut in
 * two around the one that goes.
 */

static ngx_int_t
ngx_http_imagxp_remove(ngx_http_request_t *r, ngx_list_part_t *part,
    ngx_uint_t i)
{
    ngx_list_t       *list;
    ngx_list_part_t  *rest;

    list = &r->headers_in.headers;

    if (i == part->nelts - 1) {
        part->nelts--;
        return NGX_OK;
    }

    if (i == 0) {
        part->elts = (char *) part->elts + list->size;
        part->nelts--;

        if (part == list->last) {
            list->nalloc--;
        }

        return NGX_OK;
    }

    rest = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
    if (rest == NULL) {
        return NGX_ERROR;
    }

    rest->elts = (char *) part->elts + (i + 1) * list->size;
    rest->nelts = part->nelts - i - 1;
    rest->next = part->next;

    part->nelts = i;
    part->next = rest;

    if (part == list->last) {
        list->last = rest;
        list->nalloc -= i + 1;
    }

    return NGX_OK;
}


/* loops over lists read the first element of a next part without asking */

static ngx_int_t
ngx_http_imagxp_unlink_empty(ngx_list_t *list)
{
    ngx_list_part_t  *part;

    part = &list->part;

    while (part->next) {

        if (part->next->nelts == 0) {
            part->next = part->next->next;

        } else if (part->nelts == 0) {
            *part = *part->next;

        } else {
            part = part->next;
        }
    }

    if (part->nelts == 0) {
        return ngx_list_init(list, list->pool, list->nalloc, list->size);
    }

    /* the next element begins a part: how much room is here is forgotten */

    list->last = part;
    list->nalloc = part->nelts;

    return NGX_OK;
}


ngx_int_t
ngx_http_imagxp_set_headers(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx)
{
    ngx_str_t         code;
    imagxp_str        text;
    imagxp_verified  *verified;

    text = imagxp_status_name(ctx->status);
    code.data = (u_char *) text.ptr;
    code.len = text.len;

    if (ngx_http_imagxp_push(r, NGX_HTTP_IMAGXP_PREFIX "code", &code)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->status != IMAGXP_OK) {
        return NGX_OK;
    }

    verified = &ctx->verified;

    if (ngx_http_imagxp_push(r, NGX_HTTP_IMAGXP_PREFIX "visitor",
                             ngx_http_imagxp_visitor(verified->visitor))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (verified->visitor != IMAGXP_VERIFIED_AGENT) {
        return NGX_OK;
    }

    if (ngx_http_imagxp_push(r, NGX_HTTP_IMAGXP_PREFIX "agent", &ctx->agent)
        != NGX_OK
        || ngx_http_imagxp_push(r, NGX_HTTP_IMAGXP_PREFIX "purpose",
                                ngx_http_imagxp_purpose(verified->purpose))
           != NGX_OK
        || ngx_http_imagxp_push(r, NGX_HTTP_IMAGXP_PREFIX "bound",
                                ngx_http_imagxp_bound(verified->bound))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->jti.len == 0) {
        return NGX_OK;
    }

    return ngx_http_imagxp_push(r, NGX_HTTP_IMAGXP_PREFIX "visa-jti",
                                &ctx->jti);
}


static ngx_int_t
ngx_http_imagxp_push(ngx_http_request_t *r, char *name, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->lowcase_key = h->key.data;
    h->hash = ngx_hash_key(h->key.data, h->key.len);
    h->value = *value;

    return NGX_OK;
}
