
/*
 * The handler of the access phase: verify, fetch what is missing, be called
 * again, admit.
 */


#include "ngx_http_imagxp.h"


static ngx_http_imagxp_ctx_t *ngx_http_imagxp_create_ctx(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_imagxp_judge(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static imagxp_status ngx_http_imagxp_verify(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static ngx_uint_t ngx_http_imagxp_outdated(ngx_http_imagxp_ctx_t *ctx,
    imagxp_status status);
static imagxp_status ngx_http_imagxp_pass(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static ngx_int_t ngx_http_imagxp_conclude(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static ngx_int_t ngx_http_imagxp_keep(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx);
static void ngx_http_imagxp_charge_client(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx);
static void ngx_http_imagxp_log(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static ngx_int_t ngx_http_imagxp_answer(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
static void ngx_http_imagxp_ctx_cleanup(void *data);


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


static ngx_http_imagxp_ctx_t *
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


static void
ngx_http_imagxp_ctx_cleanup(void *data)
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


static ngx_int_t
ngx_http_imagxp_conclude(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    /* those of an earlier verdict, before an internal redirect */

    if (ctx->headers && ngx_http_imagxp_strip(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->headers = 0;
    ctx->decided = 1;
    ctx->policy = conf->policy;

    if (ctx->status == IMAGXP_OK || ctx->at_admission) {

        if (ngx_http_imagxp_keep(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ngx_http_imagxp_record(r, ctx, conf);

    if (ctx->status == IMAGXP_OK) {
        ctx->admitted = 1;

        if (ctx->verified.prepare) {
            ngx_http_imagxp_prepare(ctx->verified.prepare);
        }

        if (ctx->verified.flags & IMAGXP_CLOCK_STEPPED_BACK) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "imagxp: the clock was set back");
        }

        /* a subrequest takes away the timer of a client that sends its body */

        if (ctx->verified.refresh.kind != IMAGXP_NEED_NOTHING
            && r->headers_in.content_length_n <= 0 && !r->headers_in.chunked)
        {
            (void) ngx_http_imagxp_fetch(r, ctx, &ctx->verified.refresh, 1);
        }

    } else {
        ngx_http_imagxp_charge_client(r, ctx);
    }

    ngx_http_imagxp_log(r, ctx, conf);

    return ngx_http_imagxp_answer(r, ctx, conf);
}


/* the library's texts are in memory that the next request overwrites */

static ngx_int_t
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


/*
 * Refusals that cost a signature check, or a fetch.  None of them spends the
 * nonce: the same message would cost as much again and again.  What the key
 * cache knew costs nothing.
 */

static void
ngx_http_imagxp_charge_client(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx)
{
    ngx_http_imagxp_main_conf_t  *imcf;

    if (!ctx->carries || ctx->status > IMAGXP_KEY_INVALID
        || ctx->status == IMAGXP_BUSY)
    {
        return;
    }

    if (ctx->needs || imagxp_status_public(ctx->status)
                      != IMAGXP_IDENTITY_UNVERIFIED)
    {
        imcf = ngx_http_get_module_main_conf(r, ngx_http_imagxp_module);
        ngx_http_imagxp_budget_fail(r, &imcf->fail_limit);
    }
}


static void
ngx_http_imagxp_log(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    ngx_str_t   name, help;
    imagxp_str  text;
    ngx_uint_t  level;

    if (ctx->status == IMAGXP_OK) {
        return;
    }

    text = imagxp_status_name(ctx->status);
    name.data = (u_char *) text.ptr;
    name.len = text.len;

    text = imagxp_status_help(ctx->status);
    help.data = (u_char *) text.ptr;
    help.len = text.len;

    level = imagxp_status_http(ctx->status) == NGX_HTTP_INTERNAL_SERVER_ERROR
            ? NGX_LOG_ERR
            : NGX_LOG_INFO;

    ngx_log_error(level, r->connection->log, 0, "imagxp %s: %V: %V",
                  conf->mode == NGX_HTTP_IMAGXP_ON ? "refused"
                                                   : "would refuse",
                  &name, &help);
}


static ngx_int_t
ngx_http_imagxp_answer(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    if (conf->upstream_headers && !ctx->headers) {

        if (ngx_http_imagxp_set_headers(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->headers = 1;
    }

    if (conf->mode == NGX_HTTP_IMAGXP_LOG_ONLY) {
        return NGX_DECLINED;
    }

    if (ctx->status == IMAGXP_OK) {

        /* with "satisfy any" who did not sign is left to the others */

        return ctx->verified.flags & IMAGXP_SIGNED ? NGX_OK : NGX_DECLINED;
    }

    return ngx_http_imagxp_refuse(r, ctx, conf->policy);
}
