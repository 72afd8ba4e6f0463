
/*
 * What follows from a decision: it is recorded, charged to the client,
 * logged and answered.
 */


#include "ngx_http_imagxp.h"


static void ngx_http_imagxp_charge_client(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx);
static void ngx_http_imagxp_log(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);


ngx_int_t
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

    if (!ctx->carries || ctx->status == IMAGXP_BUSY) {
        return;
    }

    if (ctx->needs || imagxp_status_is_behind_signature(ctx->status)) {
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


ngx_int_t
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
