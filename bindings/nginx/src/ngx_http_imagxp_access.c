
/*
 * The handler of the access phase: verify, fetch what is missing, be called
 * again, admit.
 */


#include "ngx_http_imagxp.h"


static ngx_int_t ngx_http_imagxp_judge(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static imagxp_status ngx_http_imagxp_verify(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static ngx_uint_t ngx_http_imagxp_outdated(ngx_http_imagxp_ctx_t *ctx,
    imagxp_status status);
static imagxp_status ngx_http_imagxp_pass(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);


ngx_int_t
ngx_http_imagxp_access_handler(ngx_http_request_t *r)
{
    ngx_http_imagxp_ctx_t       *ctx;
    ngx_http_imagxp_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_imagxp_module);

    if (conf->mode == NGX_HTTP_IMAGXP_OFF) {
        return NGX_DECLINED;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "imagxp access handler");

    ctx = ngx_http_imagxp_get_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_imagxp_create_ctx(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    /* a write event of the client runs the phases, too */

    if (ctx->waiting) {
        return NGX_AGAIN;
    }

    /* the page of our refusal, but nothing that it redirects to */

    if (ctx->answered && r->uri_changes + 1 >= ctx->uri_changes) {
        return NGX_DECLINED;
    }

    /* an internal redirect does not spend the nonce once more */

    if (ctx->decided && ctx->policy == conf->policy) {
        return ngx_http_imagxp_answer(r, ctx, conf);
    }

    return ngx_http_imagxp_judge(r, ctx, conf);
}


static ngx_int_t
ngx_http_imagxp_judge(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    ngx_int_t                     rc;
    imagxp_need                   need;
    imagxp_status                 status;
    ngx_http_imagxp_main_conf_t  *imcf;

    if (ngx_http_imagxp_visit(r, conf, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->at_admission = 0;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_imagxp_module);

    if (ctx->carries && !ctx->admitted && ctx->needs == 0
        && ngx_http_imagxp_budget_failed(r, &imcf->fail_limit))
    {
        ctx->status = IMAGXP_BUSY;
        return ngx_http_imagxp_conclude(r, ctx, conf);
    }

    status = ngx_http_imagxp_verify(r, ctx, conf);
    rc = NGX_OK;

    if (status == IMAGXP_NEED) {
        need = ctx->verified.need;

        rc = ctx->expired || ctx->needs == NGX_HTTP_IMAGXP_NEEDS
             ? NGX_DECLINED
             : ngx_http_imagxp_fetch(r, ctx, &need, 0);

        if (rc == NGX_DECLINED) {
            status = need.kind == IMAGXP_NEED_JWKS ? IMAGXP_JWKS_UNAVAILABLE
                                                   : IMAGXP_IDENTITY_PENDING;
        }

    } else if (ngx_http_imagxp_outdated(ctx, status)) {
        rc = ngx_http_imagxp_fetch_again(r, ctx);
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == IMAGXP_VERIFIED) {
        status = ngx_http_imagxp_pass(r, ctx, conf);
        ctx->at_admission = (status != IMAGXP_OK);
    }

    ctx->status = status;

    return ngx_http_imagxp_conclude(r, ctx, conf);
}


static imagxp_status
ngx_http_imagxp_verify(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    return imagxp_request_verify(&ctx->visit,
                                 IMAGXP_POLICY(conf->policy->words),
                                 &ngx_http_imagxp_worker.keys,
                                 ngx_http_imagxp_now(),
                                 ngx_http_imagxp_worker.scratch,
                                 &ctx->verified);
}


/*
 * A key that the document in the store does not know: the agent, or the
 * issuer, may have a new one.  The library asks for a document again after
 * so long a time, but cannot know how old one from the store was.
 */

static ngx_uint_t
ngx_http_imagxp_outdated(ngx_http_imagxp_ctx_t *ctx, imagxp_status status)
{
    return ctx->last && !ctx->fresh && !ctx->expired
           && ctx->age >= NGX_HTTP_IMAGXP_REFRESH_PAUSE
           && (status == IMAGXP_KEY_MISMATCH
               || status == IMAGXP_JWT_KEY_UNKNOWN);
}


static imagxp_status
ngx_http_imagxp_pass(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    if (!ctx->admitted || !(ctx->verified.flags & IMAGXP_SIGNED)) {
        return ngx_http_imagxp_admit(ctx, conf->zone->data);
    }

    /* admitted before an internal redirect, by another policy */

    if (ctx->verified.flags & IMAGXP_SINGLE_USE) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "imagxp: an internal redirect leads to a location that "
                      "takes single-use visas: its policy must hold from the "
                      "beginning");
        return IMAGXP_POLICY_INVALID;
    }

    return IMAGXP_OK;
}
