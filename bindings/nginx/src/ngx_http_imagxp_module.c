
/*
 * The list of the directives, and where the module hooks into nginx.
 */


#include "ngx_http_imagxp.h"


static ngx_int_t ngx_http_imagxp_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_imagxp_postconfiguration(ngx_conf_t *cf);


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

    { ngx_string("imagxp_trial_address"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_imagxp_set_address,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_imagxp_main_conf_t, trial),
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
    ngx_http_imagxp_chain_exit,            /* exit process */
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
