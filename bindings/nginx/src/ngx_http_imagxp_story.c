
/*
 * The story: each decision told line by line, for people.
 */


#include "ngx_http_imagxp.h"


/* the longest: include/imagxp.h */

#define NGX_HTTP_IMAGXP_STORY_LEN  16384


/* imagxp_story off | file [json]; */

char *
ngx_http_imagxp_set_story(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    ngx_str_t  *value;

    if (ilcf->story != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ilcf->story = NULL;
        return NGX_CONF_OK;
    }

    ilcf->story_format = IMAGXP_STORY_TEXT;

    if (cf->args->nelts == 3) {
        if (ngx_strcmp(value[2].data, "json") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        ilcf->story_format = IMAGXP_STORY_JSON;
    }

    ilcf->story = ngx_conf_open_file(cf->cycle, &value[1]);

    return ilcf->story == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


void
ngx_http_imagxp_story(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf)
{
    size_t           len;
    imagxp_buf       out;
    imagxp_status    status;
    imagxp_decision  decision;

    static u_char    text[NGX_HTTP_IMAGXP_STORY_LEN];

    decision = ngx_http_imagxp_decision_of(ctx);

    out.ptr = text;
    out.len = sizeof(text);

    status = imagxp_story_publisher(&ctx->visit,
                                    IMAGXP_POLICY(conf->policy->words),
                                    ctx->status == IMAGXP_OK
                                    || ctx->at_admission
                                    ? &ctx->verified : NULL,
                                    ngx_http_imagxp_worker.scratch, &decision,
                                    (int32_t) conf->story_format, out, &len);

    if (status != IMAGXP_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "imagxp: the story cannot be told: %i",
                      (ngx_int_t) status);
        return;
    }

    (void) ngx_write_fd(conf->story->fd, text, len);
}
