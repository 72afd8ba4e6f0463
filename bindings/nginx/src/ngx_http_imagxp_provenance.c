
/*
 * Where the content comes from, signed: one signature for each origin and
 * second, shared by all responses of this worker.
 */


#include "ngx_http_imagxp.h"


typedef struct {
    time_t                        second;
    imagxp_provenance             headers;
    uint8_t                       text[IMAGXP_PROVENANCE_LEN];
} ngx_http_imagxp_provenance_t;


static ngx_int_t ngx_http_imagxp_sign(ngx_http_imagxp_provenance_t *from,
    int32_t origin, imagxp_key *key);
static void ngx_http_imagxp_forget_header(ngx_http_request_t *r, char *name,
    size_t len);
static ngx_int_t ngx_http_imagxp_add_span(ngx_http_request_t *r, char *name,
    ngx_http_imagxp_provenance_t *from, imagxp_span span);


static ngx_http_imagxp_provenance_t
    ngx_http_imagxp_signed[IMAGXP_ORIGIN_HYBRID + 1];


ngx_int_t
ngx_http_imagxp_provenance_header(ngx_http_request_t *r)
{
    ngx_http_imagxp_loc_conf_t    *conf;
    ngx_http_imagxp_main_conf_t   *imcf;
    ngx_http_imagxp_provenance_t  *from;

    if (r != r->main || r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE) {
        return NGX_OK;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_imagxp_module);

    if (conf->provenance == 0) {
        return NGX_OK;
    }

    from = &ngx_http_imagxp_signed[conf->provenance];

    if (from->second != ngx_time()) {
        imcf = ngx_http_get_module_main_conf(r, ngx_http_imagxp_module);

        if (ngx_http_imagxp_sign(from, (int32_t) conf->provenance, imcf->key)
            != NGX_OK)
        {
            ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                          "imagxp: signing the provenance failed");
            return NGX_ERROR;
        }
    }

    /* what an application says of itself is not signed */

    ngx_http_imagxp_forget_header(r, IMAGXP_HEADER_CONTENT_ORIGIN,
                                  sizeof(IMAGXP_HEADER_CONTENT_ORIGIN) - 1);
    ngx_http_imagxp_forget_header(r, IMAGXP_HEADER_PROVENANCE_SIG,
                                  sizeof(IMAGXP_HEADER_PROVENANCE_SIG) - 1);
    ngx_http_imagxp_forget_header(r, IMAGXP_HEADER_PROVENANCE_TS,
                                  sizeof(IMAGXP_HEADER_PROVENANCE_TS) - 1);

    if (ngx_http_imagxp_add_span(r, IMAGXP_HEADER_CONTENT_ORIGIN, from,
                                 from->headers.origin)
        != NGX_OK
        || ngx_http_imagxp_add_span(r, IMAGXP_HEADER_PROVENANCE_SIG, from,
                                    from->headers.signature)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_imagxp_add_span(r, IMAGXP_HEADER_PROVENANCE_TS, from,
                                    from->headers.ts);
}


static ngx_int_t
ngx_http_imagxp_sign(ngx_http_imagxp_provenance_t *from, int32_t origin,
    imagxp_key *key)
{
    u_char      hedge[32];
    imagxp_buf  out;

    if (ngx_http_imagxp_random(hedge, sizeof(hedge)) != NGX_OK) {
        return NGX_ERROR;
    }

    out.ptr = from->text;
    out.len = sizeof(from->text);

    IMAGXP_INIT(&from->headers);

    if (imagxp_provenance_sign(key, origin, hedge, 0, ngx_http_imagxp_now(),
                               out, &from->headers)
        != IMAGXP_OK)
    {
        return NGX_ERROR;
    }

    from->second = ngx_time();

    return NGX_OK;
}


static void
ngx_http_imagxp_forget_header(ngx_http_request_t *r, char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                h[i].hash = 0;
            }
        }
    }
}


static ngx_int_t
ngx_http_imagxp_add_span(ngx_http_request_t *r, char *name,
    ngx_http_imagxp_provenance_t *from, imagxp_span span)
{
    ngx_str_t  value;

    value.len = span.len;
    value.data = ngx_pnalloc(r->pool, span.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value.data, from->text + span.at, span.len);

    return ngx_http_imagxp_add_header(r, name, &value);
}
