
/*
 * The discovery document, at IMAGXP_POLICY_PATH: what the policy lets agents
 * know of itself.
 */


#include "ngx_http_imagxp.h"


static ngx_int_t ngx_http_imagxp_discovery_handler(ngx_http_request_t *r);


char *
ngx_http_imagxp_discovery(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_imagxp_discovery_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_imagxp_discovery_handler(ngx_http_request_t *r)
{
    ngx_http_imagxp_loc_conf_t  *conf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_imagxp_module);

    if (conf->policy == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    r->headers_out.status = NGX_HTTP_OK;

    return ngx_http_imagxp_send(r, &conf->policy->discovery);
}
