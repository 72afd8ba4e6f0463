
/*
 * The answer to a request that is refused.  "error_page" goes first; else it
 * is the library's body: the public code, and nothing of the input.
 */


#include "ngx_http_imagxp.h"


static ngx_uint_t ngx_http_imagxp_has_error_page(ngx_http_request_t *r,
    ngx_int_t status);
static ngx_int_t ngx_http_imagxp_refusal_headers(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_policy_t *policy);


/* the longest that imagxp_refusal_write writes */

#define NGX_HTTP_IMAGXP_BODY_LEN  128


ngx_int_t
ngx_http_imagxp_refuse(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_policy_t *policy)
{
    size_t                     len;
    ngx_int_t                  status;
    ngx_str_t                  body;
    imagxp_buf                 out;
    ngx_http_core_loc_conf_t  *clcf;

    status = imagxp_status_http(ctx->status);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* another access module may still admit it */

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY
        && (status == NGX_HTTP_UNAUTHORIZED || status == NGX_HTTP_FORBIDDEN))
    {
        return status;
    }

    if (!ctx->answered
        && ngx_http_imagxp_refusal_headers(r, ctx, policy) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->answered = 1;
    ctx->uri_changes = r->uri_changes;

    if (ngx_http_imagxp_has_error_page(r, status)) {
        return status;
    }

    out.len = NGX_HTTP_IMAGXP_BODY_LEN;
    out.ptr = ngx_pnalloc(r->pool, out.len);
    if (out.ptr == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (imagxp_refusal_write(ctx->status, IMAGXP_POLICY(policy->words),
                             ctx->at_admission ? &ctx->verified : NULL, out,
                             &len)
        != IMAGXP_OK)
    {
        return status;
    }

    body.data = out.ptr;
    body.len = len;

    r->headers_out.status = status;

    ngx_http_finalize_request(r, ngx_http_imagxp_send(r, &body));

    return NGX_DONE;
}


ngx_int_t
ngx_http_imagxp_send(ngx_http_request_t *r, ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = body->len;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


static ngx_uint_t
ngx_http_imagxp_has_error_page(ngx_http_request_t *r, ngx_int_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages == NULL || r->error_page || r->uri_changes == 0) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == status) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_imagxp_refusal_headers(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_policy_t *policy)
{
    uint32_t   seconds;
    ngx_str_t  value;

    ngx_str_set(&value, "no-store");

    if (ngx_http_imagxp_add_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    seconds = ctx->retry_after ? ctx->retry_after
                               : imagxp_status_retry_after_s(ctx->status);

    if (seconds) {
        value.data = ngx_pnalloc(r->pool, NGX_INT32_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%uD", seconds) - value.data;

        if (ngx_http_imagxp_add_header(r, "Retry-After", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (imagxp_status_http(ctx->status) != 402) {
        return NGX_OK;
    }

    if (policy->broker.len
        && ngx_http_imagxp_add_header(r, IMAGXP_HEADER_BROKER, &policy->broker)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (policy->price.len
        && ngx_http_imagxp_add_header(r, IMAGXP_HEADER_PRICE, &policy->price)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_imagxp_add_header(ngx_http_request_t *r, char *name, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    /* nginx 1.23 has links between headers */

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}
