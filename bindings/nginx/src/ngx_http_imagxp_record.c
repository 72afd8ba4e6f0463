
/*
 * What is written down about a decision: the story, for people, and the
 * evidence, for a dispute.
 */


#include "ngx_http_imagxp.h"


void
ngx_http_imagxp_record(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    ngx_http_imagxp_main_conf_t  *imcf;

    ctx->decided_ms = ngx_http_imagxp_now();

    if (conf->story) {
        ngx_http_imagxp_story(r, ctx, conf);
    }

    imcf = ngx_http_get_module_main_conf(r, ngx_http_imagxp_module);

    if (imcf->evidence) {
        ngx_http_imagxp_evidence(r, ctx, imcf);
    }
}


imagxp_decision
ngx_http_imagxp_decision_of(ngx_http_imagxp_ctx_t *ctx)
{
    imagxp_decision  decision;

    IMAGXP_INIT(&decision);

    decision.status = ctx->status;
    decision.received_ms = ctx->received_ms;
    decision.decided_ms = ctx->decided_ms;
    decision.fetches = ctx->fetches;
    decision.fetches_len = ctx->nfetches;

    return decision;
}
