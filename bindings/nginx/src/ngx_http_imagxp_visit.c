
/*
 * A request as the library wants it: raw, as it came.
 */


#include "ngx_http_imagxp.h"


static ngx_http_imagxp_origin_t *ngx_http_imagxp_origin(ngx_http_request_t *r,
    ngx_http_imagxp_loc_conf_t *conf);


ngx_int_t
ngx_http_imagxp_visit(ngx_http_request_t *r, ngx_http_imagxp_loc_conf_t *conf,
    ngx_http_imagxp_ctx_t *ctx)
{
    size_t                     n;
    ngx_uint_t                 i;
    imagxp_visit              *visit;
    imagxp_header             *headers;
    ngx_list_part_t           *part;
    ngx_table_elt_t           *h;
    ngx_http_imagxp_origin_t  *origin;

    n = 0;
    for (part = &r->headers_in.headers.part; part; part = part->next) {
        n += part->nelts;
    }

    headers = ngx_palloc(r->pool, (n + 1) * sizeof(imagxp_header));
    if (headers == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            headers[n].name = ngx_http_imagxp_str(h[i].key);
            headers[n].value = ngx_http_imagxp_str(h[i].value);

            if (h[i].key.len == sizeof(IMAGXP_HEADER_SIGNATURE) - 1
                && ngx_strncmp(h[i].lowcase_key, IMAGXP_HEADER_SIGNATURE,
                               sizeof(IMAGXP_HEADER_SIGNATURE) - 1)
                   == 0)
            {
                ctx->carries = 1;
            }

            n++;
        }
    }

    origin = ngx_http_imagxp_origin(r, conf);

    visit = &ctx->visit;

    IMAGXP_INIT(visit);

    visit->method = ngx_http_imagxp_str(r->method_name);
    visit->scheme = ngx_http_imagxp_str(origin->scheme);
    visit->authority = ngx_http_imagxp_str(origin->authority);
    visit->target = ngx_http_imagxp_str(r->unparsed_uri);
    visit->headers = headers;
    visit->headers_len = n;

    return NGX_OK;
}


/*
 * The origin comes from the configuration: behind a CDN scheme and Host are
 * not the client's.  Host only chooses among several.
 */

static ngx_http_imagxp_origin_t *
ngx_http_imagxp_origin(ngx_http_request_t *r, ngx_http_imagxp_loc_conf_t *conf)
{
    size_t                     len;
    u_char                    *port;
    ngx_str_t                 *host, *authority;
    ngx_uint_t                 i;
    ngx_http_imagxp_origin_t  *origin;

    origin = conf->origins->elts;
    host = &r->headers_in.server;

    for (i = 1; i < conf->origins->nelts; i++) {

        authority = &origin[i].authority;

        /* nginx keeps the name in lower case and without its port */

        port = ngx_strlchr(authority->data, authority->data + authority->len,
                           ':');
        len = port ? (size_t) (port - authority->data) : authority->len;

        if (len == host->len
            && ngx_strncmp(authority->data, host->data, len) == 0)
        {
            return &origin[i];
        }
    }

    return origin;
}
