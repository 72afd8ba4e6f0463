
/*
 * The decision about a request: it outlives internal redirects, and what the
 * library said of it in memory that the next request overwrites.
 */


#include "ngx_http_imagxp.h"


static void ngx_http_imagxp_ctx_cleanup(void *data);


/* internal redirects forget the contexts of modules, but not the pool */

ngx_http_imagxp_ctx_t *
ngx_http_imagxp_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_imagxp_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_imagxp_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_imagxp_ctx_cleanup) {
                ctx = cln->data;
                ngx_http_set_ctx(r, ctx, ngx_http_imagxp_module);
                break;
            }
        }
    }

    return ctx;
}


ngx_http_imagxp_ctx_t *
ngx_http_imagxp_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_imagxp_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_imagxp_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_imagxp_ctx_t));

    cln->handler = ngx_http_imagxp_ctx_cleanup;

    ctx->request = r;
    ctx->received_ms = ngx_http_imagxp_now();
    IMAGXP_INIT(&ctx->verified);

    ngx_http_set_ctx(r, ctx, ngx_http_imagxp_module);

    return ctx;
}


ngx_int_t
ngx_http_imagxp_keep(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx)
{
    u_char             *p;
    ngx_str_t          *to[5];
    imagxp_str          text[5];
    ngx_uint_t          i;
    imagxp_buf          scratch;
    imagxp_verified    *verified;

    verified = &ctx->verified;

    if (!(verified->flags & IMAGXP_SIGNED)) {
        return NGX_OK;
    }

    scratch = ngx_http_imagxp_worker.scratch;

    text[0] = IMAGXP_TEXT(scratch, verified->agent_id);
    text[1] = IMAGXP_TEXT(scratch, verified->kid);
    text[2] = IMAGXP_TEXT(scratch, verified->nonce);
    text[3] = IMAGXP_TEXT(scratch, verified->jti);
    text[4] = IMAGXP_TEXT(scratch, verified->issuer);

    to[0] = &ctx->agent;
    to[1] = &ctx->kid;
    to[2] = &ctx->nonce;
    to[3] = &ctx->jti;
    to[4] = &ctx->issuer;

    p = ngx_pnalloc(r->pool, text[0].len + text[1].len + text[2].len
                             + text[3].len + text[4].len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < 5; i++) {
        to[i]->data = p;
        to[i]->len = text[i].len;
        p = ngx_cpymem(p, text[i].ptr, text[i].len);
    }

    return NGX_OK;
}


static void
ngx_http_imagxp_ctx_cleanup(void *data)
{
    ngx_http_imagxp_leave(data);
}
