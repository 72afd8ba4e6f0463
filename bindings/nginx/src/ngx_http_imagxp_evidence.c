
/*
 * What goes into the evidence: the documents, and the decisions that prove
 * something.
 */


#include "ngx_http_imagxp.h"


/* imagxp_evidence directory [all]; */

char *
ngx_http_imagxp_set_evidence(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_main_conf_t  *imcf = conf;

    ngx_str_t   *value;
    ngx_path_t  *path;

    if (imcf->evidence) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3) {
        if (ngx_strcmp(value[2].data, "all") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        imcf->evidence_all = 1;
    }

    if (value[1].len == 0) {
        return "needs a directory";
    }

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }

    path->name = value[1];

    if (path->name.data[path->name.len - 1] == '/') {
        path->name.len--;
    }

    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    /* the master makes it, and gives it to the workers' user */

    imcf->evidence = path;

    return ngx_add_path(cf, &imcf->evidence) == NGX_OK ? NGX_CONF_OK
                                                        : NGX_CONF_ERROR;
}


/* once a fetch, before the decisions that waited for it */

void
ngx_http_imagxp_evidence_document(ngx_http_imagxp_flight_t *flight,
    imagxp_answer *answer)
{
    size_t       len;
    imagxp_head  head;

    if (ngx_http_imagxp_chain.line.ptr == NULL
        || answer->kind != IMAGXP_FOUND || flight->too_large)
    {
        return;
    }

    head = ngx_http_imagxp_chain.head;

    if (imagxp_evidence_document(ngx_http_imagxp_str(flight->url),
                                 answer->body, ngx_http_imagxp_now(), &head,
                                 ngx_http_imagxp_chain.line, &len,
                                 flight->sha256)
        != IMAGXP_OK
        || ngx_http_imagxp_chain_append(ngx_http_imagxp_chain.line, len, &head)
           != NGX_OK)
    {
        ngx_memzero(flight->sha256, sizeof(flight->sha256));
    }
}


void
ngx_http_imagxp_evidence(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_main_conf_t *imcf)
{
    size_t           len;
    imagxp_head      head;
    imagxp_status    status;
    imagxp_decision  decision;

    /* what was refused before its signature was checked proves nothing */

    if (!imcf->evidence_all && !ctx->at_admission
        && !(ctx->status == IMAGXP_OK && (ctx->verified.flags & IMAGXP_SIGNED))
        && !(ctx->carries && ctx->status <= IMAGXP_KEY_MISMATCH))
    {
        return;
    }

    decision = ngx_http_imagxp_decision_of(ctx);
    head = ngx_http_imagxp_chain.head;

    status = imagxp_evidence_decision(&ctx->visit,
                                      ctx->status == IMAGXP_OK
                                      || ctx->at_admission
                                      ? &ctx->verified : NULL,
                                      &decision, &head,
                                      ngx_http_imagxp_chain.line, &len);

    if (status == IMAGXP_OK) {
        (void) ngx_http_imagxp_chain_append(ngx_http_imagxp_chain.line, len,
                                            &head);
        ngx_http_imagxp_chain_checkpoint();
        return;
    }

    /* with "all": headers that cannot be taken in cannot be recorded */

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "imagxp: no evidence of this request: %i",
                  (ngx_int_t) status);
}
