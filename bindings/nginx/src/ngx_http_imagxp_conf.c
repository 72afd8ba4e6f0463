
/*
 * What is configured, and what of it a location inherits.
 */


#include "ngx_http_imagxp.h"


void *
ngx_http_imagxp_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_imagxp_main_conf_t  *imcf;

    imcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_imagxp_main_conf_t));
    if (imcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     imcf->keys = { 0, 0, 0, 0 };
     *     imcf->allow = NULL;
     *     imcf->trial = NULL;
     *     imcf->deny = NULL;
     *     imcf->enabled = 0;
     */

    imcf->fail_limit.rate = NGX_CONF_UNSET_UINT;

    return imcf;
}


char *
ngx_http_imagxp_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_imagxp_main_conf_t  *imcf = conf;

    if (imcf->keys.names == 0) {
        imcf->keys.names = 4096;
        imcf->keys.tables = 128;
        imcf->keys.table_kib = 64;
    }

    if (imcf->fail_limit.rate == NGX_CONF_UNSET_UINT) {

        /* docs/threats.md, section 5 */

        imcf->fail_limit.rate = 20;
        imcf->fail_limit.burst = 40;
    }

    return NGX_CONF_OK;
}


void *
ngx_http_imagxp_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_imagxp_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_imagxp_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->policy_text = { 0, NULL };
     *     conf->policy = NULL;
     *     conf->manifest_location = { 0, NULL };
     *     conf->documents = 0;
     */

    conf->mode = NGX_CONF_UNSET_UINT;
    conf->origins = NGX_CONF_UNSET_PTR;
    conf->broker = NGX_CONF_UNSET_PTR;
    conf->zone = NGX_CONF_UNSET_PTR;
    conf->upstream_headers = NGX_CONF_UNSET;
    conf->story = NGX_CONF_UNSET_PTR;
    conf->provenance = NGX_CONF_UNSET_UINT;

    return conf;
}


char *
ngx_http_imagxp_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_uint_t                    own;
    ngx_http_imagxp_zone_t       *zone;
    ngx_http_imagxp_loc_conf_t   *prev = parent;
    ngx_http_imagxp_loc_conf_t   *conf = child;
    ngx_http_imagxp_main_conf_t  *imcf;

    own = conf->policy_text.data != NULL
          || conf->origins != NGX_CONF_UNSET_PTR
          || conf->broker != NGX_CONF_UNSET_PTR
          || prev->policy == NULL;

    ngx_conf_merge_uint_value(conf->mode, prev->mode, NGX_HTTP_IMAGXP_OFF);
    ngx_conf_merge_str_value(conf->policy_text, prev->policy_text, "");
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
    ngx_conf_merge_ptr_value(conf->broker, prev->broker, NULL);
    ngx_conf_merge_ptr_value(conf->zone, prev->zone, NULL);
    ngx_conf_merge_value(conf->upstream_headers, prev->upstream_headers, 0);
    ngx_conf_merge_uint_value(conf->provenance, prev->provenance, 0);

    if (conf->story == NGX_CONF_UNSET_PTR) {
        conf->story_format = prev->story_format;
    }

    ngx_conf_merge_ptr_value(conf->story, prev->story, NULL);
    ngx_conf_merge_str_value(conf->manifest_location, prev->manifest_location,
                             "/imagxp-documents");

    if (conf->policy_text.len && conf->origins) {

        if (!own) {
            conf->policy = prev->policy;

        } else if (ngx_http_imagxp_compile(cf, conf) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_imagxp_module);
    imcf->provenance |= (conf->provenance != 0);

    if (conf->mode == NGX_HTTP_IMAGXP_OFF) {
        return NGX_CONF_OK;
    }

    if (conf->zone == NULL || conf->origins == NULL || conf->policy == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"imagxp\" needs \"%s\"",
                           conf->zone == NULL ? "imagxp_zone"
                           : conf->origins == NULL ? "imagxp_audience"
                           : "imagxp_policy");
        return NGX_CONF_ERROR;
    }

    zone = conf->zone->data;

    if (zone->window && zone->window != conf->policy->window) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "policies of imagxp_zone \"%V\" have different "
                           "windows: what is forgotten for one "
                           "could be sent to another",
                           &conf->zone->shm.name);
        return NGX_CONF_ERROR;
    }

    zone->window = conf->policy->window;
    imcf->enabled = 1;

    return NGX_CONF_OK;
}
