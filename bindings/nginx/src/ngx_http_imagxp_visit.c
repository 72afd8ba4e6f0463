
/*
 * A request as the library wants it: raw, as it came.
 */


#include "ngx_http_imagxp.h"


static ngx_http_imagxp_origin_t *ngx_http_imagxp_origin(ngx_http_request_t *r,
    ngx_http_imagxp_loc_conf_t *conf);
static ngx_uint_t ngx_http_imagxp_likeness(ngx_http_request_t *r,
    ngx_http_imagxp_origin_t *origin);


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
 * not the client's.  They only choose among several: first the name decides,
 * then the port, then the scheme.
 */

static ngx_http_imagxp_origin_t *
ngx_http_imagxp_origin(ngx_http_request_t *r, ngx_http_imagxp_loc_conf_t *conf)
{
    ngx_uint_t                 i, likeness, most;
    ngx_http_imagxp_origin_t  *origin, *found;

    origin = conf->origins->elts;
    found = origin;
    most = 0;

    for (i = 0; i < conf->origins->nelts; i++) {

        likeness = ngx_http_imagxp_likeness(r, &origin[i]);

        if (likeness > most) {
            most = likeness;
            found = &origin[i];
        }
    }

    return found;
}


static ngx_uint_t
ngx_http_imagxp_likeness(ngx_http_request_t *r,
    ngx_http_imagxp_origin_t *origin)
{
    ngx_str_t   *name, port, asked;
    ngx_uint_t   likeness, https;

    /* nginx keeps the name in lower case and without its port */

    name = &r->headers_in.server;
    port = origin->authority;

    if (name->len == 0 || port.len < name->len
        || ngx_strncmp(port.data, name->data, name->len) != 0)
    {
        return 0;
    }

    port.data += name->len;
    port.len -= name->len;

    if (port.len && port.data[0] != ':') {
        return 0;
    }

    likeness = 4;
    ngx_str_null(&asked);

    if (r->headers_in.host && r->headers_in.host->value.len > name->len) {
        asked.data = r->headers_in.host->value.data + name->len;
        asked.len = r->headers_in.host->value.len - name->len;
    }

    if (asked.len == port.len
        && ngx_strncmp(asked.data, port.data, port.len) == 0)
    {
        likeness += 2;
    }

    https = 0;

#if (NGX_HTTP_SSL)
    https = (r->connection->ssl != NULL);
#endif

    if (https == (origin->scheme.len == sizeof("https") - 1)) {
        likeness++;
    }

    return likeness;
}
