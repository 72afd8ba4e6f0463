
/*
 * The list of the directives, and where the module hooks into nginx.
 */


#include "ngx_http_imagxp.h"


static ngx_int_t ngx_http_imagxp_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_imagxp_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_imagxp_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_imagxp_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_imagxp_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_imagxp_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


static ngx_conf_enum_t  ngx_http_imagxp_modes[] = {
    { ngx_string("off"), NGX_HTTP_IMAGXP_OFF },
    { ngx_string("on"), NGX_HTTP_IMAGXP_ON },
    { ngx_string("log_only"), NGX_HTTP_IMAGXP_LOG_ONLY },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_imagxp_content_origins[] = {
    { ngx_string("off"), 0 },
    { ngx_string("HUMAN"), IMAGXP_ORIGIN_HUMAN },
    { ngx_string("SYNTHETIC"), IMAGXP_ORIGIN_SYNTHETIC },
    { ngx_string("HYBRID"), IMAGXP_ORIGIN_HYBRID },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_imagxp_commands[] = {

    { ngx_string("imagxp"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_imagxp_loc_conf_t, mode),
      &ngx_http_imagxp_modes },

    { ngx_string("imagxp_zone"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_imagxp_set_zone,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_keys"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_imagxp_set_keys,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_policy"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_imagxp_set_policy,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_audience"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_imagxp_set_audience,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_broker"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_imagxp_set_broker,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_manifest_location"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_imagxp_loc_conf_t, manifest_location),
      NULL },

    { ngx_string("imagxp_documents"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_imagxp_set_documents,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_upstream_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_imagxp_loc_conf_t, upstream_headers),
      NULL },


    { ngx_string("imagxp_discovery"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_imagxp_discovery,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_imagxp_set_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_provenance"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_imagxp_loc_conf_t, provenance),
      &ngx_http_imagxp_content_origins },

    { ngx_string("imagxp_story"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_imagxp_set_story,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_evidence"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_imagxp_set_evidence,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("imagxp_fail_limit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_imagxp_set_limit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_imagxp_main_conf_t, fail_limit),
      NULL },

    { ngx_string("imagxp_allow_address"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_imagxp_set_address,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_imagxp_main_conf_t, allow),
      NULL },

    { ngx_string("imagxp_deny_address"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_imagxp_set_address,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_imagxp_main_conf_t, deny),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_imagxp_module_ctx = {
    ngx_http_imagxp_preconfiguration,      /* preconfiguration */
    ngx_http_imagxp_postconfiguration,     /* postconfiguration */

    ngx_http_imagxp_create_main_conf,      /* create main configuration */
    ngx_http_imagxp_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_imagxp_create_loc_conf,       /* create location configuration */
    ngx_http_imagxp_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_imagxp_module = {
    NGX_MODULE_V1,
    &ngx_http_imagxp_module_ctx,           /* module context */
    ngx_http_imagxp_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_imagxp_init_module,           /* init module */
    ngx_http_imagxp_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_imagxp_evidence_exit,         /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_imagxp_next_header_filter;
static ngx_http_output_body_filter_pt  ngx_http_imagxp_next_body_filter;


static ngx_int_t
ngx_http_imagxp_header_filter(ngx_http_request_t *r)
{
    ngx_http_imagxp_flight_t  *flight;

    flight = ngx_http_imagxp_document(r);
    if (flight != NULL) {
        return ngx_http_imagxp_document_header(r, flight);
    }

    if (ngx_http_imagxp_provenance_header(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_imagxp_next_header_filter(r);
}


static ngx_int_t
ngx_http_imagxp_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_imagxp_flight_t  *flight;

    flight = ngx_http_imagxp_document(r);
    if (flight != NULL) {
        return ngx_http_imagxp_document_body(r, flight, in);
    }

    return ngx_http_imagxp_next_body_filter(r, in);
}


static ngx_int_t
ngx_http_imagxp_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_imagxp_add_variables(cf);
}


static ngx_int_t
ngx_http_imagxp_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt          *h;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_imagxp_main_conf_t  *imcf;

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_imagxp_module);

    if ((imcf->provenance || imcf->evidence) && imcf->key == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"imagxp_provenance\" and \"imagxp_evidence\" "
                           "need \"imagxp_key\"");
        return NGX_ERROR;
    }

    if (!imcf->enabled && !imcf->provenance) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_imagxp_strip_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_imagxp_access_handler;

    ngx_http_imagxp_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_imagxp_header_filter;

    ngx_http_imagxp_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_imagxp_body_filter;

    return NGX_OK;
}


static void *
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
     *     imcf->deny = NULL;
     *     imcf->enabled = 0;
     */

    imcf->fail_limit.rate = NGX_CONF_UNSET_UINT;

    return imcf;
}


static char *
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


static void *
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


static char *
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
