
/*
 * What the header of a document says: whether it is JSON, how long it is, and
 * how long it is good.
 */


#include "ngx_http_imagxp.h"


static time_t ngx_http_imagxp_max_age(ngx_http_request_t *r);
static time_t ngx_http_imagxp_directive(ngx_str_t *value);
static time_t ngx_http_imagxp_seconds(u_char *p, u_char *last);
static ngx_uint_t ngx_http_imagxp_is_json(ngx_str_t *type);


ngx_int_t
ngx_http_imagxp_document_header(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *flight)
{
    time_t                       max_age, least, most;
    ngx_http_imagxp_loc_conf_t  *conf;

    r->header_sent = 1;

    if (flight->done) {
        (void) ngx_http_imagxp_document_abort(flight);
        return NGX_OK;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_imagxp_module);

    if (!conf->documents || r->upstream == NULL) {
        return NGX_OK;
    }

    flight->http_status = r->headers_out.status;
    flight->media_type = ngx_http_imagxp_is_json(&r->headers_out.content_type);

    if (flight->http_status != NGX_HTTP_OK) {
        return NGX_OK;
    }

    /* docs/threats.md, section 8: the cache */

    least = flight->kind == IMAGXP_NEED_JWKS ? 300 : 60;
    most = flight->kind == IMAGXP_NEED_JWKS ? 86400 : 3600;

    max_age = ngx_http_imagxp_max_age(r);
    max_age = max_age < 0 ? 300 : ngx_min(ngx_max(max_age, least), most);

#if (NGX_HTTP_CACHE)

    if (r->cache && r->upstream->cache_status == NGX_HTTP_CACHE_HIT) {
        flight->age = ngx_time() - r->cache->date;
        max_age = ngx_max(r->cache->valid_sec - ngx_time(), 0);

    } else if (r->cache) {
        r->cache->valid_sec = ngx_time() + max_age;
    }

#endif

    flight->max_age = max_age;

    if (r->headers_out.content_length_n > (off_t) flight->max_len) {
        ngx_http_imagxp_document_too_large(flight);
    }

    return NGX_OK;
}


/*
 * Cache-Control of the answer, less its Age (RFC 9111, section 4.2.3); nginx
 * itself is told to ignore it.
 */

static time_t
ngx_http_imagxp_max_age(ngx_http_request_t *r)
{
    time_t            n, max_age, age;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    max_age = -1;
    age = 0;

    for (part = &r->upstream->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == sizeof("age") - 1
                && ngx_strncmp(h[i].lowcase_key, "age", sizeof("age") - 1)
                   == 0)
            {
                n = ngx_http_imagxp_seconds(h[i].value.data,
                                            h[i].value.data + h[i].value.len);
                age = ngx_max(age, n);
            }

            if (max_age == -1
                && h[i].key.len == sizeof("cache-control") - 1
                && ngx_strncmp(h[i].lowcase_key, "cache-control",
                               sizeof("cache-control") - 1)
                   == 0)
            {
                max_age = ngx_http_imagxp_directive(&h[i].value);
            }
        }
    }

    return max_age == -1 ? -1 : ngx_max(max_age - age, 0);
}


static time_t
ngx_http_imagxp_directive(ngx_str_t *value)
{
    u_char  *p, *last;

    last = value->data + value->len;
    p = ngx_strlcasestrn(value->data, last, (u_char *) "max-age=",
                         sizeof("max-age=") - 2);

    if (p == NULL || (p > value->data && p[-1] == '-')) {
        return -1;
    }

    return ngx_http_imagxp_seconds(p + sizeof("max-age=") - 1, last);
}


static time_t
ngx_http_imagxp_seconds(u_char *p, u_char *last)
{
    time_t  n;

    for (n = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        n = ngx_min(n * 10 + (*p - '0'), 1000000);
    }

    return n;
}


/* application/json, anything+json, or nothing */

static ngx_uint_t
ngx_http_imagxp_is_json(ngx_str_t *type)
{
    size_t   len;
    u_char  *p;

    p = ngx_strlchr(type->data, type->data + type->len, ';');
    len = p ? (size_t) (p - type->data) : type->len;

    while (len && (type->data[len - 1] == ' ' || type->data[len - 1] == '\t')) {
        len--;
    }

    if (len == 0) {
        return 1;
    }

    if (len == sizeof("application/json") - 1
        && ngx_strncasecmp(type->data, (u_char *) "application/json", len) == 0)
    {
        return 1;
    }

    return len > sizeof("+json") - 1
           && ngx_strncasecmp(type->data + len - (sizeof("+json") - 1),
                              (u_char *) "+json", sizeof("+json") - 1)
              == 0;
}
